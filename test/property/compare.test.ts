import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addSparse,
  COMPARE_DEFAULTS,
  compareRuns,
  HIGHEST_US,
  Histogram,
  percentileCurve,
  RunSampler,
  sparseOf,
} from '../../shared/stats/index.ts';
import { CumulativeCounts } from '../../shared/stats/compare/cumulative-counts.ts';
import { createDraws, drawBlocks, drawRuns } from '../../shared/stats/compare/resample.ts';

const values = fc.array(fc.integer({ min: 0, max: HIGHEST_US }), { maxLength: 40 });
const slices = fc.array(values, { minLength: 1, maxLength: 8 });

describe('resampled histograms', () => {
  test('sparse counts add as histograms do', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const both = recorded(a);
        both.add(recorded(b));
        expect(addSparse(sparseOf(recorded(a)), sparseOf(recorded(b)))).toEqual(sparseOf(both));
      }),
    );
  });

  test('a quantile of weighted slices is that of the histogram which holds every slice as often as it weighs', () => {
    const weighted = fc.array(fc.tuple(values, fc.nat({ max: 3 })), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(weighted, fc.constantFrom(0.001, 0.5, 0.9, 0.99, 0.999, 1), (parts, p) => {
        const cumulative = new CumulativeCounts(parts.map(([own]) => sparseOf(recorded(own))));
        const weights = parts.map(([, weight]) => weight);
        const whole = new Histogram();
        for (const [own, weight] of parts) for (let i = 0; i < weight; i++) whole.add(recorded(own));
        // The exact maximum is no part of the buckets.
        if (whole.count > 0) whole.maxUs = Infinity;
        expect(cumulative.quantileUs(p, weights)).toBe(whole.percentileUs(p * 100));
        // Asked again, it starts from where it was last.
        expect(cumulative.quantileUs(p, weights)).toBe(whole.percentileUs(p * 100));
      }),
    );
  });

  test('drawn blocks keep the length of every run, and drawn runs are whole', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 40 }), fc.nat(), (sizes, block, seed) => {
        const runs = sizes.map((size, i) => ({ from: sum(sizes.slice(0, i)), to: sum(sizes.slice(0, i)) + size }));
        const weights = new Uint16Array(sum(sizes));
        const draw = createDraws(seed);
        drawBlocks(weights, runs, block, draw);
        for (const [i, { from, to }] of runs.entries()) expect(sum([...weights.slice(from, to)])).toBe(sizes[i]);
        drawRuns(weights, runs, draw);
        for (const { from, to } of runs) expect(new Set(weights.slice(from, to)).size).toBe(1);
        expect(sum(runs.map(({ from }) => weights[from]!))).toBe(sizes.length);
      }),
    );
  });

  test('a sampled run keeps every sample, however many intervals are added together', () => {
    const intervals = fc.array(fc.tuple(fc.nat({ max: 3_000 }), values), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(intervals, (observed) => {
        const sampler = new RunSampler();
        const whole = new Histogram();
        for (const [second, own] of observed) {
          sampler.add({ step: 'a', startUs: second * 1e6, lengthUs: 1e6, succeeded: recorded(own), failed: own.length });
          whole.add(recorded(own));
        }
        const { steps, lengthsUs } = sampler.finish();
        const step = steps.get('a')!;
        expect(lengthsUs.length).toBeLessThanOrEqual(512);
        expect(step.succeeded.length).toBe(lengthsUs.length);
        expect(step.succeeded.reduce(addSparse)).toEqual(sparseOf(whole));
        expect(sum([...step.failed])).toBe(whole.count);
      }),
    );
  });

  test('a percentile curve passes through the percentiles of the merged histogram', () => {
    fc.assert(
      fc.property(slices, (own) => {
        const sampler = new RunSampler();
        const whole = new Histogram();
        own.forEach((of, i) => {
          sampler.add({ step: `step ${i % 2}`, startUs: i * 1e6, lengthUs: 1e6, succeeded: recorded(of) });
          whole.add(recorded(of));
        });
        whole.maxUs = Infinity;
        for (const { p, us } of percentileCurve([sampler.finish()])) {
          // A rank that rounding alone moves across a sample may stand for either neighbour.
          expect([whole.percentileUs(p * 100 - 1e-7), whole.percentileUs(p * 100 + 1e-7), whole.percentileUs(p * 100)]).toContain(us);
        }
      }),
    );
  });
});

test('a comparison with swapped sides finds the opposite, and one of a run with itself finds nothing', () => {
  const run = fc.array(fc.array(fc.integer({ min: 1_000, max: 100_000 }), { minLength: 20, maxLength: 30 }), {
    minLength: 12,
    maxLength: 16,
  });
  fc.assert(
    fc.property(run, run, (a, b) => {
      const options = { ...COMPARE_DEFAULTS, replicates: 200 };
      const there = compareRuns([sampled(a)], [sampled(b)], options);
      const back = compareRuns([sampled(b)], [sampled(a)], options);
      for (const [i, { effect }] of there.total.measures.entries()) {
        const opposite = back.total.measures[i]?.effect;
        if (effect === undefined || opposite === undefined) continue;
        const isDifference = there.total.measures[i]?.measure === 'error_rate';
        expect(isDifference ? -opposite.estimate : 1 / (1 + opposite.estimate) - 1).toBeCloseTo(effect.estimate, 9);
      }
      const same = compareRuns([sampled(a)], [sampled(a)], options);
      for (const { effect, verdict } of same.total.measures) {
        expect(effect?.estimate ?? 0).toBe(0);
        expect(['no difference', 'not enough data']).toContain(verdict);
      }
    }),
    { numRuns: 20 },
  );
});

function sampled(seconds: readonly (readonly number[])[]): ReturnType<RunSampler['finish']> {
  const sampler = new RunSampler();
  seconds.forEach((own, second) => {
    sampler.add({ step: 'a', startUs: second * 1e6, lengthUs: 1e6, succeeded: recorded(own) });
  });
  return sampler.finish();
}

function recorded(durations: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const us of durations) histogram.record(us);
  return histogram;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
