import type { RequestError } from '../../../shared/stats/index.ts';
import type { Exchange, Origin } from '../exchange.ts';
import { decodeBody } from '../decode-body.ts';
import { StreamedBody, type RequestBody } from '../body.ts';
import { BodyPump } from '../body-pump.ts';
import type { Deadlines, Waiter } from './deadlines.ts';
import { Dial, type DialOwner, type DialShared } from './dial.ts';
import type { Proxy } from './proxy.ts';
import { throughProxy } from './proxy-head.ts';
import type { ReaderPool } from './reader-pool.ts';
import type { ResponseLimits, ResponseReader } from './reader.ts';

/** What all connections of an agent share. */
export interface ConnectionShared extends DialShared {
  readonly limits: ResponseLimits;
  readonly readers: ReaderPool;
  readonly deadlines: Deadlines;
  /** 0 for none. */
  readonly connectUs: number;
  readonly firstByteUs: number;
  bytesSent: number;
  bytesReceived: number;
}

/** A head and body up to this length are copied together and leave in one segment or two; longer ones are handed over as they are. */
const JOINED_BYTES_MAX = 16 * 1024;

/** A connection idle for this long before its announced end is not used again: the server's close might cross the request. */
const KEEP_ALIVE_MARGIN_SECONDS = 1;

/** One socket, one request at a time, no retries: every `send` is at most one request on the wire, so that requests add up. */
export class Connection implements Waiter, DialOwner {
  readonly origin: Origin;

  deadlineUs = 0;
  slot = -1;
  next: Waiter | undefined = undefined;
  previous: Waiter | undefined = undefined;

  private readonly shared: ConnectionShared;
  /** Requests over plain HTTP go to it whole. */
  private readonly proxy: Proxy | undefined;
  private readonly dial: Dial;
  /** Of a streamed body under way. */
  private pump: BodyPump | undefined = undefined;
  private exchange: Exchange | undefined = undefined;
  private onDone: ((exchange: Exchange) => void) | undefined = undefined;
  /** From the first byte of a response to its last. */
  private reader: ResponseReader | undefined = undefined;
  private reusableUntilUs = 0;
  /** When the request under way must have ended, whatever nearer deadline its phase has. */
  private totalUs = 0;

  constructor(origin: Origin, shared: ConnectionShared, nowUs: number) {
    this.origin = origin;
    this.shared = shared;
    this.proxy = origin.isTls ? undefined : shared.dialer.proxy(origin);
    this.dial = new Dial(origin, shared, this, { protocols: ['http/1.1'], onBytes: this.takeBytes }, nowUs);
  }

  /** Whether it stands, is idle and will not be closed by the server at any moment. */
  isReusable(nowUs: number): boolean {
    return nowUs < this.reusableUntilUs && this.exchange === undefined;
  }

  /** Sends at once on an open connection, else as soon as it is open. The deadline counts from `fromUs` in either case. */
  send(exchange: Exchange, onDone: (exchange: Exchange) => void, fromUs: number, nowUs: number): void {
    this.exchange = exchange;
    this.onDone = onDone;
    const { shared } = this;
    this.totalUs = fromUs + exchange.timeoutMs * 1000;
    if (this.dial.isOpen) {
      shared.deadlines.add(this, this.totalUs);
      this.write(exchange, nowUs);
    } else {
      shared.deadlines.add(this, shared.connectUs === 0 ? this.totalUs : Math.min(this.totalUs, nowUs + shared.connectUs));
    }
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

  opened(nowUs: number): void {
    const { exchange } = this;
    if (exchange === undefined) return;
    exchange.connectingUs = this.dial.connectingUs;
    exchange.tlsUs = this.dial.tlsUs;
    if (this.shared.connectUs !== 0) this.expectBy(this.totalUs);
    this.write(exchange, nowUs);
  }

  ended(nowUs: number): void {
    const { reader } = this;
    if (reader !== undefined) {
      reader.end();
      if (reader.isDone) {
        this.destroy();
        this.finish(undefined, nowUs);
        return;
      }
    }
    this.finish('connect-reset', nowUs);
    this.destroy();
  }

  failed(error: RequestError, nowUs: number): void {
    this.finish(error, nowUs);
  }

  private expectBy(deadlineUs: number): void {
    this.shared.deadlines.remove(this);
    this.shared.deadlines.add(this, deadlineUs);
  }

  private write(exchange: Exchange, nowUs: number): void {
    const { body } = exchange;
    const head = this.proxy === undefined ? exchange.head : throughProxy(exchange.head, this.origin, this.proxy);
    exchange.sentUs = nowUs;
    exchange.bytesSent = head.length;
    if (this.shared.firstByteUs !== 0) this.expectBy(Math.min(this.totalUs, nowUs + this.shared.firstByteUs));
    const { socket } = this.dial;
    if (body === undefined) {
      socket.write(head, 'latin1');
    } else if (body instanceof StreamedBody) {
      socket.write(head, 'latin1');
      this.stream(exchange, body, nowUs);
    } else if (head.length + body.length <= JOINED_BYTES_MAX) {
      const joined = Buffer.allocUnsafe(head.length + body.length);
      joined.write(head, 'latin1');
      body.copy(joined, head.length);
      socket.write(joined);
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body, () => {
        // What the kernel did not take at once went out as the peer read it.
        if (this.exchange === exchange && exchange.sentUs === nowUs) exchange.sendingUs = this.shared.clock.nowUs() - nowUs;
      });
      socket.uncork();
    }
  }

  private stream(exchange: Exchange, body: StreamedBody, fromUs: number): void {
    const { clock } = this.shared;
    this.pump = new BodyPump(
      body,
      (bytes, taken) =>
        this.dial.socket.write(bytes, (error) => {
          if (error === null || error === undefined) taken();
        }),
      (isWhole) => {
        const nowUs = clock.nowUs();
        exchange.sendingUs = nowUs - fromUs;
        if (!isWhole) this.finish('file-unreadable', nowUs);
      },
    );
    this.pump.start();
  }

  /** The hot path: everything between a response in the kernel and the next request there. Reads the clock once. */
  private readonly takeBytes = (bytes: Buffer, byteCount: number): void => {
    const { exchange, shared } = this;
    if (exchange === undefined) {
      // Nothing was asked: whatever this is, the next response could not be told from it.
      this.destroy();
      return;
    }
    const nowUs = shared.clock.nowUs();
    if (exchange.firstByteUs === 0) {
      exchange.firstByteUs = nowUs;
      if (shared.firstByteUs !== 0) this.expectBy(this.totalUs);
    }
    const reader = (this.reader ??= this.beginReading(exchange));
    const end = reader.read(bytes, 0, byteCount);
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
  };

  private beginReading(exchange: Exchange): ResponseReader {
    const reader = this.shared.readers.take();
    reader.begin(exchange.isHead, exchange.keepHeaders, exchange.keepBody, exchange.headMemo);
    return reader;
  }

  /** A response may overtake a long body; the rest of it is then still on its way out. */
  private isRequestSent(exchange: Exchange): boolean {
    return exchange.body === undefined || this.unsentBytes(exchange.body) === 0;
  }

  private unsentBytes(body: RequestBody): number {
    return this.pump === undefined ? this.dial.socket.writableLength : body.length - this.pump.sentBytes;
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
    if (exchange.sentUs === 0) {
      exchange.connectingUs = this.dial.connectingUs;
      exchange.tlsUs = this.dial.tlsUs;
    } else {
      if (exchange.body !== undefined) this.settleBody(exchange, exchange.body);
      if (reader !== undefined) this.takeAnswer(exchange, reader);
      shared.bytesSent += exchange.bytesSent;
      shared.bytesReceived += exchange.bytesReceived;
    }
    if (error !== undefined) this.destroy();
    onDone(exchange);
  }

  /** What was read of it, whole or not, and with that its reader is free. */
  private takeAnswer(exchange: Exchange, reader: ResponseReader): void {
    const { limits, readers } = this.shared;
    const { status, head, body } = reader;
    exchange.status = status;
    exchange.bodyBytes = body.byteCount;
    exchange.location = head.location;
    exchange.challenge = head.challenge;
    // A head that was cut off may have cut the last of them too.
    if (status !== 0) exchange.setCookies = head.setCookies;
    if (exchange.keepHeaders) exchange.responseHead = head.text;
    if (exchange.keepBody && exchange.error === undefined) {
      exchange.responseBody = body.result();
      if (head.contentEncoding !== '') exchange.error = decodeBody(exchange, head.contentEncoding, limits.bodyBytesMax);
    }
    this.reader = undefined;
    readers.giveBack(reader);
  }

  /** What did not leave before the end was being sent until then. */
  private settleBody(exchange: Exchange, body: RequestBody): void {
    const unsent = this.unsentBytes(body);
    exchange.bytesSent += Math.max(0, body.length - unsent);
    if (unsent > 0) exchange.sendingUs = exchange.endedUs - exchange.sentUs;
    this.pump?.stop();
    this.pump = undefined;
  }

  private destroy(): void {
    this.reusableUntilUs = 0;
    this.dial.destroy();
  }
}
