import type { PollOptions } from '../../shared/scenario/index.ts';
import type { SpanError } from '../../shared/stats/index.ts';
import type { SpanMetric } from '../recorder.ts';
import type { Surroundings } from './actor.ts';
import type { ScriptIteration } from './script-iteration.ts';
import { msOf } from './ms-of.ts';

const POLL_EVERY = '1s';
const POLL_LIMIT = '60s';

/** Parts of a function that are measured or repeated as a whole. A part that an interruption ends is not recorded, as its iteration is not. */
export class ScriptSpans {
  private readonly iteration: ScriptIteration;
  private readonly around: Surroundings;

  constructor(iteration: ScriptIteration, around: Surroundings) {
    this.iteration = iteration;
    this.around = around;
  }

  async measure<T>(metric: SpanMetric, name: string, run: () => Promise<T> | T): Promise<T> {
    this.iteration.mustGoOn();
    const fromUs = this.around.clock.nowUs();
    let error: SpanError | undefined = 'thrown';
    try {
      const result = await run();
      error = undefined;
      return result;
    } finally {
      const nowUs = this.around.clock.nowUs();
      if (!this.iteration.isOver) {
        this.around.beforeSample(nowUs);
        this.iteration.samples.span(metric, name, fromUs, nowUs, error);
      }
    }
  }

  poll<T>(name: string, probe: () => Promise<T | undefined | null | false>, options: PollOptions = {}): Promise<T> {
    const everyMs = msOf(options.every ?? POLL_EVERY, 'poll every ');
    const limitMs = msOf(options.limit ?? POLL_LIMIT, 'poll limit ');
    const { clock } = this.around;
    const giveUpUs = clock.nowUs() + limitMs * 1000;
    return this.measure('transaction_duration', name, async () => {
      for (;;) {
        const found = await probe();
        if (found !== undefined && found !== null && found !== false) return found;
        if (clock.nowUs() + everyMs * 1000 > giveUpUs) throw new Error(`poll "${name}": nothing within ${limitMs / 1000} s`);
        await this.iteration.pause(everyMs);
      }
    });
  }

  async retry<T>(times: number, run: () => Promise<T> | T, wait: string | number): Promise<T> {
    if (!Number.isInteger(times) || times < 1) throw new TypeError(`retry(${String(times)}): expected a whole number of times from 1`);
    const waitMs = msOf(wait, 'retry wait ');
    for (let left = times - 1; ; left--) {
      try {
        return await run();
      } catch (thrown) {
        // The last throw, and one that says that the iteration is over, are the caller's.
        if (left === 0 || this.iteration.isOver) throw thrown;
      }
      if (waitMs > 0) await this.iteration.pause(waitMs);
    }
  }
}
