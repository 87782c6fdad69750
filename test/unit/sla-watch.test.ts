import { describe, expect, test } from 'vitest';
import { ThresholdWatch, type Threshold, type Verdict } from '../../shared/sla/index.ts';
import { addValue, emptyValue, Histogram, type Series } from '../../shared/stats/index.ts';

const SECOND_US = 1_000_000;

describe('threshold watch without a window', () => {
  test('judges the run so far after every interval', () => {
    const { verdicts } = watched([threshold({ bound: 0.3 })], [failing(0, 10), failing(8, 2), failing(0, 90)]);
    expect(verdicts.map(([verdict]) => verdict)).toMatchObject([
      { kind: 'pass', observed: 0 },
      { kind: 'fail', observed: 0.4 },
      { kind: 'pass', observed: 8 / 110 },
    ]);
  });

  test('the rate of a counter is counted over the time so far', () => {
    const reqs = threshold({ metric: 'http_reqs', aggregation: { kind: 'rate' }, comparison: '>', bound: 5 });
    const { verdicts, final } = watched([reqs], [[counter(10)], [counter(10)], [counter(1)]]);
    expect(verdicts.map(([verdict]) => observedOf(verdict))).toEqual([10, 10, 7]);
    expect(observedOf(final[0])).toBe(7);
  });
});

describe('abort', () => {
  test('the first threshold with abortOnFail that fails ends the run', () => {
    const harmless = threshold({ bound: 0.01 });
    const deadly = threshold({ bound: 0.2, abortOnFail: true });
    const { aborts } = watched([harmless, deadly], [failing(1, 9), failing(9, 1), failing(0, 100)]);
    expect(aborts).toEqual([undefined, deadly, deadly]);
  });

  test('nothing ends the run before delayAbortEval has passed', () => {
    const late = threshold({ bound: 0.2, abortOnFail: true, delayAbortEvalUs: 3 * SECOND_US });
    expect(watched([late], [failing(9, 1), failing(9, 1), failing(9, 1)]).aborts).toEqual([undefined, undefined, late]);
    expect(watched([late], [failing(9, 1), failing(1, 99), failing(0, 99)]).aborts).toEqual([undefined, undefined, undefined]);
  });

  test('a window that failed during the delay fails the threshold but does not end the run after the delay', () => {
    const windowed = threshold({ bound: 0.2, abortOnFail: true, delayAbortEvalUs: 3 * SECOND_US, windowUs: SECOND_US });
    const { aborts, final } = watched([windowed], [failing(9, 1), failing(0, 9), failing(0, 9), failing(0, 9)]);
    expect(aborts).toEqual([undefined, undefined, undefined, undefined]);
    expect(final[0]).toMatchObject({ kind: 'fail', observed: 0.9 });
  });

  test('no data does not end a run', () => {
    const deadly = threshold({ abortOnFail: true });
    expect(watched([deadly], [[], []]).aborts).toEqual([undefined, undefined]);
  });
});

describe('threshold watch with a window', () => {
  test('judges every full window, sliding by one interval, and reports the worst', () => {
    const windowed = threshold({ bound: 0.5, windowUs: 3 * SECOND_US });
    const { verdicts, final } = watched([windowed], [failing(10, 0), failing(0, 10), failing(0, 10), failing(10, 0), failing(0, 10)]);
    // Full windows: 10/30, 10/30, 10/30. The first interval alone was all failures and is no window.
    expect(verdicts.map(([verdict]) => verdict?.kind)).toEqual(['no-data', 'no-data', 'pass', 'pass', 'pass']);
    expect(final[0]).toMatchObject({ kind: 'pass', observed: 1 / 3, judged: 'worst-window' });
  });

  test('one failed window fails the run even though the whole run passes', () => {
    const windowed = threshold({ bound: 0.1, windowUs: 2 * SECOND_US });
    const whole = threshold({ bound: 0.1 });
    const quiet = Array.from({ length: 20 }, () => failing(0, 10));
    const { final } = watched([windowed, whole], [...quiet, failing(5, 5), failing(0, 10), ...quiet]);
    expect(final).toMatchObject([
      { kind: 'fail', observed: 0.25, judged: 'worst-window' },
      { kind: 'pass', judged: 'run' },
    ]);
  });

  test('for a lower bound the worst window is the lowest', () => {
    const checks = threshold({ comparison: '>', bound: 0.2, windowUs: SECOND_US });
    expect(watched([checks], [failing(9, 1), failing(3, 7), failing(6, 4)]).final[0]).toMatchObject({ kind: 'pass', observed: 0.3 });
  });

  test('a window is rounded up to whole intervals', () => {
    const windowed = threshold({ windowUs: 1.2 * SECOND_US });
    const { verdicts } = watched([windowed], [failing(1, 1), failing(1, 1)]);
    expect(verdicts.map(([verdict]) => verdict?.kind)).toEqual(['no-data', 'fail']);
  });

  test('a run shorter than one window is judged as a whole, and the verdict says so', () => {
    const windowed = threshold({ bound: 0.2, windowUs: 60 * SECOND_US });
    expect(watched([windowed], [failing(1, 9), failing(0, 10)]).final[0]).toMatchObject({
      kind: 'pass',
      judged: 'run-shorter-than-window',
      observed: 0.05,
    });
  });

  test('percentiles of a window come from the merged buckets of its intervals', () => {
    const p99 = threshold({
      metric: 'http_req_duration',
      aggregation: { kind: 'percentile', percentile: 99 },
      bound: 100,
      windowUs: 2 * SECOND_US,
    });
    const fast = [trend(Array.from({ length: 100 }, () => 1_000))];
    const slow = [trend([...Array.from({ length: 95 }, () => 1_000), ...Array.from({ length: 5 }, () => 800_000)])];
    expect(watched([p99], [fast, fast, slow, fast, fast]).final[0]).toMatchObject({ kind: 'fail', observed: 800 });
  });

  test('an interval that never came counts as empty, so a window holds no older results than its length', () => {
    const windowed = threshold({ bound: 0.9, windowUs: 2 * SECOND_US });
    const watch = new ThresholdWatch([windowed], SECOND_US);
    watch.add({ index: 0, series: failing(10, 0) }, failing(10, 0), SECOND_US);
    watch.add({ index: 5, series: failing(0, 10) }, failing(10, 10), 6 * SECOND_US);
    expect(watch.final(failing(10, 10), 6 * SECOND_US)[0]).toMatchObject({ kind: 'fail', observed: 1 });
    const [live] = watch.add({ index: 6, series: failing(0, 10) }, failing(10, 20), 7 * SECOND_US);
    expect(live).toMatchObject({ kind: 'fail', observed: 1 });
  });

  test('a second line of an old interval is added to its window', () => {
    const windowed = threshold({ bound: 0.9, windowUs: 2 * SECOND_US });
    const watch = new ThresholdWatch([windowed], SECOND_US);
    watch.add({ index: 0, series: failing(0, 1) }, failing(0, 1), SECOND_US);
    watch.add({ index: 1, series: failing(0, 1) }, failing(0, 2), 2 * SECOND_US);
    const [live] = watch.add({ index: 0, series: failing(98, 0) }, failing(98, 2), 2 * SECOND_US);
    expect(live).toMatchObject({ kind: 'fail', observed: 0.98 });
  });

  test('a counter that falls silent stands at 0 in the windows after it', () => {
    const reqs = threshold({ metric: 'http_reqs', aggregation: { kind: 'count' }, comparison: '>', bound: 5, windowUs: SECOND_US });
    expect(watched([reqs], [[counter(9)], [counter(9)], [], [counter(9)]]).final[0]).toMatchObject({ kind: 'fail', observed: 0 });
  });

  test('counters are not judged over windows that reach past the end of the load', () => {
    const reqs = threshold({ metric: 'http_reqs', aggregation: { kind: 'rate' }, comparison: '>', bound: 5, windowUs: 2 * SECOND_US });
    const watch = new ThresholdWatch([reqs], SECOND_US, 3 * SECOND_US);
    [9, 9, 9, 1, 0].forEach((count, index) => watch.add({ index, series: [counter(count)] }, [counter(27)], (index + 1) * SECOND_US));
    expect(watch.final([counter(28)], 3 * SECOND_US)[0]).toMatchObject({ kind: 'pass', observed: 9 });
  });

  test('windows without samples are not judged, and a run of only such windows has no data', () => {
    const windowed = threshold({ windowUs: SECOND_US });
    expect(watched([windowed], [[], [], []]).final[0]).toEqual({ kind: 'no-data', threshold: windowed });
    expect(watched([windowed], [[], failing(0, 5), []]).final[0]).toMatchObject({ kind: 'pass', observed: 0 });
  });
});

function watched(thresholds: readonly Threshold[], intervals: readonly (readonly Series[])[]) {
  const watch = new ThresholdWatch(thresholds, SECOND_US);
  const totals: Series[] = [];
  const verdicts: (readonly Verdict[])[] = [];
  const aborts: (Threshold | undefined)[] = [];
  intervals.forEach((series, index) => {
    for (const { metric, tags, value } of series) {
      let total = totals.find((one) => one.metric === metric);
      if (total === undefined) totals.push((total = { metric, tags, value: emptyValue(value.kind) }));
      addValue(total.value, value);
    }
    verdicts.push(watch.add({ index, series }, totals, (index + 1) * SECOND_US));
    aborts.push(watch.abort);
  });
  return { verdicts, aborts, final: watch.final(totals, intervals.length * SECOND_US) };
}

function observedOf(verdict: Verdict | undefined): number | undefined {
  return verdict === undefined || verdict.kind === 'no-data' ? undefined : verdict.observed;
}

function failing(passes: number, fails: number): Series[] {
  return [{ metric: 'http_req_failed', tags: {}, value: { kind: 'rate', passes, fails } }];
}

function counter(count: number): Series {
  return { metric: 'http_reqs', tags: {}, value: { kind: 'counter', count } };
}

function trend(valuesUs: readonly number[]): Series {
  const histogram = new Histogram();
  for (const value of valuesUs) histogram.record(value);
  return { metric: 'http_req_duration', tags: {}, value: { kind: 'trend', histogram } };
}

function threshold(parts: Partial<Threshold>): Threshold {
  return {
    metric: 'http_req_failed',
    tags: {},
    expression: 'rate<0.01',
    aggregation: { kind: 'rate' },
    comparison: '<',
    bound: 0.01,
    abortOnFail: false,
    delayAbortEvalUs: 0,
    windowUs: undefined,
    ...parts,
  };
}
