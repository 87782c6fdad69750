import type { Exchange, HttpClient } from '../exchange.ts';
import { resetAnswer } from '../new-exchange.ts';
import type { ConnectionShared } from '../http1/connection.ts';
import { Refusal } from '../http1/refusal.ts';
import type { Lanes } from './lanes.ts';
import { Http2Request } from './request.ts';

/** A VU that speaks HTTP/2, on connections of its own or on those that all VUs of the agent share. */
export class Http2Client implements HttpClient {
  private readonly shared: ConnectionShared;
  private readonly lanes: Lanes;
  private readonly isFreshPerIteration: boolean;
  private readonly request: Http2Request;
  private readonly refusal: Refusal;
  private isClosed = false;

  constructor(shared: ConnectionShared, lanes: Lanes, { isFreshPerIteration }: { readonly isFreshPerIteration: boolean }) {
    this.shared = shared;
    this.lanes = lanes;
    this.isFreshPerIteration = isFreshPerIteration;
    this.request = new Http2Request(shared);
    this.refusal = new Refusal(shared.clock);
    lanes.join();
  }

  send(exchange: Exchange, onDone: (exchange: Exchange) => void): void {
    const nowUs = this.shared.clock.nowUs();
    resetAnswer(exchange, nowUs);
    if (this.isClosed || !this.shared.dialer.isAllowed(exchange.origin)) {
      this.refusal.begin(exchange, onDone, this.isClosed ? 'aborted' : 'not-allowed');
    } else {
      this.request.send(exchange, onDone, this.lanes.to(exchange.origin), nowUs);
    }
  }

  abort(): void {
    this.request.abort();
    this.refusal.end('aborted');
  }

  beginIteration(): void {
    if (this.isFreshPerIteration) this.lanes.close();
  }

  /** What is sent afterwards ends as `aborted`. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.abort();
    this.lanes.leave();
  }
}
