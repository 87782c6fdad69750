/** One exchange of a ping: sent and received here (`t0`, `t3`), received and sent there (`t1`, `t2`); each side on its own clock, microseconds. */
export interface PingSample {
  readonly t0: number;
  readonly t1: number;
  readonly t2: number;
  readonly t3: number;
}

export interface ClockEstimate {
  /** The agent's clock minus ours, microseconds. */
  readonly offsetUs: number;
  /** The true offset lies within ± this much, microseconds; `Infinity` before the first sample. */
  readonly uncertaintyUs: number;
  readonly samples: number;
}

/** Samples kept: enough to meet a quiet moment of the network, few enough to follow a drifting clock. */
const SAMPLES_MAX = 32;

/** How far the rates of two clocks may differ: RFC 5905's frequency tolerance, PHI. What was known a second ago is known this much less now. */
const DRIFT_PER_US = 15e-6;

/** How far an agent's clock is from ours, by NTP's four timestamps (RFC 5905, sections 8 and 10). The sample of least delay wins, and age
 *  counts as delay: its offset cannot be off by more than half its round trip, whichever way the delay was spent, and by what the clocks
 *  have drifted since. */
export class ClockOffset {
  private readonly samples: { readonly offsetUs: number; readonly delayUs: number; readonly atUs: number }[] = [];

  add({ t0, t1, t2, t3 }: PingSample): void {
    this.samples.push({ offsetUs: (t1 - t0 + (t2 - t3)) / 2, delayUs: Math.max(0, t3 - t0 - (t2 - t1)), atUs: t3 });
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
  }

  /** As of the newest sample. */
  get estimate(): ClockEstimate {
    const nowUs = this.samples.at(-1)?.atUs ?? 0;
    let best = { offsetUs: 0, uncertaintyUs: Infinity };
    for (const { offsetUs, delayUs, atUs } of this.samples) {
      const uncertaintyUs = delayUs / 2 + Math.max(0, nowUs - atUs) * DRIFT_PER_US;
      if (uncertaintyUs < best.uncertaintyUs) best = { offsetUs, uncertaintyUs };
    }
    return { ...best, samples: this.samples.length };
  }
}

/** By how much more than can be put down to uncertainty an agent's clock has moved against ours between two estimates, microseconds. */
export function driftUs(before: ClockEstimate, after: ClockEstimate): number {
  return Math.max(0, Math.abs(after.offsetUs - before.offsetUs) - before.uncertaintyUs - after.uncertaintyUs);
}
