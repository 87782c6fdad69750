import { connect as connectTcp, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../../shared/base/index.ts';
import type { RequestError } from '../../../shared/stats/index.ts';
import type { Origin } from '../exchange.ts';
import { nameConnectionError, type Stage } from './connection-errors.ts';
import type { Dialer } from './dialer.ts';
import type { Proxy } from './proxy.ts';
import { openTunnel } from './tunnel.ts';

/** What all connections of an agent share for being made. */
export interface DialShared {
  readonly clock: Clock;
  readonly dialer: Dialer;
  /** One buffer for every socket: each read is used up before the next one begins. */
  readonly readBuffer: Buffer;
  openSockets: number;
}

/** Whom a connection is made for. */
export interface DialOwner {
  /** It stands. */
  opened(nowUs: number): void;
  /** The peer closed its side of a connection that stood. */
  ended(nowUs: number): void;
  /** It could not be made, broke or was closed. Also called after `destroy`, when there is nothing left to fail. */
  failed(error: RequestError, nowUs: number): void;
}

export interface DialOptions {
  /** Offered by ALPN. */
  readonly protocols: readonly string[];
  /** Takes what arrives; without it the socket is left to be read by whoever takes it over. */
  readonly onBytes?: (bytes: Buffer, byteCount: number) => void;
  /** Also plain connections go through the proxy by CONNECT: the proxy does not speak what is spoken in them. */
  readonly alwaysTunnels?: boolean;
}

/** How long a peer may take to close its side too. */
const HANG_UP_MS = 2_000;

/** One connection from the wish for it to its end: name look-up, TCP or unix socket, the proxy's tunnel, TLS. */
export class Dial {
  /** Durations, microseconds, as far as it came. */
  connectingUs = 0;
  tlsUs = 0;
  socket: Socket;

  private readonly origin: Origin;
  private readonly shared: DialShared;
  private readonly owner: DialOwner;
  private readonly options: DialOptions;
  private stage: Stage = 'connecting';
  private stageFromUs: number;

  constructor(origin: Origin, shared: DialShared, owner: DialOwner, options: DialOptions, nowUs: number) {
    this.origin = origin;
    this.shared = shared;
    this.owner = owner;
    this.options = options;
    this.stageFromUs = nowUs;
    this.socket = this.connect();
  }

  get isOpen(): boolean {
    return this.stage === 'open';
  }

  /** The protocol that TLS agreed on; empty for none. */
  get protocol(): string {
    return 'alpnProtocol' in this.socket && typeof this.socket.alpnProtocol === 'string' ? this.socket.alpnProtocol : '';
  }

  destroy(): void {
    this.stage = 'closed';
    this.socket.destroy();
  }

  /** Closes a connection that stands as it should be: an end in the middle of a handshake would be an error at the peer. */
  hangUp(): void {
    this.socket.resume();
    this.socket.setTimeout(HANG_UP_MS, () => this.socket.destroy());
    this.socket.end();
  }

  private connect(): Socket {
    const { origin, shared, options } = this;
    const { dialer, readBuffer } = shared;
    const { onBytes, protocols } = options;
    shared.openSockets++;
    const proxy = dialer.proxy(origin);
    if (proxy !== undefined && (origin.isTls || options.alwaysTunnels === true)) return this.connectThrough(proxy);
    const onread: OnReadOpts | undefined = onBytes && {
      buffer: readBuffer,
      callback: (byteCount) => {
        onBytes(readBuffer, byteCount);
        return true;
      },
    };
    const base = { ...dialer.destination(origin), ...(onread === undefined ? {} : { onread }), noDelay: true };
    const socket = origin.isTls ? connectTls({ ...base, ...dialer.tls(origin, protocols) }) : connectTcp(base);
    socket.on('connect', () => {
      this.takeConnect();
    });
    this.listen(socket);
    return socket;
  }

  /** A connection to the proxy, and inside it, once the proxy has opened the tunnel, TLS. */
  private connectThrough(proxy: Proxy): Socket {
    const { origin, shared, options } = this;
    const outer = connectTcp({ ...shared.dialer.destination(origin), noDelay: true });
    const fail = (error: RequestError): void => {
      if (this.stage === 'connecting' || this.socket === outer) this.owner.failed(error, shared.clock.nowUs());
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
      if (this.stage === 'closed') return;
      if (!isOpen) {
        fail('connect');
        outer.destroy();
        return;
      }
      if (origin.isTls) {
        // The read buffer cannot be shared here: a socket within a socket brings its own.
        const socket = connectTls({ socket: outer, host: origin.host, ...shared.dialer.tls(origin, options.protocols) });
        const { onBytes } = options;
        if (onBytes !== undefined) socket.on('data', (bytes: Buffer) => onBytes(bytes, bytes.length));
        this.socket = socket;
        this.listen(socket);
      } else {
        outer.on('end', () => {
          this.takeEnd();
        });
      }
      this.takeConnect();
    });
    return outer;
  }

  private listen(socket: Socket): void {
    const { origin, shared, owner } = this;
    socket.on('end', () => {
      this.takeEnd();
    });
    // It stays for the socket's whole life: errors that follow our own destroy find nothing left to fail.
    socket.on('error', (error: Error) => {
      if (this.stage === 'handshaking') shared.dialer.forgetSession(origin);
      owner.failed(nameConnectionError(error, this.stage), shared.clock.nowUs());
    });
    socket.on('close', () => {
      shared.openSockets--;
      owner.failed('connect-reset', shared.clock.nowUs());
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
    if (this.stage !== 'connecting') return;
    const nowUs = this.shared.clock.nowUs();
    this.connectingUs = nowUs - this.stageFromUs;
    this.stageFromUs = nowUs;
    this.stage = this.origin.isTls ? 'handshaking' : 'open';
    if (this.stage === 'open') this.owner.opened(nowUs);
  }

  private takeSecureConnect(): void {
    if (this.stage !== 'handshaking') return;
    const nowUs = this.shared.clock.nowUs();
    this.tlsUs = nowUs - this.stageFromUs;
    this.stage = 'open';
    this.owner.opened(nowUs);
  }

  private takeEnd(): void {
    const nowUs = this.shared.clock.nowUs();
    if (this.stage === 'open') {
      this.owner.ended(nowUs);
      return;
    }
    this.owner.failed(this.stage === 'handshaking' ? 'tls' : 'connect-reset', nowUs);
    this.destroy();
  }
}
