import { describe, expect, test } from 'vitest';
import { CustomMetrics } from '../../agent/custom-metrics.ts';
import { scriptMetrics } from '../../agent/flow/script-metrics.ts';
import { Recorder } from '../../agent/recorder.ts';
import { SERIES_MAX } from '../../shared/base/index.ts';
import { addValue, emptyValue, type SeriesValue } from '../../shared/stats/index.ts';
import type { Metrics } from '../../shared/scenario/index.ts';
import { FakeClock } from '../support/fake-clock.ts';

const DEFINITIONS = {
  wait: { kind: 'trend', unit: 'ms' },
  orders: { kind: 'counter', unit: '' },
  hit: { kind: 'rate', unit: '' },
  stock: { kind: 'gauge', unit: '' },
} as const;

function arranged(): { metrics: Metrics; recorder: Recorder; clock: FakeClock } {
  const recorder = new Recorder();
  const clock = new FakeClock();
  recorder.zeroUs = clock.nowUs();
  return {
    recorder,
    clock,
    metrics: scriptMetrics(new CustomMetrics(recorder, 'shop', DEFINITIONS), { clock, beforeSample: () => undefined }),
  };
}

describe('a metric of the scenario’s own', () => {
  test('of type trend keeps thousandths, and each sample counts in the ledger', () => {
    const { metrics, recorder } = arranged();
    for (const value of [0, 1.5, 0.0004]) metrics.trend('wait').add(value);
    const { trends, defines } = recorder.seal();
    expect(defines).toMatchObject([{ metric: 'wait', kind: 'trend', tags: { scenario: 'shop' } }]);
    expect(trends).toMatchObject([{ count: 3, minUs: 0, maxUs: 1500, sumUs: 1500 }]);
    expect(recorder.samples).toBe(3);
  });

  test('has a series for each set of tags, in whatever order they are given', () => {
    const { metrics, recorder } = arranged();
    metrics.counter('orders').add(1, { a: '1', b: '2' });
    metrics.counter('orders').add(2, { b: '2', a: '1' });
    metrics.counter('orders').add(4);
    expect(recorder.seal().counters.map(({ count }) => count)).toEqual([3, 4]);
  });

  test('past the cap of series goes to one, and says so', () => {
    const { metrics, recorder } = arranged();
    for (let i = 0; i < SERIES_MAX + 5; i++) metrics.rate('hit').add(true, { id: String(i) });
    const { rates, defines } = recorder.seal();
    expect([rates.length, rates.at(-1)?.passes, defines.at(-1)?.tags]).toEqual([SERIES_MAX + 1, 5, { name: '(other)', scenario: 'shop' }]);
    expect(recorder.cappedSamples).toBe(5);
  });

  test('of type gauge is told when it was set, with the instant of its last value and the extremes of the interval', async () => {
    const { metrics, recorder, clock } = arranged();
    for (const value of [5, 9, 2]) {
      await clock.advance(1);
      metrics.gauge('stock').set(value);
    }
    expect(recorder.seal().gauges).toMatchObject([{ value: 2, min: 2, max: 9, atUs: 3_000 }]);
    expect(recorder.seal().gauges).toEqual([]);
    metrics.gauge('stock').set(7);
    expect(recorder.seal().gauges).toMatchObject([{ value: 7, min: 7, max: 7 }]);
  });

  test.each<readonly [string, (metrics: Metrics) => void, string]>([
    ['an undeclared name', (m) => m.trend('wiat'), 'metrics.trend("wiat"): there is no such metric; did you mean "wait"?'],
    [
      'a name of every object',
      (m) => m.trend('toString'),
      'metrics.trend("toString"): there is no such metric; the scenario file declares',
    ],
    ['another type', (m) => m.counter('wait'), 'metrics.counter("wait"): it is declared as a trend'],
    ['NaN', (m) => m.trend('wait').add(NaN), 'metrics.trend("wait"): expected a number from 0, got NaN'],
    ['infinity', (m) => m.trend('wait').add(Infinity), 'expected a number from 0, got Infinity'],
    ['a negative value', (m) => m.trend('wait').add(-0.1), 'expected a number from 0, got -0.1'],
    ['a negative gauge', (m) => m.gauge('stock').set(-1), 'expected a number from 0, got -1'],
    ['a fraction of a count', (m) => m.counter('orders').add(0.5), 'expected a whole number from 0, got 0.5'],
    ['text as a rate', (m) => m.rate('hit').add('yes' as unknown as boolean), 'expected true or false, got "yes"'],
    ['a number as a tag', (m) => m.rate('hit').add(true, { n: 1 as unknown as string }), 'expected text as the tag "n", got 1'],
    ['the tag of the run', (m) => m.rate('hit').add(true, { scenario: 'x' }), 'the tag "scenario" is given by the run'],
  ])('refuses %s', (_, use, message) => {
    const { metrics, recorder } = arranged();
    expect(() => {
      use(metrics);
    }).toThrow(message);
    expect([recorder.samples, recorder.seal().defines]).toEqual([0, []]);
  });
});

describe('gauges that count by time', () => {
  const gauge = (value: number, atUs: number): SeriesValue => ({ kind: 'gauge', value, min: value, max: value, atUs });

  test('add up to the last value and the extremes of all, in any order', () => {
    const parts = [gauge(4, 10), gauge(1, 30), gauge(9, 20)];
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
    ]) {
      const sum = emptyValue('gauge');
      for (const i of order) addValue(sum, parts[i]!);
      expect(sum).toEqual({ kind: 'gauge', value: 1, min: 1, max: 9, atUs: 30 });
    }
  });
});
