import { describe, expect, test } from 'vitest';
import { COMPARE_DEFAULTS, compareRuns, type CompareOptions, type Comparison, type Measure } from '../../shared/stats/index.ts';
import { circularBlockLength } from '../../shared/stats/compare/block-length.ts';
import { normalTail, studentQuantile } from '../../shared/stats/compare/distributions.ts';
import { alarmRate, runTrials } from '../support/compare-trials.ts';
import { seededDraws } from '../support/seeded-draws.ts';
import { NO_CHANGE, SIMULATION, simulateRun, type Change, type Simulation } from '../support/simulated-run.ts';

const OPTIONS: CompareOptions = { ...COMPARE_DEFAULTS, replicates: 400 };
/** Small enough to be quick; 4,000 samples have 40 above p99. */
const SMALL: Simulation = { ...SIMULATION, seconds: 40, samples: 4_000 };

function compared(baseline: Simulation, candidate: Simulation, change: Change = NO_CHANGE, runs = 1, seed = 1): Comparison {
  const draw = seededDraws(seed);
  const side = (simulation: Simulation, own: Change) => Array.from({ length: runs }, () => simulateRun(simulation, draw, own));
  return compareRuns(side(baseline, NO_CHANGE), side(candidate, change), OPTIONS);
}

function of({ total }: Comparison, measure: Measure) {
  return total.measures.find((one) => one.measure === measure)!;
}

describe('distributions', () => {
  test('tails and quantiles agree with published tables', () => {
    expect(normalTail(0)).toBeCloseTo(0.5, 6);
    expect(normalTail(1.959964)).toBeCloseTo(0.025, 7);
    expect(normalTail(-1.959964)).toBeCloseTo(0.975, 7);
    expect(normalTail(4)).toBeCloseTo(3.167e-5, 8);
    // Student's t, upper tails.
    expect(studentQuantile(0.025, 1)).toBeCloseTo(12.7062, 3);
    expect(studentQuantile(0.025, 10)).toBeCloseTo(2.22814, 5);
    expect(studentQuantile(0.005, 5)).toBeCloseTo(4.03214, 5);
    expect(studentQuantile(0.05, 30)).toBeCloseTo(1.69726, 5);
    expect(studentQuantile(0.025, 1e6)).toBeCloseTo(1.95997, 4);
  });
});

describe('length of blocks', () => {
  test('grows with the correlation of neighbours, and is one slice where nothing varies', () => {
    const draw = seededDraws(5);
    const series = (coefficient: number): number[] => {
      let state = 0;
      return Array.from({ length: 400 }, () => (state = coefficient * state + draw() - 0.5));
    };
    expect(circularBlockLength(new Array<number>(50).fill(3))).toBe(1);
    const [independent, weak, strong] = [0, 0.5, 0.9].map((coefficient) => circularBlockLength(series(coefficient)));
    expect(independent).toBeLessThan(weak!);
    expect(weak).toBeLessThan(strong!);
  });
});

describe('verdicts', () => {
  test('few of many comparisons of identical runs raise an alarm, and nearly all find p99 5 % longer', { timeout: 60_000 }, () => {
    const plan = { simulation: SIMULATION, pairs: 20, seed: 1, options: { replicates: 300 } };
    const identical = runTrials({ ...plan, change: NO_CHANGE });
    const slower = runTrials({ ...plan, change: { from: 0, factor: 1.05 } });
    // The bench has the exact rates; 3 of 20 or more would come by chance once in 13 if the true rate were 5 %.
    expect(alarmRate(identical)).toBeLessThanOrEqual(0.1);
    expect(identical.verdicts['no difference']).toBeGreaterThanOrEqual(18);
    expect(slower.verdicts.regression).toBe(20);
    expect(slower.p99Regressions).toBeGreaterThanOrEqual(15);
  });

  test('the same runs and the same seed give the same comparison', () => {
    expect(compared(SMALL, SMALL)).toEqual(compared(SMALL, SMALL));
  });

  test('shorter latencies are an improvement', () => {
    const comparison = compared(SMALL, SMALL, { from: 0, factor: 0.85 });
    expect(comparison.verdict).toBe('improvement');
    expect(of(comparison, 'p50').effect).toMatchObject({ estimate: expect.closeTo(-0.15, 1) as number });
  });

  test('a change that is certain and too small to matter is no difference, and says so', () => {
    const steady = { ...SMALL, wander: 0, sigma: 0.02, tailFrom: 1 };
    expect(of(compared(steady, steady, { from: 0, factor: 1.01 }), 'p50')).toMatchObject({ verdict: 'no difference', isBelowFloor: true });
  });

  test('microseconds do not matter, however large a part they are', () => {
    const fast = { ...SMALL, medianUs: 200 };
    const comparison = compared(fast, fast, { from: 0, factor: 1.3 });
    expect(of(comparison, 'p50')).toMatchObject({ verdict: 'no difference', isBelowFloor: true });
  });

  test('more failures are a regression even when those that succeed are faster', () => {
    const comparison = compared(SMALL, { ...SMALL, errorRate: 0.05 }, { from: 0, factor: 0.8 });
    expect(comparison.verdict).toBe('regression');
    expect(of(comparison, 'error_rate').verdict).toBe('regression');
    expect(of(comparison, 'p50').verdict).toBe('improvement');
  });

  test('fewer requests in the same time are a regression of throughput', () => {
    expect(of(compared(SMALL, { ...SMALL, samples: 3_400 }), 'throughput')).toMatchObject({ verdict: 'regression' });
  });

  test('a quantile with too few samples beyond it is not judged, nor is a run of too few intervals', () => {
    const comparison = compared(SMALL, SMALL);
    expect(of(comparison, 'p99.9')).toMatchObject({
      verdict: 'not enough data',
      effect: undefined,
      reason: expect.stringContaining('at least 20000 are needed') as string,
    });
    const brief = compared({ ...SMALL, seconds: 6 }, { ...SMALL, seconds: 6 });
    expect(brief.verdict).toBe('not enough data');
    expect(of(brief, 'p50').reason).toContain('6 intervals');
  });

  test('no difference is not said where a change of a tenth could hide', () => {
    const wild = { ...SMALL, sigma: 1.5, wander: 0.3 };
    expect(of(compared(wild, wild), 'p99')).toMatchObject({ verdict: 'not enough data' });
  });

  test('one slow step is found among many', () => {
    const many = { ...SMALL, samples: 20_000, steps: ['a', 'b', 'c', 'd', 'e'] };
    const draw = seededDraws(3);
    const slow = simulateRun({ ...many, steps: ['a'], samples: 4_000 }, draw, { from: 0, factor: 1.2 });
    const rest = simulateRun(many, draw);
    const candidate = { ...rest, steps: new Map([...rest.steps, ...slow.steps]) };
    const { verdict, steps } = compareRuns([simulateRun(many, draw)], [candidate], OPTIONS);
    expect(verdict).toBe('regression');
    const regressed = steps.filter(({ measures }) => measures.some((one) => one.verdict === 'regression')).map(({ step }) => step);
    expect(regressed).toEqual(['a']);
  });

  test('a step that one side alone has is named and compared with nothing', () => {
    const comparison = compared({ ...SMALL, steps: ['a', 'b'] }, { ...SMALL, steps: ['a', 'c'] });
    expect(comparison.steps.map(({ step }) => step)).toEqual(['a']);
    expect([comparison.onlyInBaseline, comparison.onlyInCandidate]).toEqual([['b'], ['c']]);
  });
});

describe('several runs a side', () => {
  test('how runs differ from each other widens the intervals', () => {
    const width = (betweenRuns: number): number => {
      const { effect } = of(compared({ ...SMALL, betweenRuns }, { ...SMALL, betweenRuns }, NO_CHANGE, 4), 'p50');
      return effect!.high - effect!.low;
    };
    expect(width(0.05)).toBeGreaterThan(2 * width(0));
  });

  test('runs that differ by 4 % among themselves are no change, though any two of them would look like one', () => {
    const plan = { simulation: { ...SMALL, betweenRuns: 0.04 }, change: NO_CHANGE, pairs: 12, options: { replicates: 300 } };
    expect(alarmRate(runTrials({ ...plan, seed: 2 }))).toBeGreaterThan(0.3);
    expect(alarmRate(runTrials({ ...plan, seed: 2, runs: 4 }))).toBeLessThanOrEqual(0.1);
  });

  test('a change beyond what runs differ by is found', () => {
    const noisy = { ...SMALL, betweenRuns: 0.02 };
    expect(compared(noisy, noisy, { from: 0, factor: 1.15 }, 5).verdict).toBe('regression');
  });
});
