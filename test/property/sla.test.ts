import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate, ThresholdWatch, type Threshold } from '../../shared/sla/index.ts';
import { Histogram, type Series } from '../../shared/stats/index.ts';

const INTERVAL_US = 1_000_000;
const intervals = fc.array(fc.array(fc.integer({ min: 1, max: 5_000_000 }), { maxLength: 8 }), { minLength: 1, maxLength: 25 });
const aggregation: fc.Arbitrary<Threshold['aggregation']> = fc.constantFrom(
  { kind: 'percentile', percentile: 95 } as const,
  { kind: 'avg' } as const,
  { kind: 'min' } as const,
  { kind: 'max' } as const,
);
const comparison = fc.constantFrom('<', '<=', '>', '>=', '!=', '==') satisfies fc.Arbitrary<Threshold['comparison']>;

describe('thresholds', () => {
  test('never pass on nothing', () => {
    fc.assert(
      fc.property(
        aggregation,
        comparison,
        fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
        fc.nat({ max: 20 }),
        (of, comparing, window, length) => {
          const threshold = thresholdOf(of, comparing, 1, window);
          const watch = new ThresholdWatch([threshold], INTERVAL_US);
          for (let index = 0; index < length; index++) watch.add({ index, series: [] }, [], (index + 1) * INTERVAL_US);
          expect(watch.final([], length * INTERVAL_US)).toEqual([{ kind: 'no-data', threshold }]);
          expect(watch.abort).toBeUndefined();
        },
      ),
    );
  });

  test('a windowed threshold fails exactly when some full window, taken by itself, fails', () => {
    fc.assert(
      fc.property(
        intervals,
        aggregation,
        comparison,
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 5_000 }),
        (values, of, comparing, window, bound) => {
          const threshold = thresholdOf(of, comparing, bound, window);
          const watch = new ThresholdWatch([threshold], INTERVAL_US);
          values.forEach((interval, index) => {
            watch.add({ index, series: seriesOf(interval) }, seriesOf(values.slice(0, index + 1).flat()), (index + 1) * INTERVAL_US);
          });
          const [final] = watch.final(seriesOf(values.flat()), values.length * INTERVAL_US);

          const whole = values.length < window ? [values.flat()] : [];
          const full = values.map((_, start) => values.slice(start, start + window)).filter(({ length }) => length === window);
          const judged = [...full.map((one) => one.flat()), ...whole].map(
            (samples) => evaluate(threshold, seriesOf(samples), window * INTERVAL_US).kind,
          );
          const expected = judged.includes('fail') ? 'fail' : judged.includes('pass') ? 'pass' : 'no-data';
          expect(final?.kind).toBe(expected);
        },
      ),
    );
  });
});

function thresholdOf(
  of: Threshold['aggregation'],
  comparing: Threshold['comparison'],
  bound: number,
  windowIntervals: number | undefined,
): Threshold {
  return {
    metric: 'http_req_duration',
    tags: {},
    expression: '',
    aggregation: of,
    comparison: comparing,
    bound,
    abortOnFail: true,
    delayAbortEvalUs: 0,
    windowUs: windowIntervals === undefined ? undefined : windowIntervals * INTERVAL_US,
  };
}

function seriesOf(values: readonly number[]): Series[] {
  if (values.length === 0) return [];
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return [{ metric: 'http_req_duration', tags: {}, value: { kind: 'trend', histogram } }];
}
