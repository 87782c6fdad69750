import type { Origin } from '../exchange.ts';
import { Connection, type ConnectionShared } from './connection.ts';

/** Somebody who waits for a connection. */
export interface Borrower {
  /** The connection is the borrower's until it is given back. */
  take(connection: Connection, nowUs: number): void;
}

interface Lane {
  /** The one given back last is taken first, so that what is not needed grows old and is closed by the server. */
  readonly idle: Connection[];
  /** In the order of asking. A borrower waits for one request, so there are never more than VUs. */
  readonly waiting: Set<Borrower>;
  lent: number;
}

/** Connections that all VUs of an agent share: at most `max` lent at once per origin, and whoever finds none free waits. */
export class ConnectionPool {
  private readonly shared: ConnectionShared;
  private readonly max: number;
  private readonly lanes = new Map<Origin, Lane>();
  private clients = 0;

  constructor(shared: ConnectionShared, max: number) {
    this.shared = shared;
    this.max = max;
  }

  /** Hands a connection to `borrower`, at once when one is free or may be opened. */
  borrow(origin: Origin, borrower: Borrower, nowUs: number): void {
    const lane = this.lane(origin);
    if (lane.lent >= this.max) lane.waiting.add(borrower);
    else this.lend(lane, origin, borrower, nowUs);
  }

  /** Ends a wait. */
  giveUp(origin: Origin, borrower: Borrower): void {
    this.lanes.get(origin)?.waiting.delete(borrower);
  }

  /** The next one in the queue gets it, or a new one in its place. */
  giveBack(connection: Connection, nowUs: number): void {
    const { origin } = connection;
    const lane = this.lane(origin);
    lane.lent--;
    if (connection.isReusable(nowUs)) lane.idle.push(connection);
    else connection.close();
    const [next] = lane.waiting;
    if (next === undefined) return;
    lane.waiting.delete(next);
    this.lend(lane, origin, next, nowUs);
  }

  join(): void {
    this.clients++;
  }

  /** When the last client leaves, the idle connections are closed. */
  leave(): void {
    this.clients--;
    if (this.clients > 0) return;
    for (const { idle } of this.lanes.values()) for (const connection of idle.splice(0)) connection.close();
  }

  private lane(origin: Origin): Lane {
    let lane = this.lanes.get(origin);
    if (lane === undefined) {
      lane = { idle: [], waiting: new Set(), lent: 0 };
      this.lanes.set(origin, lane);
    }
    return lane;
  }

  private lend(lane: Lane, origin: Origin, borrower: Borrower, nowUs: number): void {
    lane.lent++;
    let connection = lane.idle.pop();
    while (connection !== undefined && !connection.isReusable(nowUs)) {
      connection.close();
      connection = lane.idle.pop();
    }
    borrower.take(connection ?? new Connection(origin, this.shared, nowUs), nowUs);
  }
}
