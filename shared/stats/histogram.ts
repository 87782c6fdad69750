import { BUCKETS, HIGHEST_US, highestOf, indexOf, lowestOf, middleOf } from './hdr-layout.ts';

/** Buckets allocated at first: 0 .. 1 ms, 8 KiB. A histogram grows only as far as its values reach: a coordinator holds one for every series of
 *  every open interval. */
const INITIAL_BUCKETS = 1024;
const BUCKETS_AT_A_TIME = 8;

/** Counts of whole microseconds in HDR buckets, with exact count, sum, min and max beside them.
 *  Law: `add` is commutative and associative, and adding the parts equals recording everything in one place, bucket for bucket. */
export class Histogram {
  /** Samples, those above range included. */
  count = 0;
  sumUs = 0;
  /** `Infinity` while empty. */
  minUs = Infinity;
  maxUs = 0;
  /** Samples above one hour: counted here and in sum and max, in no bucket. */
  overflow = 0;
  /** Samples per bucket; reads past its length are zero. Float64 keeps counts exact up to 2^53. */
  counts: Float64Array;
  /** Buckets outside `[lowIndex, highIndex]` are zero. Empty when `highIndex < lowIndex`. */
  lowIndex = BUCKETS;
  highIndex = -1;

  /** `buckets`: how far its values are known to reach, so that it need not grow. */
  constructor(buckets = INITIAL_BUCKETS) {
    this.counts = new Float64Array(buckets);
  }

  /** Records one duration, rounded to whole microseconds; a negative one (clocks can tie) counts as 0. About 5 ns. */
  record(durationUs: number): void {
    // `durationUs > 0` is false for NaN too: a missing instant shows as 0 instead of poisoning the sum.
    const valueUs = durationUs > 0 ? Math.round(durationUs) : 0;
    this.count++;
    this.sumUs += valueUs;
    if (valueUs < this.minUs) this.minUs = valueUs;
    if (valueUs > this.maxUs) this.maxUs = valueUs;
    if (valueUs > HIGHEST_US) {
      this.overflow++;
      return;
    }
    const index = indexOf(valueUs);
    if (index < this.lowIndex) this.lowIndex = index;
    if (index > this.highIndex) this.reach(index);
    this.counts[index]!++;
  }

  /** Records `samples` durations of 0. */
  recordZeros(samples: number): void {
    if (samples === 0) return;
    this.addTotals({ count: samples, sumUs: 0, minUs: 0, maxUs: 0, overflow: 0 });
    this.addToBucket(0, samples);
  }

  add(other: Histogram): void {
    if (other.highIndex >= other.lowIndex) {
      if (other.highIndex > this.highIndex) this.reach(other.highIndex);
      if (other.lowIndex < this.lowIndex) this.lowIndex = other.lowIndex;
      for (let index = other.lowIndex; index <= other.highIndex; index++) this.counts[index]! += other.counts[index]!;
    }
    this.addTotals(other);
  }

  /** The exact numbers that buckets do not keep. For `add`, and for a decoder that fills the buckets itself. */
  addTotals(totals: HistogramTotals): void {
    this.count += totals.count;
    this.sumUs += totals.sumUs;
    this.overflow += totals.overflow;
    if (totals.count > 0) {
      if (totals.minUs < this.minUs) this.minUs = totals.minUs;
      if (totals.maxUs > this.maxUs) this.maxUs = totals.maxUs;
    }
  }

  /** Adds `samples` to one bucket without touching the totals: for decoders, and for what counts by bucket. */
  addToBucket(index: number, samples: number): void {
    if (index < this.lowIndex) this.lowIndex = index;
    if (index > this.highIndex) this.reach(index);
    this.counts[index]! += samples;
  }

  /** The counts, long enough for bucket `index`: for decoders that add to them and then call `noteBuckets`. */
  room(index: number): Float64Array {
    if (index >= this.counts.length) this.grow(index);
    return this.counts;
  }

  /** Samples were added to `counts`, all of them in buckets `[first, end)`. */
  noteBuckets(first: number, end: number): void {
    const { counts } = this;
    let highest = end - 1;
    while (highest > this.highIndex && !(counts[highest]! > 0)) highest--;
    if (highest > this.highIndex) this.highIndex = highest;
    let lowest = first;
    while (lowest < end && lowest < this.lowIndex && counts[lowest] === 0) lowest++;
    if (lowest < end && lowest < this.lowIndex) this.lowIndex = lowest;
  }

  reset(): void {
    if (this.highIndex >= this.lowIndex) this.counts.fill(0, this.lowIndex, this.highIndex + 1);
    this.count = 0;
    this.sumUs = 0;
    this.minUs = Infinity;
    this.maxUs = 0;
    this.overflow = 0;
    this.lowIndex = BUCKETS;
    this.highIndex = -1;
  }

  /** The value below or at which `percentile` per cent of the samples lie: the top of its bucket, never above the exact maximum.
   *  The rank is HdrHistogram's: ⌈p/100 · count⌉, not pushed up by rounding in the product. `undefined` when empty. */
  percentileUs(percentile: number): number | undefined {
    if (this.count === 0) return undefined;
    if (percentile <= 0) return this.minUs;
    const product = (Math.min(percentile, 100) / 100) * this.count;
    const rank = Math.max(1, Math.ceil(product - product * Number.EPSILON));
    const { counts, highIndex } = this;
    let seen = 0;
    let index = this.lowIndex;
    // Eight buckets at a time up to the one it lies in: a coordinator asks this of every batch, and one addition after the other takes two and a half times as long.
    for (let end = index + BUCKETS_AT_A_TIME; end <= highIndex + 1; end += BUCKETS_AT_A_TIME) {
      const left = counts[index]! + counts[index + 1]! + (counts[index + 2]! + counts[index + 3]!);
      const right = counts[index + 4]! + counts[index + 5]! + (counts[index + 6]! + counts[index + 7]!);
      const after = seen + (left + right);
      if (after >= rank) break;
      seen = after;
      index = end;
    }
    for (; index <= highIndex; index++) {
      seen += counts[index]!;
      if (seen >= rank) return Math.min(highestOf(index), this.maxUs);
    }
    return this.maxUs;
  }

  get meanUs(): number | undefined {
    return this.count === 0 ? undefined : this.sumUs / this.count;
  }

  /** Population standard deviation around the exact mean, with bucket middles for values (as HdrHistogram does). */
  get stdDevUs(): number | undefined {
    const mean = this.meanUs;
    if (mean === undefined) return undefined;
    let sum = 0;
    for (let index = this.lowIndex; index <= this.highIndex; index++) {
      const samples = this.counts[index]!;
      if (samples > 0) sum += samples * (middleOf(index) - mean) ** 2;
    }
    const inRange = this.count - this.overflow;
    return inRange === 0 ? 0 : Math.sqrt(sum / inRange);
  }

  /** Non-empty buckets in ascending order. */
  *buckets(): Generator<{ readonly index: number; readonly lowestUs: number; readonly highestUs: number; readonly samples: number }> {
    for (let index = this.lowIndex; index <= this.highIndex; index++) {
      const samples = this.counts[index]!;
      if (samples > 0) yield { index, lowestUs: lowestOf(index), highestUs: highestOf(index), samples };
    }
  }

  private reach(index: number): void {
    if (index >= this.counts.length) this.grow(index);
    this.highIndex = index;
  }

  private grow(index: number): void {
    let { length } = this.counts;
    while (length <= index) length *= 2;
    const grown = new Float64Array(Math.min(length, BUCKETS));
    grown.set(this.counts);
    this.counts = grown;
  }
}

export interface HistogramTotals {
  readonly count: number;
  readonly sumUs: number;
  readonly minUs: number;
  readonly maxUs: number;
  readonly overflow: number;
}
