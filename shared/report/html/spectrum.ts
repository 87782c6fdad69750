import type { Histogram } from '../../stats/index.ts';

/** Points per halving of the distance to 100 %, as HdrHistogram's percentile output has by default. */
const TICKS_PER_HALF = 5;

/** The percentile spectrum in HdrHistogram's manner: steps shrink with the distance to 100 %, so that each further nine gets as many points as
 *  the one before. Ends with the maximum, at the percentile of the last sample. Empty when the histogram is.
 *  Source: `PercentileIterator` of HdrHistogram (Tene). */
export function spectrumOf(histogram: Histogram): (readonly [percentile: number, valueUs: number])[] {
  const { count } = histogram;
  if (count === 0) return [];
  const points: (readonly [number, number])[] = [];
  let percentile = 0;
  // From here on the percentile would be that of less than one sample.
  const last = 100 * (1 - 1 / count);
  while (percentile < last) {
    points.push([round(percentile), histogram.percentileUs(percentile) ?? 0]);
    const halvings = Math.floor(Math.log2(100 / (100 - percentile))) + 1;
    percentile += 100 / (TICKS_PER_HALF * 2 ** halvings);
  }
  points.push([round(last), histogram.maxUs]);
  return points;
}

function round(percentile: number): number {
  return Number(percentile.toFixed(7));
}
