import type { Exchange, HttpClient, Origin } from '../exchange.ts';
import type { RequestError } from '../../../shared/stats/index.ts';
import { Connection, type ConnectionShared } from './connection.ts';

/** Connections one VU keeps; past this the one opened first is closed. */
const CONNECTIONS_MAX = 32;

/** The connections of one VU: one per origin, opened on demand and kept as long as both sides agree. */
export class Http1Client implements HttpClient {
  private readonly shared: ConnectionShared;
  private readonly isAllowed: (host: string, port: number) => boolean;
  private readonly connections = new Map<Origin, Connection>();
  /** The one used last, which spares most requests the look-up. */
  private last: Connection | undefined = undefined;
  private refused: Refused | undefined = undefined;
  private isClosed = false;

  constructor(shared: ConnectionShared, isAllowed: (host: string, port: number) => boolean) {
    this.shared = shared;
    this.isAllowed = isAllowed;
  }

  send(exchange: Exchange, onDone: (exchange: Exchange) => void): void {
    const nowUs = this.shared.clock.nowUs();
    reset(exchange, nowUs);
    const connection = this.connectionTo(exchange.origin, nowUs);
    if (connection === undefined) this.refuse(exchange, onDone, this.isClosed ? 'aborted' : 'not-allowed');
    else connection.send(exchange, onDone, nowUs);
  }

  abort(): void {
    this.last?.abort();
    this.endRefused('aborted');
  }

  /** What is sent afterwards ends as `aborted`. */
  close(): void {
    this.isClosed = true;
    this.abort();
    for (const connection of this.connections.values()) connection.close();
    this.connections.clear();
    this.last = undefined;
  }

  private connectionTo(origin: Origin, nowUs: number): Connection | undefined {
    const last = this.last;
    if (last?.origin === origin && last.isReusable(nowUs)) return last;
    const known = this.connections.get(origin);
    if (known?.isReusable(nowUs) === true) return (this.last = known);
    known?.close();
    this.connections.delete(origin);
    if (this.isClosed || !this.isAllowed(origin.host, origin.port)) return undefined;
    if (this.connections.size >= CONNECTIONS_MAX) this.closeOldest();
    const opened = new Connection(origin, this.shared, nowUs);
    this.connections.set(origin, opened);
    this.last = opened;
    return opened;
  }

  private closeOldest(): void {
    const [oldest] = this.connections.values();
    if (oldest === undefined) return;
    oldest.close();
    this.connections.delete(oldest.origin);
  }

  /** The callback waits for the next turn of the loop: a microtask would let a VU that loops over a refused host starve everybody. */
  private refuse(exchange: Exchange, onDone: (exchange: Exchange) => void, error: RequestError): void {
    const immediate = setImmediate(() => {
      this.endRefused(error);
    });
    this.refused = { exchange, onDone, immediate };
  }

  private endRefused(error: RequestError): void {
    const { refused } = this;
    if (refused === undefined) return;
    this.refused = undefined;
    clearImmediate(refused.immediate);
    refused.exchange.error = error;
    refused.exchange.endedUs = this.shared.clock.nowUs();
    refused.onDone(refused.exchange);
  }
}

/** A request that never reached a connection. */
interface Refused {
  readonly exchange: Exchange;
  readonly onDone: (exchange: Exchange) => void;
  readonly immediate: NodeJS.Immediate;
}

function reset(exchange: Exchange, nowUs: number): void {
  exchange.status = 0;
  exchange.error = undefined;
  exchange.startedUs = nowUs;
  exchange.sentUs = 0;
  exchange.firstByteUs = 0;
  exchange.endedUs = 0;
  exchange.connectingUs = 0;
  exchange.tlsUs = 0;
  exchange.bytesSent = 0;
  exchange.bytesReceived = 0;
  exchange.bodyBytes = 0;
  if (exchange.headers.length > 0) exchange.headers.length = 0;
  exchange.responseBody = undefined;
}
