import { Histogram, RunSampler, type RunSample } from '../../shared/stats/index.ts';

/** A run that was never made: requests at a constant rate, whose latencies are heavy-tailed and whose scale wanders from interval to
 *  interval, as those of a real server do. */
export interface Simulation {
  readonly seconds: number;
  readonly samples: number;
  /** Names of the steps that the samples are dealt to. */
  readonly steps: readonly string[];
  readonly medianUs: number;
  /** Of the lognormal body. */
  readonly sigma: number;
  /** From this quantile on the tail is a Pareto distribution of this exponent. */
  readonly tailFrom: number;
  readonly tailExponent: number;
  /** The logarithm of the scale of an interval is an AR(1) process with this coefficient and this standard deviation. */
  readonly correlation: number;
  readonly wander: number;
  /** Standard deviation of the logarithm of a whole run's scale. */
  readonly betweenRuns: number;
  readonly errorRate: number;
}

/** 20,000 samples at 100 a second: p99 is 1.8 times the median, and one request in 200 belongs to a tail that has no variance. */
export const SIMULATION: Simulation = {
  seconds: 200,
  samples: 20_000,
  steps: ['checkout'],
  medianUs: 20_000,
  sigma: 0.25,
  tailFrom: 0.995,
  tailExponent: 2,
  correlation: 0.6,
  wander: 0.02,
  betweenRuns: 0,
  errorRate: 0.002,
};

/** How a candidate differs: every latency of a quantile of at least `from` is `factor` times as long. */
export interface Change {
  readonly from: number;
  readonly factor: number;
}

export const NO_CHANGE: Change = { from: 0, factor: 1 };

export function simulateRun(simulation: Simulation, draw: () => number, change: Change = NO_CHANGE): RunSample {
  const { seconds, samples, steps, correlation, wander, betweenRuns, errorRate } = simulation;
  const sampler = new RunSampler();
  const histograms = steps.map(() => new Histogram());
  const shift = betweenRuns * normal(draw);
  let state = wander * normal(draw);
  let sent = 0;
  for (let second = 0; second < seconds; second++) {
    const scale = Math.exp(state + shift);
    const failed = steps.map(() => 0);
    for (const until = Math.round((samples * (second + 1)) / seconds); sent < until; sent++) {
      const step = sent % steps.length;
      if (draw() < errorRate) failed[step]!++;
      else histograms[step]!.record(scale * latencyUs(simulation, change, draw()));
    }
    steps.forEach((step, i) => {
      sampler.add({ step, startUs: second * 1_000_000, lengthUs: 1_000_000, succeeded: histograms[i]!, failed: failed[i]! });
      histograms[i]!.reset();
    });
    state = correlation * state + wander * Math.sqrt(1 - correlation ** 2) * normal(draw);
  }
  return sampler.finish();
}

function latencyUs({ medianUs, sigma, tailFrom, tailExponent }: Simulation, change: Change, u: number): number {
  const bodyUs = medianUs * Math.exp(sigma * normalQuantile(Math.min(u, tailFrom)));
  const us = u < tailFrom ? bodyUs : bodyUs * ((1 - tailFrom) / (1 - u)) ** (1 / tailExponent);
  return u >= change.from ? us * change.factor : us;
}

/** A standard normal draw (Box and Muller 1958). */
function normal(draw: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

/** Inverse of the normal distribution to nine digits: Acklam's rational approximations. */
function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p <= 0) return -38;
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return (
      (((((-7.784894002430293e-3 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q + 4.374664141464968) * q +
        2.938163982698783) /
      ((((7.784695709041462e-3 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1)
    );
  }
  const q = p - 0.5;
  const r = q * q;
  return (
    ((((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r - 30.66479806614716) * r +
      2.506628277459239) *
      q) /
    (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598872) * r + 66.80131188771972) * r - 13.28068155288572) * r + 1)
  );
}
