import { BUCKETS } from '../hdr-layout.ts';
import type { Histogram } from '../histogram.ts';

/** The samples of one stretch of time: non-empty HDR buckets in ascending order, with exact count and sum. A few hundred bytes where a
 *  `Histogram` reserves tens of thousands, so that a comparison can hold every interval of every step at once. Never changed. */
export interface SparseCounts {
  readonly indices: Int32Array;
  readonly samples: Float64Array;
  readonly count: number;
  readonly sumUs: number;
}

export const NO_COUNTS: SparseCounts = { indices: new Int32Array(0), samples: new Float64Array(0), count: 0, sumUs: 0 };

/** Samples above the range of the buckets count in the highest bucket there is: no quantile may be blind to them. */
export function sparseOf(histogram: Histogram): SparseCounts {
  const counts = new Map<number, number>();
  for (const { index, samples } of histogram.buckets()) counts.set(index, samples);
  if (histogram.overflow > 0) counts.set(BUCKETS - 1, (counts.get(BUCKETS - 1) ?? 0) + histogram.overflow);
  return {
    indices: Int32Array.from(counts.keys()),
    samples: Float64Array.from(counts.values()),
    count: histogram.count,
    sumUs: histogram.sumUs,
  };
}

/** Law: adding is commutative and associative, and equals `sparseOf` of the added histograms. */
export function addSparse(a: SparseCounts, b: SparseCounts): SparseCounts {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  const indices = new Int32Array(a.indices.length + b.indices.length);
  const samples = new Float64Array(indices.length);
  let size = 0;
  let i = 0;
  let j = 0;
  while (i < a.indices.length || j < b.indices.length) {
    const left = i < a.indices.length ? a.indices[i]! : Infinity;
    const right = j < b.indices.length ? b.indices[j]! : Infinity;
    indices[size] = Math.min(left, right);
    samples[size++] = (left <= right ? a.samples[i++]! : 0) + (right <= left ? b.samples[j++]! : 0);
  }
  return { indices: indices.slice(0, size), samples: samples.slice(0, size), count: a.count + b.count, sumUs: a.sumUs + b.sumUs };
}
