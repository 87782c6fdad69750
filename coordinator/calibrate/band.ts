import { meanOf, quantile } from './truth.ts';

/** What a measured time may be, microseconds. */
export interface Band {
  readonly lowUs: number;
  readonly highUs: number;
}

/** A time that agrees to the microsecond is rounded twice on its way: by the recorder and by the summary. */
const ROUNDING_US = 2;
/** A percentile is told as the top of its bucket, at most 1 in 1024 above its value; see `shared/stats/hdr-layout.ts`. */
const BUCKET = 1 / 1_024;
/** The way from one socket to the other and back on a quiet machine, which only the agent sees. */
const WAY_US = 300;
/** Moments in a request's life at which agent or server may be kept from the core without the server's log showing it. */
const MOMENTS = 2;
/** Delays that are tried for the bound, as percentiles of the jitter. */
const TRIED = [0, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 100];

/** The band of a percentile of times that are never shorter than the true ones, and longer by the way and by delays.
 *
 *  If one delay exceeds d with probability e, a sample is later than true by more than 2d with probability at most 2e. So at least
 *  p of the samples measured are at most 2d above the true percentile p + 2e, whatever d is: the least of these bounds holds. The jitter
 *  that the server saw stands for the delays, so on a quiet machine the band is narrow, and on a noisy one as wide as the noise makes it. */
export function percentileBand(trueUs: readonly number[], percentile: number, jitterUs: readonly number[]): Band {
  let highUs = Infinity;
  for (const tried of TRIED) {
    const delayUs = quantile(jitterUs, tried);
    const shifted = percentile + MOMENTS * shareAbove(jitterUs, delayUs);
    if (shifted <= 100) highUs = Math.min(highUs, quantile(trueUs, shifted) + MOMENTS * delayUs);
  }
  return { lowUs: quantile(trueUs, percentile) - ROUNDING_US, highUs: (highUs + WAY_US) * (1 + BUCKET) + ROUNDING_US };
}

/** The same for times that end before the server sees anything of them, so that they may also be shorter than what it saw, by a delay. */
export function laxPercentileBand(trueUs: readonly number[], percentile: number, jitterUs: readonly number[]): Band {
  let lowUs = 0;
  for (const tried of TRIED) {
    const delayUs = quantile(jitterUs, tried);
    const shifted = percentile - MOMENTS * shareAbove(jitterUs, delayUs);
    if (shifted > 0) lowUs = Math.max(lowUs, quantile(trueUs, shifted) - MOMENTS * delayUs - WAY_US);
  }
  return { lowUs: Math.max(0, lowUs - ROUNDING_US), highUs: percentileBand(trueUs, percentile, jitterUs).highUs };
}

export function meanBand(trueUs: readonly number[], jitterUs: readonly number[]): Band {
  const mean = meanOf(trueUs);
  return { lowUs: mean - ROUNDING_US, highUs: mean + MOMENTS * meanOf(jitterUs) + WAY_US + ROUNDING_US };
}

export function laxMeanBand(trueUs: readonly number[], jitterUs: readonly number[]): Band {
  const { lowUs, highUs } = meanBand(trueUs, jitterUs);
  return { lowUs: Math.max(0, lowUs - MOMENTS * meanOf(jitterUs) - WAY_US), highUs };
}

/** Per cent of ascending values above the limit. */
function shareAbove(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? Infinity) <= limit) low = middle + 1;
    else high = middle;
  }
  return values.length === 0 ? 0 : ((values.length - low) / values.length) * 100;
}
