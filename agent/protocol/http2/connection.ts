import { connect, constants, type ClientHttp2Session, type Settings } from 'node:http2';
import type { RequestError } from '../../../shared/stats/index.ts';
import type { Origin } from '../exchange.ts';
import type { ConnectionShared } from '../http1/connection.ts';
import type { Waiter } from '../http1/deadlines.ts';
import { Dial, type DialOwner } from '../http1/dial.ts';
import type { Http2Request } from './request.ts';
import { nameErrorCode, nameSessionError } from './stream-errors.ts';

/** What we let a peer send ahead of us reading, per stream and per connection, bytes. The protocol's own 64 KiB would make every larger
 *  response wait for a round trip. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/** Megabytes that one connection with all its streams may hold; Node's own 10 are few for hundreds of uploads. Past it streams are refused. */
const SESSION_MEMORY_MB = 128;
const HEADER_FIELDS_MAX = 2_000;
/** A peer that answers no ping within this is gone. */
const PING_US = 2_000_000;

/** Whom a connection tells that it takes more requests, or none any more. */
export interface Lane {
  freed(): void;
  left(connection: Http2Connection): void;
}

/** One connection and the requests on it, at most as many at once as the server allows. */
export class Http2Connection implements DialOwner, Waiter {
  deadlineUs = 0;
  slot = -1;
  next: Waiter | undefined = undefined;
  previous: Waiter | undefined = undefined;

  private readonly shared: ConnectionShared;
  private readonly lane: Lane;
  private readonly dial: Dial;
  private session: ClientHttp2Session | undefined = undefined;
  /** Until the server has said how many it takes at once, one. */
  private streamsMax = 1;
  private readonly requests = new Set<Http2Request>();
  /** It takes no more requests: closed, or the server said goodbye. */
  isLeaving = false;
  private toldSent = 0;
  private toldReceived = 0;

  constructor(origin: Origin, shared: ConnectionShared, lane: Lane, nowUs: number) {
    this.shared = shared;
    this.lane = lane;
    this.dial = new Dial(origin, shared, this, { protocols: ['h2'], alwaysTunnels: true }, nowUs);
  }

  get hasRoom(): boolean {
    return !this.isLeaving && this.session?.closed !== true && this.requests.size < this.streamsMax;
  }

  /** How its making went, microseconds. */
  get phases(): Pick<Dial, 'connectingUs' | 'tlsUs'> {
    return this.dial;
  }

  /** Takes a request, which is sent at once, or as soon as the connection stands. */
  take(request: Http2Request, nowUs: number): void {
    this.requests.add(request);
    if (this.session === undefined) request.awaitConnection(this, nowUs);
    else request.begin(this, this.session, nowUs, false);
  }

  /** The request is over, for whatever reason. One that gave up while the connection was being made gives that up too. */
  release(request: Http2Request): void {
    if (!this.requests.delete(request)) return;
    if (this.session === undefined) this.close();
    else if (this.isLeaving && this.requests.size === 0) this.session.close();
    this.lane.freed();
  }

  /** A request timed out: if nobody is there any more, the next ones shall not have to find out one by one. */
  suspect(nowUs: number): void {
    const { session } = this;
    if (session === undefined || session.destroyed || this.slot !== -1) return;
    this.shared.deadlines.add(this, nowUs + PING_US);
    session.ping(() => {
      this.shared.deadlines.remove(this);
    });
  }

  expire(nowUs: number): void {
    this.failed('timeout', nowUs);
  }

  close(): void {
    this.failed('aborted', this.shared.clock.nowUs());
  }

  /** Bytes that crossed the connection since this was last asked; frames have no owner, so that whoever ends next takes them. */
  takeByteCounts(): { readonly sent: number; readonly received: number } {
    const { bytesWritten, bytesRead } = this.dial.socket;
    const counts = { sent: bytesWritten - this.toldSent, received: bytesRead - this.toldReceived };
    this.toldSent = bytesWritten;
    this.toldReceived = bytesRead;
    return counts;
  }

  opened(nowUs: number): void {
    const { dial } = this;
    // Over TLS the server has to have chosen it; without TLS we know it beforehand (RFC 9113, 3.3).
    if ('encrypted' in dial.socket && dial.protocol !== 'h2') {
      this.failed('protocol', nowUs);
      return;
    }
    const session = connect('http://localhost', {
      createConnection: () => dial.socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES, maxHeaderListSize: this.shared.limits.headBytesMax },
      maxSessionMemory: SESSION_MEMORY_MB,
      maxHeaderListPairs: HEADER_FIELDS_MAX,
    });
    this.session = session;
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on('remoteSettings', ({ maxConcurrentStreams }: Settings) => {
      this.streamsMax = maxConcurrentStreams ?? Infinity;
      this.lane.freed();
    });
    session.on('goaway', (code: number) => {
      // Without an error, what the server took before is still answered; the streams it did not take are reset one by one.
      this.leave();
      if (code !== constants.NGHTTP2_NO_ERROR) this.failed(nameErrorCode(code), this.shared.clock.nowUs());
      else if (this.requests.size === 0) session.close();
    });
    session.on('error', (error: Error) => {
      this.failed(nameSessionError(error, constants.NGHTTP2_NO_ERROR), this.shared.clock.nowUs());
    });
    session.on('close', () => {
      this.failed('connect-reset', this.shared.clock.nowUs());
    });
    for (const request of this.requests) request.begin(this, session, nowUs, true);
  }

  ended(): void {
    // The session reads what came before the end and closes by itself.
    this.leave();
  }

  /** Also the way in which it is closed: everything on it ends with `error`. */
  failed(error: RequestError, nowUs: number): void {
    this.shared.deadlines.remove(this);
    const isFirst = !this.isLeaving;
    this.isLeaving = true;
    const requests = [...this.requests];
    this.requests.clear();
    for (const request of requests) request.finish(error, nowUs, this);
    this.session?.destroy();
    this.dial.destroy();
    if (isFirst) this.lane.left(this);
  }

  private leave(): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    this.lane.left(this);
  }
}
