import { describe, expect, test } from 'vitest';
import {
  addAgentLedgers,
  addValue,
  emptyValue,
  imbalances,
  selectValue,
  seriesKey,
  type Ledger,
  type Series,
} from '../../shared/stats/index.ts';

const LEDGER: Ledger = {
  planned: 10,
  started: 6,
  dropped: 1,
  undelivered: 2,
  unknown: 1,
  completed: 5,
  interrupted: 1,
  samples: { recorded: 50, merged: 49, missing: 1, duplicate: 3 },
};

describe('ledger', () => {
  test('a ledger that adds up has no imbalance', () => {
    expect(imbalances(LEDGER)).toEqual([]);
  });

  test('every equation that does not hold is said in words', () => {
    expect(imbalances({ ...LEDGER, started: 7, samples: { ...LEDGER.samples, merged: 48 } })).toEqual([
      'planned 10 ≠ started 7 + dropped 1 + undelivered 2 + unknown 1',
      'started 7 ≠ completed 5 + interrupted 1',
      'samples recorded 50 ≠ merged 48 + missing 1',
    ]);
  });

  test('ledgers of agents add field by field', () => {
    const one = { started: 1, dropped: 2, undelivered: 5, completed: 3, interrupted: 4 };
    expect(addAgentLedgers(one, one)).toEqual({ started: 2, dropped: 4, undelivered: 10, completed: 6, interrupted: 8 });
  });
});

describe('series', () => {
  test('the key of a series does not depend on the order of its tags, and differs where a value does', () => {
    expect(seriesKey('m', { a: '1', b: '2' })).toBe(seriesKey('m', { b: '2', a: '1' }));
    expect(seriesKey('m', { a: '1' })).not.toBe(seriesKey('m', { a: '2' }));
    expect(seriesKey('m', { a: '1', b: '' })).not.toBe(seriesKey('m', { a: '1' }));
  });

  test('a selection sums the series that carry every wanted tag, and leaves them as they were', () => {
    const series: Series[] = [
      { metric: 'http_reqs', tags: { scenario: 'a', status: '200' }, value: { kind: 'counter', count: 3 } },
      { metric: 'http_reqs', tags: { scenario: 'a', status: '500', error: 'status' }, value: { kind: 'counter', count: 2 } },
      { metric: 'http_reqs', tags: { scenario: 'b' }, value: { kind: 'counter', count: 9 } },
      { metric: 'iterations', tags: { scenario: 'a' }, value: { kind: 'counter', count: 7 } },
    ];
    const count = (tags: Record<string, string>): unknown => selectValue(series, 'http_reqs', tags);
    expect([count({}), count({ scenario: 'a' }), count({ expected_response: 'true' }), count({ expected_response: 'false' })]).toEqual(
      [14, 5, 12, 2].map((expected) => ({ kind: 'counter', count: expected })),
    );
    expect([count({ scenario: 'c' }), series[0]?.value]).toEqual([undefined, { kind: 'counter', count: 3 }]);
  });

  test('gauges add as parts of one whole, and an empty one adds nothing', () => {
    const sum = emptyValue('gauge');
    for (const value of [
      { kind: 'gauge', value: 2, min: 1, max: 4 } as const,
      emptyValue('gauge'),
      { kind: 'gauge', value: 3, min: 2, max: 3 } as const,
    ]) {
      addValue(sum, value);
    }
    expect(sum).toEqual({ kind: 'gauge', value: 5, min: 3, max: 7 });
  });

  test('values of different kinds do not add', () => {
    expect(() => {
      addValue(emptyValue('rate'), emptyValue('counter'));
    }).toThrow(TypeError);
  });
});
