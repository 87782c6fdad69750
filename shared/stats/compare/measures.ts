import { CumulativeCounts } from './cumulative-counts.ts';
import type { StepSlices } from './run-sample.ts';
import type { Side } from './side.ts';

/** What is compared, in this order everywhere. Latencies are those of requests that succeeded; a failure counts in `error_rate` alone, so
 *  failing fast looks like no improvement. `throughput` is successful requests per second. */
export const MEASURES = ['p50', 'p90', 'p95', 'p99', 'p99.9', 'mean', 'error_rate', 'throughput'] as const;
export type Measure = (typeof MEASURES)[number];

export const QUANTILES = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99, 'p99.9': 0.999 } as const;

const QUANTILE_LIST = Object.values(QUANTILES);
const MEAN_AT = MEASURES.indexOf('mean');

export function isQuantile(measure: Measure): measure is keyof typeof QUANTILES {
  return Object.hasOwn(QUANTILES, measure);
}

/** One step, or all of them, of one side: computes every measure for any weights of the slices. */
export class Measured {
  readonly requests: number;
  readonly samples: number;
  private readonly cumulative: CumulativeCounts;
  private readonly counts: Float64Array;
  private readonly sumsUs: Float64Array;
  private readonly failed: Float64Array;
  private readonly side: Side;

  constructor(side: Side, { succeeded, failed }: StepSlices) {
    this.side = side;
    this.cumulative = new CumulativeCounts(succeeded);
    this.counts = Float64Array.from(succeeded, ({ count }) => count);
    this.sumsUs = Float64Array.from(succeeded, ({ sumUs }) => sumUs);
    this.failed = failed;
    this.samples = this.counts.reduce((sum, count) => sum + count, 0);
    this.requests = failed.reduce((sum, count) => sum + count, this.samples);
  }

  /** In the order of `MEASURES`: microseconds, a fraction, requests per second. NaN where the weights leave nothing to compute it from. */
  evaluate(weights: ArrayLike<number>, into: Float64Array): void {
    const { counts, sumsUs, failed, cumulative } = this;
    const { lengthsUs, isWhole } = this.side;
    let count = 0;
    let sumUs = 0;
    let failures = 0;
    let wholeCount = 0;
    let wholeUs = 0;
    for (let slice = 0; slice < counts.length; slice++) {
      const weight = weights[slice]!;
      count += weight * counts[slice]!;
      sumUs += weight * sumsUs[slice]!;
      failures += weight * failed[slice]!;
      if (isWhole[slice] === 0) continue;
      wholeCount += weight * counts[slice]!;
      wholeUs += weight * lengthsUs[slice]!;
    }
    // In the order of `MEASURES`: this runs tens of thousands of times.
    for (let i = 0; i < QUANTILE_LIST.length; i++) into[i] = Math.max(1, cumulative.quantileUs(QUANTILE_LIST[i]!, weights) ?? NaN);
    into[MEAN_AT] = Math.max(1, sumUs / count);
    into[MEAN_AT + 1] = failures / (count + failures);
    into[MEAN_AT + 2] = wholeCount > 0 && wholeUs > 0 ? (wholeCount * 1_000_000) / wholeUs : NaN;
  }

  /** Every measure as a mean over slices, in the order of `MEASURES`: what its value moves by when a slice counts a little more, but for a
   *  factor. Of a quantile that is the share of samples below it (Bahadur 1966). Shows how neighbouring slices hang together. */
  linearForms(): readonly Float64Array[] {
    const { counts, sumsUs, failed, cumulative } = this;
    const ones = new Uint16Array(counts.length).fill(1);
    const meanUs = sumsUs.reduce((sum, us) => sum + us, 0) / Math.max(1, this.samples);
    // A slice without samples says nothing: it stands for the mean of all.
    const perSample = (usual: number, of: (slice: number) => number): Float64Array =>
      counts.map((count, slice) => (count === 0 ? usual : of(slice)));
    return MEASURES.map((measure) => {
      if (isQuantile(measure)) {
        const below = cumulative.below(QUANTILES[measure], ones);
        return perSample(QUANTILES[measure], (slice) => below[slice]! / counts[slice]!);
      }
      if (measure === 'mean') return perSample(meanUs, (slice) => sumsUs[slice]! / counts[slice]!);
      if (measure === 'error_rate') return perSample(0, (slice) => failed[slice]! / (failed[slice]! + counts[slice]!));
      return counts.map((count, slice) => count / this.side.lengthsUs[slice]!);
    });
  }
}

/** The scale on which a measure is compared: ratios of times and of throughput, differences of error rates. */
export function toScale(measure: Measure, value: number): number {
  return measure === 'error_rate' ? value : Math.log(value);
}
