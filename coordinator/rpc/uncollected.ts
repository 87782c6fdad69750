import type { Clock } from '../../shared/base/index.ts';
import type { Outcome } from '../outcome.ts';

/** Somebody who leaves without a word is not waited for any longer, microseconds. */
const PATIENCE_US = 10e6;

/** Bundles that somebody was just told are ready and has not fetched yet: what a coordinator that ends must wait for. */
export class Uncollected {
  private readonly clock: Clock;
  /** Until when each is waited for. */
  private readonly waiting = new Map<string, number>();
  private onNone: () => void = () => undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** `peer`: the connection, as gRPC names it. A run that came to nothing has no bundle that anybody would fetch. */
  told(peer: string, runId: string, { summary }: Pick<Outcome, 'summary'>): void {
    if (summary === undefined) return;
    this.waiting.set(`${peer} ${runId}`, this.clock.nowUs() + PATIENCE_US);
  }

  fetched(peer: string, runId: string): void {
    this.waiting.delete(`${peer} ${runId}`);
    if (this.waiting.size === 0) this.onNone();
  }

  /** Resolves when nobody is waited for any more. */
  async untilNone(): Promise<void> {
    const nowUs = this.clock.nowUs();
    for (const [who, untilUs] of this.waiting) if (untilUs <= nowUs) this.waiting.delete(who);
    if (this.waiting.size === 0) return;
    const ms = (Math.max(...this.waiting.values()) - nowUs) / 1000;
    const over = new AbortController();
    this.onNone = () => {
      over.abort();
    };
    await this.clock.sleep(ms, over.signal);
  }
}
