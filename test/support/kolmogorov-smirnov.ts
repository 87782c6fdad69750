/** The largest distance between the distribution of a sample and `cdf`, Kolmogorov's D (Kolmogorov 1933). */
export function ksDistance(sample: readonly number[], cdf: (value: number) => number): number {
  const sorted = sample.toSorted((a, b) => a - b);
  return sorted.reduce((most, value, i) => {
    const expected = cdf(value);
    // The sample's own distribution jumps at every value: both sides of the jump count.
    return Math.max(most, (i + 1) / sorted.length - expected, expected - i / sorted.length);
  }, 0);
}

/** The distance that a sample of this size from the distribution itself passes with probability `alpha`: the limit distribution's
 *  quantile sqrt(-ln(alpha/2)/2) (Smirnov 1948), 1.628 at 1 %, with the correction for finite samples of Stephens (1970),
 *  JRSS B 32, p. 118: D·(√n + 0.12 + 0.11/√n). */
export function ksLimit(size: number, alpha = 0.01): number {
  const root = Math.sqrt(size);
  return Math.sqrt(-Math.log(alpha / 2) / 2) / (root + 0.12 + 0.11 / root);
}

/** Of gaps between the arrivals of a Poisson process that expects one arrival per unit. */
export function exponentialCdf(value: number): number {
  return value <= 0 ? 0 : 1 - Math.exp(-value);
}
