import { describe, expect, test } from 'vitest';
import { createSchedule, uniform, type OpenLoad } from '../../shared/plan/index.ts';
import { exponentialCdf, ksDistance, ksLimit } from '../support/kolmogorov-smirnov.ts';
import { openScenario } from '../support/plans.ts';

const SECOND_US = 1_000_000;
const SEEDS = Array.from({ length: 300 }, (_, seed) => seed * 7_919);
/** Gaps of a true Poisson process pass at 1 % in 297 of 300 on average; more than ten failures have a probability below 1 in 1,000. */
const FAILURES_MAX = 10;

describe('gaps of poisson arrivals', () => {
  test('at a constant rate are exponential with that rate, whatever the seed', () => {
    const failures = SEEDS.filter((seed) => !isExponential(gapsOf({ arrivals: 'poisson', ratePerSecond: 50, seconds: 10 }, seed, 50)));
    expect(failures.length).toBeLessThanOrEqual(FAILURES_MAX);
  });

  test('on a ramp are exponential when time is measured in expected arrivals', () => {
    const segments = [{ durationUs: 20 * SECOND_US, startRate: 0, endRate: 50 }];
    const failures = SEEDS.filter((seed) => {
      const schedule = createSchedule(openScenario({ kind: 'ramping-arrival-rate', arrivals: 'poisson', segments }), seed);
      // Expected arrivals until t on a rate that grows by 2.5/s every second.
      const expected = Array.from({ length: schedule.count }, (_, n) => 1.25 * (schedule.instantUs(n) / SECOND_US) ** 2);
      return !isExponential(differences(expected));
    });
    expect(failures.length).toBeLessThanOrEqual(FAILURES_MAX);
  });

  test('are independent of the gap before', () => {
    for (const seed of SEEDS.slice(0, 20)) {
      const gaps = gapsOf({ arrivals: 'poisson', ratePerSecond: 500, seconds: 10 }, seed, 500);
      // Its standard deviation is 1/√n for independent gaps; four of them are passed once in 16,000.
      expect(Math.abs(correlation(gaps.slice(1), gaps.slice(0, -1)))).toBeLessThan(4 / Math.sqrt(gaps.length));
    }
  });
});

describe('the test itself', () => {
  test('refuses even spacing, a rate that is a fifth off, and uniform gaps', () => {
    expect(isExponential(gapsOf({ arrivals: 'uniform', ratePerSecond: 50, seconds: 10 }, 1, 50))).toBe(false);
    expect(isExponential(gapsOf({ arrivals: 'poisson', ratePerSecond: 50, seconds: 10 }, 1, 60))).toBe(false);
    expect(isExponential(Array.from({ length: 500 }, (_, n) => 2 * uniform(1, n)))).toBe(false);
  });

  test('has the critical value of the tables: 1.63/√n for many, 0.2900 for thirty', () => {
    expect(ksLimit(1e8) * 1e4).toBeCloseTo(1.628, 3);
    expect(ksLimit(30)).toBeCloseTo(0.29, 2);
  });
});

/** In mean gaps. */
function gapsOf(
  load: Partial<OpenLoad> & { readonly ratePerSecond: number; readonly seconds: number },
  seed: number,
  rate: number,
): number[] {
  const schedule = createSchedule(openScenario(load), seed);
  return differences(Array.from({ length: schedule.count }, (_, n) => (schedule.instantUs(n) / SECOND_US) * rate));
}

function isExponential(gaps: readonly number[]): boolean {
  return ksDistance(gaps, exponentialCdf) < ksLimit(gaps.length);
}

function differences(values: readonly number[]): number[] {
  return values.slice(1).map((value, i) => value - (values[i] ?? NaN));
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  const spread = (values: readonly number[], of: number): number => Math.sqrt(values.reduce((sum, value) => sum + (value - of) ** 2, 0));
  return a.reduce((sum, value, i) => sum + (value - meanA) * ((b[i] ?? NaN) - meanB), 0) / (spread(a, meanA) * spread(b, meanB));
}
