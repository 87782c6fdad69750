import type { RequestError } from '../../shared/stats/index.ts';
import type { Exchange, HttpClient } from './exchange.ts';
import type { ConnectionShared } from './http1/connection.ts';
import type { Waiter } from './http1/deadlines.ts';
import type { Asker, Negotiation, Protocol } from './negotiation.ts';
import { resetAnswer } from './new-exchange.ts';

/** A VU that speaks to each origin what the origin speaks. The first request to one waits until that is known: `blocked` time. */
export class NegotiatingClient implements HttpClient, Asker, Waiter {
  deadlineUs = 0;
  slot = -1;
  next: Waiter | undefined = undefined;
  previous: Waiter | undefined = undefined;

  private readonly shared: ConnectionShared;
  private readonly negotiation: Negotiation;
  private readonly http1: HttpClient;
  private readonly http2: HttpClient;
  /** Of a request that waits for the answer. */
  private exchange: Exchange | undefined = undefined;
  private onDone: ((exchange: Exchange) => void) | undefined = undefined;

  constructor(shared: ConnectionShared, negotiation: Negotiation, http1: HttpClient, http2: HttpClient) {
    this.shared = shared;
    this.negotiation = negotiation;
    this.http1 = http1;
    this.http2 = http2;
  }

  send(exchange: Exchange, onDone: (exchange: Exchange) => void): void {
    const protocol = this.negotiation.protocolOf(exchange.origin);
    // What may not be reached is refused there.
    if (protocol !== undefined || !this.shared.dialer.isAllowed(exchange.origin)) {
      this.speaks(protocol).send(exchange, onDone);
      return;
    }
    const nowUs = this.shared.clock.nowUs();
    const totalUs = nowUs + exchange.timeoutMs * 1000;
    resetAnswer(exchange, nowUs);
    this.exchange = exchange;
    this.onDone = onDone;
    this.shared.deadlines.add(this, this.shared.connectUs === 0 ? totalUs : Math.min(totalUs, nowUs + this.shared.connectUs));
    this.negotiation.ask(exchange.origin, this, nowUs);
  }

  learned(protocol: Protocol, nowUs: number): void {
    const { exchange, onDone } = this;
    if (exchange === undefined || onDone === undefined) return;
    this.forget();
    const { startedUs, timeoutMs } = exchange;
    // The wait counts against the request's timeout, and stays in its blocked time.
    exchange.timeoutMs = timeoutMs - (nowUs - startedUs) / 1000;
    this.speaks(protocol).send(exchange, (done) => {
      done.startedUs = startedUs;
      done.timeoutMs = timeoutMs;
      onDone(done);
    });
  }

  notLearned(error: RequestError, nowUs: number): void {
    const { exchange, onDone } = this;
    if (exchange === undefined || onDone === undefined) return;
    this.forget();
    exchange.error = error;
    exchange.endedUs = nowUs;
    onDone(exchange);
  }

  expire(nowUs: number): void {
    this.stopWaiting('timeout', nowUs);
  }

  abort(): void {
    this.stopWaiting('aborted', this.shared.clock.nowUs());
    this.http1.abort();
    this.http2.abort();
  }

  beginIteration(): void {
    this.http1.beginIteration();
    this.http2.beginIteration();
  }

  close(): void {
    this.abort();
    this.http1.close();
    this.http2.close();
  }

  private stopWaiting(error: RequestError, nowUs: number): void {
    if (this.exchange === undefined) return;
    this.negotiation.giveUp(this.exchange.origin, this);
    this.notLearned(error, nowUs);
  }

  private forget(): void {
    this.shared.deadlines.remove(this);
    this.exchange = undefined;
    this.onDone = undefined;
  }

  private speaks(protocol: Protocol | undefined): HttpClient {
    return protocol === 'h2' ? this.http2 : this.http1;
  }
}
