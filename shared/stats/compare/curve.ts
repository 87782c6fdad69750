import { BUCKETS, highestOf } from '../hdr-layout.ts';
import type { RunSample } from './run-sample.ts';

/** One point of a percentile curve: the fraction `p` of the samples lies at or below `us`. */
export interface CurvePoint {
  readonly p: number;
  readonly us: number;
}

/** Points per factor of ten towards the maximum: 90 %, 99 %, 99.9 % are so far apart each. */
const POINTS_PER_DECADE = 24;

/** The percentile curve of one step, or of all of them, over all runs of a side; evenly spaced in nines (log 1/(1 - p)), as far as there
 *  are samples. Empty without any. */
export function percentileCurve(runs: readonly RunSample[], step?: string): readonly CurvePoint[] {
  const counts = new Float64Array(BUCKETS);
  let total = 0;
  for (const { steps } of runs) {
    for (const [name, { succeeded }] of steps) {
      if (step !== undefined && name !== step) continue;
      for (const { indices, samples } of succeeded) {
        for (let i = 0; i < indices.length; i++) {
          counts[indices[i]!]! += samples[i]!;
          total += samples[i]!;
        }
      }
    }
  }
  const points: CurvePoint[] = [];
  const decades = total > 0 ? Math.log10(total) : -1;
  let bucket = 0;
  let seen = counts[0]!;
  for (let i = 0; i <= decades * POINTS_PER_DECADE; i++) {
    const p = 1 - 10 ** (-i / POINTS_PER_DECADE);
    while (bucket < BUCKETS - 1 && seen < Math.max(1, Math.ceil(p * total - 1e-9))) seen += counts[++bucket]!;
    points.push({ p, us: highestOf(bucket) });
  }
  return points;
}
