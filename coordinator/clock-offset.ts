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

/** How far an agent's clock is from ours, by NTP's four timestamps (RFC 5905, section 8). The sample of least delay wins: its
 *  offset cannot be off by more than half its round trip, whichever way the delay was spent. */
export class ClockOffset {
  private readonly samples: { readonly offsetUs: number; readonly delayUs: number }[] = [];

  add({ t0, t1, t2, t3 }: PingSample): void {
    this.samples.push({ offsetUs: (t1 - t0 + (t2 - t3)) / 2, delayUs: Math.max(0, t3 - t0 - (t2 - t1)) });
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
  }

  get estimate(): ClockEstimate {
    let best = { offsetUs: 0, delayUs: Infinity };
    for (const sample of this.samples) if (sample.delayUs < best.delayUs) best = sample;
    return { offsetUs: best.offsetUs, uncertaintyUs: best.delayUs / 2, samples: this.samples.length };
  }
}
