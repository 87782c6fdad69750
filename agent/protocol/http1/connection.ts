import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type SecureContext } from 'node:tls';
import type { Clock } from '../../../shared/base/index.ts';
import type { RequestError } from '../../../shared/stats/index.ts';
import type { Exchange, Origin } from '../exchange.ts';
import { nameConnectionError, type Stage } from './connection-errors.ts';
import type { Deadlines, Waiter } from './deadlines.ts';
import { ResponseReader, type ResponseLimits } from './reader.ts';

/** What all connections of an agent share. */
export interface ConnectionShared {
  readonly clock: Clock;
  readonly limits: ResponseLimits;
  readonly deadlines: Deadlines;
  /** One buffer for every socket: each read is used up before the next one begins. */
  readonly readBuffer: Buffer;
  secureContext(): SecureContext;
  readonly isTlsVerified: boolean;
  openSockets: number;
  bytesSent: number;
  bytesReceived: number;
}

/** A head and body up to this length are copied together and leave in one segment or two; longer ones are handed over as they are. */
const JOINED_BYTES_MAX = 16 * 1024;

/** A connection idle for this long before its announced end is not used again: the server's close might cross the request. */
const KEEP_ALIVE_MARGIN_SECONDS = 1;

/** One socket, one request at a time, no retries: every `send` is at most one request on the wire, so that requests add up. */
export class Connection implements Waiter {
  readonly origin: Origin;

  deadlineUs = 0;
  slot = -1;
  next: Waiter | undefined = undefined;
  previous: Waiter | undefined = undefined;

  private readonly shared: ConnectionShared;
  private readonly reader: ResponseReader;
  private readonly socket: Socket;
  private stage: Stage = 'connecting';
  private stageFromUs: number;
  private exchange: Exchange | undefined = undefined;
  private onDone: ((exchange: Exchange) => void) | undefined = undefined;
  private reusableUntilUs = 0;

  constructor(origin: Origin, shared: ConnectionShared, nowUs: number) {
    this.origin = origin;
    this.shared = shared;
    this.reader = new ResponseReader(shared.limits);
    this.stageFromUs = nowUs;
    this.socket = this.connect();
  }

  /** Whether it stands, is idle and will not be closed by the server at any moment. */
  isReusable(nowUs: number): boolean {
    return nowUs < this.reusableUntilUs && this.exchange === undefined;
  }

  /** Sends at once on an open connection, else as soon as it is open. The deadline counts from `nowUs` in either case. */
  send(exchange: Exchange, onDone: (exchange: Exchange) => void, nowUs: number): void {
    this.exchange = exchange;
    this.onDone = onDone;
    this.shared.deadlines.add(this, nowUs + exchange.timeoutMs * 1000);
    if (this.stage === 'open') this.write(exchange, nowUs);
  }

  abort(): void {
    if (this.exchange !== undefined) this.finish('aborted', this.shared.clock.nowUs());
  }

  /** Aborts, then closes. */
  close(): void {
    this.abort();
    this.destroy();
  }

  expire(nowUs: number): void {
    this.finish('timeout', nowUs);
  }

  private connect(): Socket {
    const { host, port, isTls } = this.origin;
    const onread: OnReadOpts = { buffer: this.shared.readBuffer, callback: (byteCount) => this.takeBytes(byteCount) };
    const base = { host, port, onread, noDelay: true };
    const socket = isTls ? connectTls(this.withTls(base)) : connectTcp(base);
    this.shared.openSockets++;
    socket.on('connect', () => {
      this.takeConnect();
    });
    socket.on('end', () => {
      this.takeEnd();
    });
    // It stays for the socket's whole life: errors that follow our own destroy find nothing left to finish.
    socket.on('error', (error: Error) => {
      this.finish(nameConnectionError(error, this.stage), this.shared.clock.nowUs());
    });
    socket.on('close', () => {
      this.shared.openSockets--;
      this.finish('connect-reset', this.shared.clock.nowUs());
    });
    if (isIP(host) === 0) socket.on('lookup', () => (this.stageFromUs = this.shared.clock.nowUs()));
    if (isTls) {
      socket.on('secureConnect', () => {
        this.takeSecureConnect();
      });
    }
    return socket;
  }

  private withTls(base: { readonly host: string; readonly port: number; readonly onread: OnReadOpts }): ConnectionOptions {
    const options: ConnectionOptions & { readonly onread: OnReadOpts } = {
      ...base,
      secureContext: this.shared.secureContext(),
      rejectUnauthorized: this.shared.isTlsVerified,
      ALPNProtocols: ['http/1.1'],
    };
    // A name indication must be a name (RFC 6066, 3).
    if (isIP(base.host) === 0) options.servername = base.host;
    return options;
  }

  private takeConnect(): void {
    const { exchange } = this;
    if (exchange === undefined) return;
    const nowUs = this.shared.clock.nowUs();
    exchange.connectingUs = nowUs - this.stageFromUs;
    this.stageFromUs = nowUs;
    if (this.origin.isTls) this.stage = 'handshaking';
    else this.open(exchange, nowUs);
  }

  private takeSecureConnect(): void {
    const { exchange } = this;
    if (exchange === undefined) return;
    const nowUs = this.shared.clock.nowUs();
    exchange.tlsUs = nowUs - this.stageFromUs;
    this.open(exchange, nowUs);
  }

  private open(exchange: Exchange, nowUs: number): void {
    this.stage = 'open';
    this.write(exchange, nowUs);
  }

  private write(exchange: Exchange, nowUs: number): void {
    const { head, body } = exchange;
    exchange.sentUs = nowUs;
    this.reader.begin(exchange.isHead, exchange.keepHeaders ? exchange.headers : undefined, exchange.keepBody);
    if (body === undefined) {
      this.socket.write(head, 'latin1');
    } else if (head.length + body.length <= JOINED_BYTES_MAX) {
      const joined = Buffer.allocUnsafe(head.length + body.length);
      joined.write(head, 'latin1');
      body.copy(joined, head.length);
      this.socket.write(joined);
    } else {
      this.socket.cork();
      this.socket.write(head, 'latin1');
      this.socket.write(body);
      this.socket.uncork();
    }
  }

  /** The hot path: everything between a response in the kernel and the next request there. Reads the clock once. */
  private takeBytes(byteCount: number): boolean {
    const { exchange, reader, shared } = this;
    if (exchange === undefined) {
      // Nothing was asked: whatever this is, the next response could not be told from it.
      this.destroy();
      return true;
    }
    const nowUs = shared.clock.nowUs();
    if (exchange.firstByteUs === 0) exchange.firstByteUs = nowUs;
    const end = reader.read(shared.readBuffer, 0, byteCount);
    exchange.bytesReceived += end;
    if (reader.isDone) {
      if (end === byteCount && reader.isReusable && this.isRequestSent(exchange)) {
        this.reusableUntilUs = nowUs + (reader.head.keepAliveSeconds - KEEP_ALIVE_MARGIN_SECONDS) * 1e6;
      } else {
        this.destroy();
      }
      this.finish(undefined, nowUs);
    } else if (reader.error !== undefined) {
      this.finish(reader.error, nowUs);
    }
    return true;
  }

  /** The peer closed its side. */
  private takeEnd(): void {
    const nowUs = this.shared.clock.nowUs();
    if (this.exchange !== undefined && this.stage === 'open') {
      this.reader.end();
      if (this.reader.isDone) {
        this.destroy();
        this.finish(undefined, nowUs);
        return;
      }
    }
    this.finish(this.stage === 'handshaking' ? 'tls' : 'connect-reset', nowUs);
    this.destroy();
  }

  /** A response may overtake a long body; the rest of it is then still on its way out. */
  private isRequestSent(exchange: Exchange): boolean {
    return exchange.body === undefined || this.socket.writableLength === 0;
  }

  /** Ends the exchange in hand, if any; with an error the connection goes too. The callback comes last, for it may send again. */
  private finish(error: RequestError | undefined, nowUs: number): void {
    const { exchange, onDone, shared, reader } = this;
    if (exchange === undefined || onDone === undefined) return;
    this.exchange = undefined;
    this.onDone = undefined;
    shared.deadlines.remove(this);
    exchange.error = error;
    exchange.endedUs = nowUs;
    if (exchange.sentUs !== 0) {
      exchange.status = reader.status;
      exchange.bodyBytes = reader.body.byteCount;
      exchange.bytesSent = exchange.head.length + (exchange.body === undefined ? 0 : exchange.body.length - this.socket.writableLength);
      if (exchange.keepBody && error === undefined) exchange.responseBody = reader.body.result();
      shared.bytesSent += exchange.bytesSent;
      shared.bytesReceived += exchange.bytesReceived;
    }
    if (error !== undefined) this.destroy();
    onDone(exchange);
  }

  private destroy(): void {
    this.stage = 'closed';
    this.reusableUntilUs = 0;
    this.socket.destroy();
  }
}
