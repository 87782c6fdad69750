import type { Exchange, HttpClient, Origin } from '../exchange.ts';
import { resetAnswer } from '../new-exchange.ts';
import { Connection, type ConnectionShared } from './connection.ts';
import { Refusal } from './refusal.ts';

/** Connections one VU keeps; past this the one opened first is closed. */
const CONNECTIONS_MAX = 32;

/** The connections of one VU: one per origin, opened on demand and kept as long as both sides agree. */
export class Http1Client implements HttpClient {
  private readonly shared: ConnectionShared;
  private readonly isFreshPerIteration: boolean;
  private readonly connections = new Map<Origin, Connection>();
  /** The one used last, which spares most requests the look-up. */
  private last: Connection | undefined = undefined;
  private readonly refusal: Refusal;
  private isClosed = false;

  constructor(shared: ConnectionShared, isFreshPerIteration: boolean) {
    this.shared = shared;
    this.isFreshPerIteration = isFreshPerIteration;
    this.refusal = new Refusal(shared.clock);
  }

  send(exchange: Exchange, onDone: (exchange: Exchange) => void): void {
    const nowUs = this.shared.clock.nowUs();
    resetAnswer(exchange, nowUs);
    const connection = this.connectionTo(exchange.origin, nowUs);
    if (connection === undefined) this.refusal.begin(exchange, onDone, this.isClosed ? 'aborted' : 'not-allowed');
    else connection.send(exchange, onDone, nowUs, nowUs);
  }

  abort(): void {
    this.last?.abort();
    this.refusal.end('aborted');
  }

  /** What is sent afterwards ends as `aborted`. */
  close(): void {
    this.isClosed = true;
    this.abort();
    this.closeConnections();
  }

  beginIteration(): void {
    if (this.isFreshPerIteration) this.closeConnections();
  }

  private closeConnections(): void {
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
    if (this.isClosed || !this.shared.dialer.isAllowed(origin)) return undefined;
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
}
