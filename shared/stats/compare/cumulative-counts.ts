import { BUCKETS, highestOf } from '../hdr-layout.ts';
import type { SparseCounts } from './sparse-counts.ts';

/** Buckets of the first stride away from where a quantile was last. */
const STRIDE = 8;

/** Cumulative bucket counts of many slices, laid out so that a quantile of any weighted sum of the slices costs a handful of dot products
 *  instead of a sum over all their buckets: about 10 multiplications per slice and quantile, however many samples there are. */
export class CumulativeCounts {
  /** Distinct non-empty buckets, ascending. */
  private readonly buckets: Int32Array;
  /** Row by bucket, column by slice: samples of the slice in this bucket or a lower one. */
  private readonly cumulative: Uint32Array;
  private readonly slices: number;
  /** Where a quantile was found last: in resampled slices it lies close by. */
  private readonly found = new Map<number, number>();

  constructor(slices: readonly SparseCounts[]) {
    this.slices = slices.length;
    const isUsed = new Uint8Array(BUCKETS);
    for (const { indices } of slices) for (const index of indices) isUsed[index] = 1;
    this.buckets = Int32Array.from(isUsed.keys()).filter((index) => isUsed[index] === 1);
    this.cumulative = new Uint32Array(this.buckets.length * this.slices);
    this.fill(slices);
  }

  /** The value at or below which the fraction `p` of the weighted samples lie, as `Histogram.percentileUs` finds it.
   *  `undefined` when the weights leave no sample. */
  quantileUs(p: number, weights: ArrayLike<number>): number | undefined {
    const position = this.positionOf(p, weights);
    return position === undefined ? undefined : highestOf(this.buckets[position]!);
  }

  /** Samples of each slice that lie at or below the value that `quantileUs` returns. */
  below(p: number, weights: ArrayLike<number>): Float64Array {
    const position = this.positionOf(p, weights) ?? 0;
    return Float64Array.from(this.cumulative.subarray(position * this.slices, (position + 1) * this.slices));
  }

  private positionOf(p: number, weights: ArrayLike<number>): number | undefined {
    const last = this.buckets.length - 1;
    const total = last < 0 ? 0 : this.rank(last, weights);
    if (total === 0) return undefined;
    const product = p * total;
    const wanted = Math.max(1, Math.ceil(product - product * Number.EPSILON));
    // Gallops from where it was last to an interval that holds it, and halves that.
    let low = this.found.get(p) ?? last >>> 1;
    let high = low;
    for (let step = STRIDE; low > 0 && this.rank(low - 1, weights) >= wanted; step *= 2) {
      high = low - 1;
      low = Math.max(0, low - step);
    }
    for (let step = STRIDE; high < last && this.rank(high, weights) < wanted; step *= 2) {
      low = high + 1;
      high = Math.min(last, high + step);
    }
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.rank(middle, weights) >= wanted) high = middle;
      else low = middle + 1;
    }
    this.found.set(p, low);
    return low;
  }

  private rank(position: number, weights: ArrayLike<number>): number {
    const { cumulative, slices } = this;
    const row = position * slices;
    // Four sums at a time: one alone would wait for each addition to end before the next. Whole numbers add exactly in any order.
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    let slice = 0;
    for (; slice + 3 < slices; slice += 4) {
      a += cumulative[row + slice]! * weights[slice]!;
      b += cumulative[row + slice + 1]! * weights[slice + 1]!;
      c += cumulative[row + slice + 2]! * weights[slice + 2]!;
      d += cumulative[row + slice + 3]! * weights[slice + 3]!;
    }
    for (; slice < slices; slice++) a += cumulative[row + slice]! * weights[slice]!;
    return a + b + c + d;
  }

  /** Row by row, as the rows lie in memory. */
  private fill(slices: readonly SparseCounts[]): void {
    const next = new Int32Array(slices.length);
    const seen = new Float64Array(slices.length);
    let at = 0;
    for (const bucket of this.buckets) {
      for (let slice = 0; slice < slices.length; slice++) {
        const { indices, samples } = slices[slice]!;
        const entry = next[slice]!;
        if (indices[entry] === bucket) {
          seen[slice]! += samples[entry]!;
          next[slice] = entry + 1;
        }
        this.cumulative[at++] = seen[slice]!;
      }
    }
  }
}
