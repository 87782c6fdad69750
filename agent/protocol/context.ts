import type { Clock } from '../../shared/base/index.ts';
import { HTTP_DEFAULTS, TLS_DEFAULTS, type ConnectionPolicy, type HttpSettings, type TlsSettings } from '../../shared/plan/index.ts';
import type { HttpClient } from './exchange.ts';
import { Http1Client } from './http1/client.ts';
import type { ConnectionShared } from './http1/connection.ts';
import { Deadlines } from './http1/deadlines.ts';
import { Dialer } from './http1/dialer.ts';
import { Origins, type Target } from './http1/origin.ts';
import { ConnectionPool } from './http1/pool.ts';
import { Http2Client } from './http2/client.ts';
import { Lanes } from './http2/lanes.ts';
import { Negotiation } from './negotiation.ts';
import { NegotiatingClient } from './negotiating-client.ts';
import { PooledClient } from './http1/pooled-client.ts';
import { ReaderPool } from './http1/reader-pool.ts';

export interface HttpContextOptions {
  readonly clock: Clock;
  readonly bodyBytesMax: number;
  readonly headBytesMax: number;
  /** The agent's own allow-list: asked before every new connection. */
  readonly isAllowed: (host: string, port: number) => boolean;
  readonly tls: Partial<TlsSettings>;
  /** Everything else; what is left out is as by default. */
  readonly http?: Partial<Omit<HttpSettings, 'tls'>>;
}

/** The HTTP load path of one agent process. */
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
  const { clock, bodyBytesMax, headBytesMax, isAllowed } = options;
  const settings: HttpSettings = { ...HTTP_DEFAULTS, ...options.http, tls: { ...TLS_DEFAULTS, ...options.tls } };
  const origins = new Origins();
  const deadlines = new Deadlines(clock);
  const limits = { headBytesMax, bodyBytesMax };
  const shared: ConnectionShared = {
    clock,
    limits,
    readers: new ReaderPool(limits),
    deadlines,
    readBuffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
    dialer: new Dialer(settings, clock, isAllowed),
    connectUs: settings.timeouts.connectMs * 1000,
    firstByteUs: settings.timeouts.firstByteMs * 1000,
    openSockets: 0,
    bytesSent: 0,
    bytesReceived: 0,
  };
  return {
    createClient: clientFactory(shared, settings),
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

type MakeClient = () => HttpClient;

function clientFactory(shared: ConnectionShared, { version, connections }: HttpSettings): MakeClient {
  switch (version) {
    case '1.1':
      return http1Factory(shared, connections);
    case '2':
      return http2Factory(shared, connections);
    case 'auto': {
      const negotiation = new Negotiation(shared);
      const [one, two] = [http1Factory(shared, connections), http2Factory(shared, connections)];
      return () => new NegotiatingClient(shared, negotiation, one(), two());
    }
  }
}

function http1Factory(shared: ConnectionShared, policy: ConnectionPolicy): MakeClient {
  switch (policy.kind) {
    case 'per-vu':
      return () => new Http1Client(shared, false);
    case 'per-iteration':
      return () => new Http1Client(shared, true);
    case 'shared': {
      const pool = new ConnectionPool(shared, policy.max);
      return () => new PooledClient(shared, pool);
    }
  }
}

/** Origins to which one VU keeps connections over HTTP/2; as many as over HTTP/1.1. */
const ORIGINS_MAX = 32;

function http2Factory(shared: ConnectionShared, policy: ConnectionPolicy): MakeClient {
  switch (policy.kind) {
    case 'per-vu':
      return () => new Http2Client(shared, new Lanes(shared, 1, ORIGINS_MAX), { isFreshPerIteration: false });
    case 'per-iteration':
      return () => new Http2Client(shared, new Lanes(shared, 1, ORIGINS_MAX), { isFreshPerIteration: true });
    case 'shared': {
      const lanes = new Lanes(shared, policy.max);
      return () => new Http2Client(shared, lanes, { isFreshPerIteration: false });
    }
  }
}
