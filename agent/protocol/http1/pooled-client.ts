import type { Exchange, HttpClient } from '../exchange.ts';
import { resetAnswer } from '../new-exchange.ts';
import type { Connection, ConnectionShared } from './connection.ts';
import type { Waiter } from './deadlines.ts';
import type { Borrower, ConnectionPool } from './pool.ts';
import { Refusal } from './refusal.ts';

/** A VU without connections of its own: it borrows one for every request, and waits where all are in use. The wait is `blocked` time. */
export class PooledClient implements HttpClient, Borrower, Waiter {
  deadlineUs = 0;
  slot = -1;
  next: Waiter | undefined = undefined;
  previous: Waiter | undefined = undefined;

  private readonly shared: ConnectionShared;
  private readonly pool: ConnectionPool;
  private readonly refusal: Refusal;
  private exchange: Exchange | undefined = undefined;
  private onDone: ((exchange: Exchange) => void) | undefined = undefined;
  private connection: Connection | undefined = undefined;
  private isClosed = false;

  constructor(shared: ConnectionShared, pool: ConnectionPool) {
    this.shared = shared;
    this.pool = pool;
    this.refusal = new Refusal(shared.clock);
    pool.join();
  }

  send(exchange: Exchange, onDone: (exchange: Exchange) => void): void {
    const { shared } = this;
    const nowUs = shared.clock.nowUs();
    resetAnswer(exchange, nowUs);
    if (this.isClosed || !shared.dialer.isAllowed(exchange.origin)) {
      this.refusal.begin(exchange, onDone, this.isClosed ? 'aborted' : 'not-allowed');
      return;
    }
    this.exchange = exchange;
    this.onDone = onDone;
    shared.deadlines.add(this, nowUs + exchange.timeoutMs * 1000);
    this.pool.borrow(exchange.origin, this, nowUs);
  }

  take(connection: Connection, nowUs: number): void {
    const { exchange } = this;
    this.shared.deadlines.remove(this);
    this.connection = connection;
    // The time spent in the queue counts against the request's timeout.
    if (exchange !== undefined) connection.send(exchange, this.takeAnswer, exchange.startedUs, nowUs);
  }

  expire(nowUs: number): void {
    this.endWait('timeout', nowUs);
  }

  abort(): void {
    this.connection?.abort();
    this.endWait('aborted', this.shared.clock.nowUs());
    this.refusal.end('aborted');
  }

  beginIteration(): void {
    // Connections are not its own, so that an iteration changes nothing.
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.abort();
    this.pool.leave();
  }

  /** Given back before the VU goes on, for it may ask for the next one at once. */
  private readonly takeAnswer = (exchange: Exchange): void => {
    const { connection, onDone } = this;
    this.exchange = undefined;
    this.onDone = undefined;
    this.connection = undefined;
    if (connection !== undefined) this.pool.giveBack(connection, exchange.endedUs);
    onDone?.(exchange);
  };

  private endWait(error: 'timeout' | 'aborted', nowUs: number): void {
    const { exchange, onDone } = this;
    if (exchange === undefined || this.connection !== undefined) return;
    this.shared.deadlines.remove(this);
    this.pool.giveUp(exchange.origin, this);
    this.exchange = undefined;
    this.onDone = undefined;
    exchange.error = error;
    exchange.endedUs = nowUs;
    onDone?.(exchange);
  }
}
