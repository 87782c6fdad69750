import { connect as connectTcp, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../../shared/base/index.ts';
import type { RequestError } from '../../../shared/stats/index.ts';
import type { Exchange, Origin } from '../exchange.ts';
import { decodeBody } from '../decode-body.ts';
import { nameConnectionError, type Stage } from './connection-errors.ts';
import type { Deadlines, Waiter } from './deadlines.ts';
import type { Dialer } from './dialer.ts';
import type { Proxy } from './proxy.ts';
import { throughProxy } from './proxy-head.ts';
import { ResponseReader, type ResponseLimits } from './reader.ts';
import { openTunnel } from './tunnel.ts';

/** What all connections of an agent share. */
export interface ConnectionShared {
  readonly clock: Clock;
  readonly limits: ResponseLimits;
  readonly deadlines: Deadlines;
  /** One buffer for every socket: each read is used up before the next one begins. */
  readonly readBuffer: Buffer;
  readonly dialer: Dialer;
  /** 0 for none. */
  readonly connectUs: number;
  readonly firstByteUs: number;
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
  /** Requests over plain HTTP go to it whole; those over TLS through a tunnel that it opens. */
  private readonly proxy: Proxy | undefined;
  private socket: Socket;
  private stage: Stage = 'connecting';
  private stageFromUs: number;
  private exchange: Exchange | undefined = undefined;
  private onDone: ((exchange: Exchange) => void) | undefined = undefined;
  private reusableUntilUs = 0;
  /** When the request under way must have ended, whatever nearer deadline its phase has. */
  private totalUs = 0;

  constructor(origin: Origin, shared: ConnectionShared, nowUs: number) {
    this.origin = origin;
    this.shared = shared;
    this.reader = new ResponseReader(shared.limits);
    this.stageFromUs = nowUs;
    this.proxy = shared.dialer.proxy(origin);
    this.socket = this.connect();
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
    if (this.stage === 'open') {
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

  private connect(): Socket {
    const { origin, shared } = this;
    const { dialer } = shared;
    const onread: OnReadOpts = {
      buffer: shared.readBuffer,
      callback: (byteCount) => {
        this.takeBytes(shared.readBuffer, byteCount);
        return true;
      },
    };
    shared.openSockets++;
    if (this.proxy !== undefined && origin.isTls) return this.connectThrough(this.proxy);
    const base = { ...dialer.destination(origin), onread, noDelay: true };
    const socket = origin.isTls ? connectTls({ ...base, ...dialer.tls(origin, ['http/1.1']) }) : connectTcp(base);
    socket.on('connect', () => {
      this.takeConnect();
    });
    this.listen(socket);
    return socket;
  }

  /** A connection to the proxy, and TLS inside it once the proxy has opened the tunnel. */
  private connectThrough(proxy: Proxy): Socket {
    const { origin, shared } = this;
    const outer = connectTcp({ ...shared.dialer.destination(origin), noDelay: true });
    const fail = (error: RequestError): void => {
      if (this.stage === 'connecting') this.finish(error, shared.clock.nowUs());
    };
    if (shared.dialer.looksUp(origin)) outer.on('lookup', () => (this.stageFromUs = shared.clock.nowUs()));
    outer.on('error', (error: Error) => {
      fail(nameConnectionError(error, this.stage));
    });
    outer.on('close', () => {
      if (this.socket === outer) shared.openSockets--;
      fail('connect-reset');
    });
    openTunnel(outer, origin, proxy, (isOpen) => {
      if (!isOpen) {
        fail('connect');
        outer.destroy();
        return;
      }
      this.takeConnect();
      // The read buffer cannot be shared here: a socket within a socket brings its own.
      this.socket = connectTls({ socket: outer, host: origin.host, ...shared.dialer.tls(origin, ['http/1.1']) });
      this.socket.on('data', (bytes: Buffer) => {
        this.takeBytes(bytes, bytes.length);
      });
      this.listen(this.socket);
    });
    return outer;
  }

  private listen(socket: Socket): void {
    const { origin, shared } = this;
    socket.on('end', () => {
      this.takeEnd();
    });
    // It stays for the socket's whole life: errors that follow our own destroy find nothing left to finish.
    socket.on('error', (error: Error) => {
      if (this.stage === 'handshaking') shared.dialer.forgetSession(origin);
      this.finish(nameConnectionError(error, this.stage), shared.clock.nowUs());
    });
    socket.on('close', () => {
      shared.openSockets--;
      this.finish('connect-reset', shared.clock.nowUs());
    });
    if (shared.dialer.looksUp(origin)) socket.on('lookup', () => (this.stageFromUs = shared.clock.nowUs()));
    if (!origin.isTls) return;
    socket.on('secureConnect', () => {
      this.takeSecureConnect();
    });
    socket.on('session', (session: Buffer) => {
      shared.dialer.rememberSession(origin, session);
    });
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
    if (this.shared.connectUs !== 0) this.expectBy(this.totalUs);
    this.write(exchange, nowUs);
  }

  private expectBy(deadlineUs: number): void {
    this.shared.deadlines.remove(this);
    this.shared.deadlines.add(this, deadlineUs);
  }

  private write(exchange: Exchange, nowUs: number): void {
    const { body } = exchange;
    const head = this.proxy === undefined || this.origin.isTls ? exchange.head : throughProxy(exchange.head, this.origin, this.proxy);
    exchange.sentUs = nowUs;
    exchange.bytesSent = head.length;
    if (this.shared.firstByteUs !== 0) this.expectBy(Math.min(this.totalUs, nowUs + this.shared.firstByteUs));
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
      this.socket.write(body, () => {
        // What the kernel did not take at once went out as the peer read it.
        if (this.exchange === exchange && exchange.sentUs === nowUs) exchange.sendingUs = this.shared.clock.nowUs() - nowUs;
      });
      this.socket.uncork();
    }
  }

  /** The hot path: everything between a response in the kernel and the next request there. Reads the clock once. */
  private takeBytes(bytes: Buffer, byteCount: number): void {
    const { exchange, reader, shared } = this;
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
      exchange.location = reader.head.location;
      exchange.challenge = reader.head.challenge;
      if (exchange.body !== undefined) exchange.bytesSent += exchange.body.length - this.socket.writableLength;
      if (exchange.keepBody && error === undefined) {
        exchange.responseBody = reader.body.result();
        if (reader.head.contentEncoding !== '')
          exchange.error = decodeBody(exchange, reader.head.contentEncoding, shared.limits.bodyBytesMax);
      }
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
