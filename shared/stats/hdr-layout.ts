/** The one HDR configuration of the project: whole microseconds from 1 µs to 1 hour at 3 significant digits.
 *  Values fall into buckets whose width doubles with every power of two above 2048, so no value is off by more than 1 in 1024
 *  (the layout of HdrHistogram, Tene, public domain; index arithmetic checked against hdr-histogram-js in the tests). */
export const LOWEST_US = 1;
export const HIGHEST_US = 3_600_000_000;
export const SIGNIFICANT_DIGITS = 3;

const SUB_BUCKET_HALF_BITS = 10;
const SUB_BUCKET_HALF = 1 << SUB_BUCKET_HALF_BITS;

/** Bucket of a whole value 0 .. HIGHEST_US. Values need all 32 bits, hence the unsigned shift. */
export function indexOf(valueUs: number): number {
  const bits = 32 - Math.clz32(valueUs);
  if (bits <= SUB_BUCKET_HALF_BITS + 1) return valueUs;
  const shift = bits - SUB_BUCKET_HALF_BITS - 1;
  return (shift << SUB_BUCKET_HALF_BITS) + (valueUs >>> shift);
}

/** Smallest value that falls into bucket `index`. */
export function lowestOf(index: number): number {
  if (index < 2 * SUB_BUCKET_HALF) return index;
  const shift = (index >>> SUB_BUCKET_HALF_BITS) - 1;
  return (index - (shift << SUB_BUCKET_HALF_BITS)) * 2 ** shift;
}

/** Largest whole value that falls into bucket `index`. */
export function highestOf(index: number): number {
  return lowestOf(index) + widthOf(index) - 1;
}

/** The value in the middle of bucket `index`, as HdrHistogram uses it for the standard deviation. */
export function middleOf(index: number): number {
  return lowestOf(index) + Math.floor(widthOf(index) / 2);
}

function widthOf(index: number): number {
  return index < 2 * SUB_BUCKET_HALF ? 1 : 2 ** ((index >>> SUB_BUCKET_HALF_BITS) - 1);
}

/** Number of buckets of the configuration. */
export const BUCKETS = indexOf(HIGHEST_US) + 1;
