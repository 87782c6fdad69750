import type { Clock } from '../../../shared/base/index.ts';
import type { RequestError } from '../../../shared/stats/index.ts';
import type { Exchange } from '../exchange.ts';

interface Refused {
  readonly exchange: Exchange;
  readonly onDone: (exchange: Exchange) => void;
  readonly immediate: NodeJS.Immediate;
}

/** The end of a request that never reaches a connection. */
export class Refusal {
  private readonly clock: Clock;
  private refused: Refused | undefined = undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The callback waits for the next turn of the loop: a microtask would let a VU that loops over a refused host starve everybody. */
  begin(exchange: Exchange, onDone: (exchange: Exchange) => void, error: RequestError): void {
    const immediate = setImmediate(() => {
      this.end(error);
    });
    this.refused = { exchange, onDone, immediate };
  }

  /** Ends it now, when there is one. */
  end(error: RequestError): void {
    const { refused } = this;
    if (refused === undefined) return;
    this.refused = undefined;
    clearImmediate(refused.immediate);
    refused.exchange.error = error;
    refused.exchange.endedUs = this.clock.nowUs();
    refused.onDone(refused.exchange);
  }
}
