import type { Clock } from '../shared/base/index.ts';
import type { Pacing } from '../shared/plan/index.ts';
import { createRelaxedSleeper, createSleeper, type Sleeper } from './sleeper.ts';

/** Called once per turn with the one reading of the clock that everybody in the turn sees; returns the next instant something is due.
 *  `isLast`: everything that the loop had to read is read, so whoever could hope for an answer to come first need not wait longer.
 *  What is left for such a turn stays due. */
export type Turn = (nowUs: number, isLast: boolean) => number;

/** A due instant nearer than this is not worth a sleep: waking the thread takes longer. The loop turns instead, I/O in between.
 *  Who is relaxed about a millisecond does not turn for less than one. */
const SPIN_BELOW_US = { precise: 80, relaxed: 0 } as const satisfies Record<Pacing, number>;

/** Wakes the event loop when something is due, far closer than timers do (see `sleeper.ts`), and fires everything due in one turn.
 *  It never waits for what it fires: waiting would hide the target's stalls (coordinated omission). */
export class Pacer {
  private readonly clock: Clock;
  private readonly turn: Turn;
  private readonly sleeper: Sleeper;
  private readonly spinBelowUs: number;
  private dueUs = Infinity;
  private isSpinning = false;
  private isClosed = false;

  constructor(clock: Clock, turn: Turn, pacing: Pacing = 'precise') {
    this.clock = clock;
    this.turn = turn;
    this.sleeper = pacing === 'relaxed' ? createRelaxedSleeper(clock, this.wake) : createSleeper(this.wake);
    this.spinBelowUs = SPIN_BELOW_US[pacing];
  }

  /** Runs a turn now and sleeps until what it says is due next. Call it to start, and when something became due earlier. */
  readonly wake = (): void => {
    if (!this.isClosed) this.run(this.clock.nowUs(), false);
  };

  /** Runs a turn that leaves nothing due: for whoever is about to change what is. */
  flush(): void {
    if (!this.isClosed) this.run(this.clock.nowUs(), true);
  }

  /** For whoever just read the clock anyway (a response arrived): fires what is due without waiting for the next wake-up. */
  notice(nowUs: number): void {
    if (nowUs >= this.dueUs && !this.isClosed) this.run(nowUs, false);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.sleeper.close();
  }

  private run(nowUs: number, isLast: boolean): void {
    // Nothing is due while the turn runs: a response noticed inside it must not start another.
    this.dueUs = Infinity;
    this.dueUs = this.turn(nowUs, isLast);
    const waitUs = this.dueUs - nowUs;
    if (waitUs > this.spinBelowUs) {
      this.sleeper.sleepUntil(this.dueUs);
      return;
    }
    if (this.isSpinning) return;
    this.isSpinning = true;
    setImmediate(this.spun);
  }

  private readonly spun = (): void => {
    this.isSpinning = false;
    if (!this.isClosed) this.run(this.clock.nowUs(), true);
  };
}
