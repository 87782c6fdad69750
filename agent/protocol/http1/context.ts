import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock } from '../../../shared/base/index.ts';
import type { HttpClient } from '../exchange.ts';
import { Http1Client } from './client.ts';
import type { ConnectionShared } from './connection.ts';
import { Deadlines } from './deadlines.ts';
import { Origins, type Target } from './origin.ts';

export interface HttpContextOptions {
  readonly clock: Clock;
  readonly bodyBytesMax: number;
  readonly headBytesMax: number;
  /** The agent's own allow-list: asked before every new connection. */
  readonly isAllowed: (host: string, port: number) => boolean;
  readonly tls: {
    /** Takes any certificate. */
    readonly insecure?: boolean;
    /** PEM certificates to trust instead of the built-in ones. */
    readonly ca?: string;
  };
}

/** The HTTP/1.1 load path of one agent process. */
export interface HttpContext {
  /** One per VU. */
  createClient(): HttpClient;
  /** `undefined` for what cannot be requested (error `bad-url`). Equal origins are one object. */
  parseUrl(url: string): Target | undefined;
  /** Sockets not yet closed, those still connecting included. */
  readonly openSockets: number;
  /** Of finished requests, those that failed included. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** To be called when every client is closed. */
  close(): Promise<void>;
}

/** One read takes at most this much; the same as libuv's own suggestion. */
const READ_BUFFER_BYTES = 64 * 1024;

export function createHttpContext(options: HttpContextOptions): HttpContext {
  const { clock, bodyBytesMax, headBytesMax, isAllowed, tls } = options;
  const origins = new Origins();
  const deadlines = new Deadlines(clock);
  const shared: ConnectionShared = {
    clock,
    limits: { headBytesMax, bodyBytesMax },
    deadlines,
    readBuffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
    secureContext: once(() => createSecureContext(tls.ca === undefined ? {} : { ca: tls.ca })),
    isTlsVerified: tls.insecure !== true,
    openSockets: 0,
    bytesSent: 0,
    bytesReceived: 0,
  };
  return {
    createClient: () => new Http1Client(shared, isAllowed),
    parseUrl: (url) => origins.parse(url),
    get openSockets() {
      return shared.openSockets;
    },
    get bytesSent() {
      return shared.bytesSent;
    },
    get bytesReceived() {
      return shared.bytesReceived;
    },
    close: () => deadlines.close(),
  };
}

/** Made on first use: reading the root certificates takes some ten milliseconds that a plain target need not pay. */
function once(make: () => SecureContext): () => SecureContext {
  let made: SecureContext | undefined;
  return () => (made ??= make());
}
