import { describe, expect, test } from 'vitest';
import { evaluate, type Threshold } from '../../shared/sla/index.ts';
import { Histogram, type Series, type Tags } from '../../shared/stats/index.ts';

const TEN_SECONDS_US = 10_000_000;

describe('evaluate', () => {
  test.each([
    ['p(50)', { kind: 'percentile', percentile: 50 }, 2],
    ['p(100)', { kind: 'percentile', percentile: 100 }, 9],
    ['med', { kind: 'med' }, 2],
    ['avg', { kind: 'avg' }, 4],
    ['min', { kind: 'min' }, 1],
    ['max', { kind: 'max' }, 9],
  ] as const)('%s of a trend is observed in milliseconds', (_name, aggregation, observed) => {
    const verdict = evaluate(threshold({ aggregation, bound: 100 }), [trend([1_000, 2_000, 9_000])], TEN_SECONDS_US);
    expect(verdict).toMatchObject({ kind: 'pass', observed, judged: 'run' });
  });

  test('a trend is judged over all series whose tags match', () => {
    const series = [
      trend([1_000], { scenario: 'a', name: 'x' }),
      trend([5_000], { scenario: 'a', name: 'y' }),
      trend([9_000], { scenario: 'b' }),
    ];
    const max = (tags: Tags): unknown => evaluate(threshold({ aggregation: { kind: 'max' }, bound: 6, tags }), series, TEN_SECONDS_US);
    expect(max({ scenario: 'a' })).toMatchObject({ kind: 'pass', observed: 5 });
    expect(max({})).toMatchObject({ kind: 'fail', observed: 9 });
  });

  test('expected_response:true leaves out the series that carry an error', () => {
    const series = [trend([1_000]), trend([9_000_000], { error: 'timeout' })];
    const verdict = evaluate(
      threshold({ aggregation: { kind: 'max' }, bound: 5, tags: { expected_response: 'true' } }),
      series,
      TEN_SECONDS_US,
    );
    expect(verdict).toMatchObject({ kind: 'pass', observed: 1 });
  });

  test('a rate is a fraction, a counter is a count or a count per second, a gauge its value or extremes', () => {
    const failed: Series = { metric: 'http_req_failed', tags: {}, value: { kind: 'rate', passes: 1, fails: 99 } };
    const reqs: Series = { metric: 'http_reqs', tags: {}, value: { kind: 'counter', count: 500 } };
    const vus: Series = { metric: 'vus', tags: {}, value: { kind: 'gauge', value: 3, min: 1, max: 8 } };
    const observed = (metric: string, kind: 'rate' | 'count' | 'value' | 'min' | 'max'): unknown =>
      evaluate(threshold({ metric, aggregation: { kind }, bound: 1e9 }), [failed, reqs, vus], TEN_SECONDS_US);
    expect(observed('http_req_failed', 'rate')).toMatchObject({ observed: 0.01 });
    expect(observed('http_reqs', 'count')).toMatchObject({ observed: 500 });
    expect(observed('http_reqs', 'rate')).toMatchObject({ observed: 50 });
    expect(observed('vus', 'value')).toMatchObject({ observed: 3 });
    expect(observed('vus', 'min')).toMatchObject({ observed: 1 });
    expect(observed('vus', 'max')).toMatchObject({ observed: 8 });
  });

  test.each([
    ['<', 4, 'fail'],
    ['<', 5, 'pass'],
    ['<=', 4, 'pass'],
    ['>', 4, 'fail'],
    ['>', 3, 'pass'],
    ['>=', 4, 'pass'],
    ['==', 4, 'pass'],
    ['===', 5, 'fail'],
    ['!=', 4, 'fail'],
    ['!=', 5, 'pass'],
  ] as const)('4 %s %d: %s', (comparison, bound, kind) => {
    expect(evaluate(threshold({ aggregation: { kind: 'max' }, comparison, bound }), [trend([4_000])], 1).kind).toBe(kind);
  });

  test('no data is not a pass: no series, an empty trend, a rate of nothing, a counter that was never sent', () => {
    const empty: Series = { metric: 'http_req_failed', tags: {}, value: { kind: 'rate', passes: 0, fails: 0 } };
    const judged = [
      evaluate(threshold({ aggregation: { kind: 'max' } }), [], 1),
      evaluate(threshold({ aggregation: { kind: 'max' } }), [trend([])], 1),
      evaluate(threshold({ aggregation: { kind: 'max' }, tags: { name: 'nobody' } }), [trend([1])], 1),
      evaluate(threshold({ metric: 'http_req_failed', aggregation: { kind: 'rate' } }), [empty], 1),
      evaluate(threshold({ metric: 'dropped_iterations', aggregation: { kind: 'count' }, comparison: '<', bound: 1 }), [], 1),
    ];
    expect(judged.map(({ kind }) => kind)).toEqual(Array.from({ length: 5 }, () => 'no-data'));
  });

  test('a counter that was sent at 0 is data', () => {
    const dropped: Series = { metric: 'dropped_iterations', tags: {}, value: { kind: 'counter', count: 0 } };
    const verdict = evaluate(threshold({ metric: 'dropped_iterations', aggregation: { kind: 'count' }, bound: 1 }), [dropped], 1);
    expect(verdict).toMatchObject({ kind: 'pass', observed: 0 });
  });
});

function threshold(parts: Partial<Threshold>): Threshold {
  return {
    metric: 'http_req_duration',
    tags: {},
    expression: 'p(99)<250',
    aggregation: { kind: 'percentile', percentile: 99 },
    comparison: '<',
    bound: 250,
    abortOnFail: false,
    delayAbortEvalUs: 0,
    windowUs: undefined,
    ...parts,
  };
}

function trend(valuesUs: readonly number[], tags: Tags = {}): Series {
  const histogram = new Histogram();
  for (const value of valuesUs) histogram.record(value);
  return { metric: 'http_req_duration', tags, value: { kind: 'trend', histogram } };
}
