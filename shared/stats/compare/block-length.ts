/** How long blocks must be to keep the autocorrelation of `series`: the automatic choice for the circular block bootstrap of Politis and
 *  White (Econometric Reviews 23, 2004) with the correction of Patton, Politis and White (28, 2009). At least 1, not rounded. */
export function circularBlockLength(series: ArrayLike<number>): number {
  const n = series.length;
  const lagMax = Math.min(n - 1, Math.ceil(Math.sqrt(n)) + lagsThatMustVanish(n));
  const covariances = autocovariances(series, lagMax);
  const variance = covariances[0] ?? 0;
  if (!(variance > 0)) return 1;
  const lags = Math.min(lagMax, 2 * lastCorrelatedLag(covariances, n));
  let spectrum = variance;
  let curvature = 0;
  for (let lag = 1; lag <= lags; lag++) {
    const weighted = 2 * flatTop(lag / lags) * covariances[lag]!;
    spectrum += weighted;
    curvature += lag * weighted;
  }
  if (!(spectrum > 0)) return 1;
  return Math.max(1, Math.cbrt(1.5 * (curvature / spectrum) ** 2 * n));
}

/** So many autocorrelations in a row must be indistinguishable from 0 before the rest is taken for 0. */
function lagsThatMustVanish(n: number): number {
  return Math.max(5, Math.ceil(Math.sqrt(Math.log10(n))));
}

function lastCorrelatedLag(covariances: Float64Array, n: number): number {
  const bound = 2 * Math.sqrt(Math.log10(n) / n) * covariances[0]!;
  const needed = lagsThatMustVanish(n);
  for (let last = 0; last + 1 < covariances.length; last++) {
    const following = covariances.subarray(last + 1, last + 1 + needed);
    if (following.every((covariance) => Math.abs(covariance) < bound)) return Math.max(1, last);
  }
  return Math.max(1, covariances.length - 1);
}

export function autocovariances(series: ArrayLike<number>, lagMax: number): Float64Array {
  const n = series.length;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += series[i]!;
  mean /= Math.max(1, n);
  const covariances = new Float64Array(Math.max(0, lagMax) + 1);
  for (let lag = 0; lag < covariances.length; lag++) {
    let sum = 0;
    for (let i = lag; i < n; i++) sum += (series[i]! - mean) * (series[i - lag]! - mean);
    covariances[lag] = sum / n;
  }
  return covariances;
}

/** The trapezoid lag window of Politis and Romano (1995). */
function flatTop(x: number): number {
  return x <= 0.5 ? 1 : 2 * (1 - x);
}
