import type { Clock } from '../../shared/base/index.ts';

interface Sleeper {
  readonly wakeUs: number;
  readonly wake: () => void;
}

/** A clock that stands still until the test moves it. */
export class FakeClock implements Clock {
  private timeUs: number;
  private readonly sleepers = new Set<Sleeper>();
  private readonly watchers = new Set<() => void>();

  /** Starts at a round instant, microseconds since the Unix epoch. */
  constructor(startUs = 1_700_000_000_000_000) {
    this.timeUs = startUs;
  }

  nowUs(): number {
    return this.timeUs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const wake = (): void => {
        this.sleepers.delete(sleeper);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const sleeper = { wakeUs: this.timeUs + Math.max(0, ms) * 1000, wake };
      this.sleepers.add(sleeper);
      signal?.addEventListener('abort', wake);
      for (const watcher of this.watchers) watcher();
    });
  }

  /** How many `sleep` calls have not ended. */
  get sleeping(): number {
    return this.sleepers.size;
  }

  /** Resolves as soon as at least `count` sleeps are under way. */
  untilSleeping(count = 1): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.sleepers.size < count) return;
        this.watchers.delete(look);
        resolve();
      };
      this.watchers.add(look);
      look();
    });
  }

  /** Moves time forward, stopping at every instant at which somebody wakes: what they then do sees that instant, and may sleep again
   *  within the same advance. Sleepers of one instant wake in the order in which they went to sleep. */
  async advance(ms: number): Promise<void> {
    const endUs = this.timeUs + ms * 1000;
    for (;;) {
      await settled();
      const next = this.nextSleeper();
      if (next === undefined || next.wakeUs > endUs) break;
      this.timeUs = Math.max(this.timeUs, next.wakeUs);
      next.wake();
    }
    this.timeUs = endUs;
    await settled();
  }

  private nextSleeper(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.sleepers) if (first === undefined || sleeper.wakeUs < first.wakeUs) first = sleeper;
    return first;
  }
}

/** One turn of the event loop: every promise chain that needs nothing but promises has run to its end by then. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
