import { BUCKETS, HIGHEST_US, highestOf, indexOf, lowestOf, middleOf } from './hdr-layout.ts';

/** Buckets allocated at first: 0 .. 32 ms, 48 KiB. A histogram grows only as far as its values reach. */
const INITIAL_BUCKETS = 6 * 1024;

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
  counts: Float64Array = new Float64Array(INITIAL_BUCKETS);
  /** Buckets outside `[lowIndex, highIndex]` are zero. Empty when `highIndex < lowIndex`. */
  lowIndex = BUCKETS;
  highIndex = -1;

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

  /** Adds `samples` to one bucket without touching the totals: for decoders. */
  addToBucket(index: number, samples: number): void {
    if (index < this.lowIndex) this.lowIndex = index;
    if (index > this.highIndex) this.reach(index);
    this.counts[index]! += samples;
  }

  /** Adds entries `[from, to)` of a list in ascending order, without touching the totals. */
  addBuckets(list: BucketList, from: number, to: number): void {
    if (from >= to) return;
    const { indices, samples } = list;
    const lowest = indices[from]!;
    const highest = indices[to - 1]!;
    if (highest > this.highIndex) this.reach(highest);
    if (lowest < this.lowIndex) this.lowIndex = lowest;
    const { counts } = this;
    for (let entry = from; entry < to; entry++) counts[indices[entry]!]! += samples[entry]!;
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
    let seen = 0;
    for (let index = this.lowIndex; index <= this.highIndex; index++) {
      seen += this.counts[index]!;
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
    if (index >= this.counts.length) {
      let length = this.counts.length;
      while (length <= index) length *= 2;
      const grown = new Float64Array(Math.min(length, BUCKETS));
      grown.set(this.counts);
      this.counts = grown;
    }
    this.highIndex = index;
  }
}

export interface HistogramTotals {
  readonly count: number;
  readonly sumUs: number;
  readonly minUs: number;
  readonly maxUs: number;
  readonly overflow: number;
}

/** Non-empty buckets, decoded and not yet added anywhere. Kept and filled again, so that merging allocates nothing. */
export class BucketList {
  indices = new Int32Array(4_096);
  samples = new Float64Array(4_096);
  length = 0;

  push(index: number, samples: number): void {
    if (this.length === this.indices.length) this.grow();
    this.indices[this.length] = index;
    this.samples[this.length] = samples;
    this.length++;
  }

  clear(): void {
    this.length = 0;
  }

  private grow(): void {
    const indices = new Int32Array(this.length * 2);
    const samples = new Float64Array(this.length * 2);
    indices.set(this.indices);
    samples.set(this.samples);
    this.indices = indices;
    this.samples = samples;
  }
}
