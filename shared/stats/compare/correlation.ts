import { autocovariances } from './block-length.ts';
import { MEASURES } from './measures.ts';
import type { Span } from './resample.ts';

/** A series that is closer to a random walk has no mean to speak of. */
const COEFFICIENT_MAX = 0.95;
const LAGS = 3;

/** By how much the correlation that blocks cut apart makes the variance of each measure too small, in the order of `MEASURES`; at least 1.
 *
 *  Blocks weigh the covariance at lag k by 1 - k/length (Künsch 1989) and lose the rest. How much that is follows from an AR(1) process seen
 *  through noise, whose covariances fall from the first lag on by one coefficient: the idea of Andrews and Monahan's prewhitening (1992). */
export function correlationFactors(forms: readonly Float64Array[], runs: readonly Span[], blockLength: number): readonly number[] {
  const moments = forms.map((form) => momentsOf(form, runs));
  // Times wander together, and the median has the least noise of its own to hide it.
  const ofTimes = coefficientOf(moments[MEASURES.indexOf('p50')] ?? []);
  return moments.map((covariances, i) => {
    const [variance = 0, atOne = 0] = covariances;
    if (!(variance > 0) || atOne <= 0) return 1;
    const isTime = MEASURES[i] !== 'error_rate' && MEASURES[i] !== 'throughput';
    const coefficient = Math.max(coefficientOf(covariances), isTime ? ofTimes : 0);
    let kept = 0;
    for (let lag = 1; lag < blockLength; lag++) kept += (1 - lag / blockLength) * coefficient ** (lag - 1);
    return (variance + (2 * atOne) / (1 - coefficient)) / (variance + 2 * atOne * kept);
  });
}

/** The coefficient of an AR(1) process by its first covariance, or, as far as that one is certain, by how covariances fall from lag to lag,
 *  which noise does not make smaller. The larger one: too wide an interval is the lesser error. */
function coefficientOf([variance = 0, atOne = 0, atTwo = 0, atThree = 0, length = 0]: readonly number[]): number {
  if (!(variance > 0) || atOne <= 0) return 0;
  const direct = atOne / variance;
  const fall = (Math.max(0, atTwo) + Math.max(0, atThree)) / (atOne + Math.max(0, atTwo));
  const certainty = Math.min(1, (direct * Math.sqrt(length)) / 3);
  return Math.min(COEFFICIENT_MAX, Math.max(direct, certainty * fall + (1 - certainty) * direct));
}

/** Covariances at lag 0 to 3, and the number of slices they were taken from. A mean taken from the series itself makes each of them too
 *  small, by about the variance of that mean (Marriott and Pope 1954). */
function momentsOf(form: Float64Array, runs: readonly Span[]): readonly number[] {
  const sums = new Array<number>(LAGS + 1).fill(0);
  for (const { from, to } of runs) {
    autocovariances(form.subarray(from, to), LAGS).forEach((covariance, lag) => {
      sums[lag]! += (covariance * (to - from)) / form.length;
    });
  }
  const [variance = 0, ...rest] = sums;
  const bias = (3 * variance * runs.length) / form.length;
  return [variance, ...rest.map((covariance) => covariance + bias), form.length];
}
