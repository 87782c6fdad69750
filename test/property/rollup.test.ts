import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Histogram, Rollup, selectValue, seriesKey, sliceOf } from '../../shared/stats/index.ts';
import type { Batch, MergedInterval, Series, SeriesDefinition, SeriesValue, TrendSlice } from '../../shared/stats/index.ts';

const DEFINES: readonly SeriesDefinition[] = [
  { number: 0, metric: 'http_req_duration', kind: 'trend', tags: { name: 'a' } },
  { number: 1, metric: 'http_req_duration', kind: 'trend', tags: { name: 'b' } },
  { number: 2, metric: 'http_reqs', kind: 'counter', tags: {} },
  { number: 3, metric: 'http_req_failed', kind: 'rate', tags: {} },
  { number: 4, metric: 'vus', kind: 'gauge', tags: {} },
];
const HEALTH = {
  loopDelayP99Us: 0,
  loopDelayMaxUs: 0,
  pacerLagP99Us: 0,
  pacerLagMaxUs: 0,
  cpu: 0,
  gcPauseUs: 0,
  rssBytes: 0,
  openSockets: 0,
  activeVus: 0,
  outboxBatches: 0,
};

/** What an agent measured in one interval. */
interface Measured {
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly passes: number;
  readonly fails: number;
  readonly vus: number;
}
const durations = fc.array(fc.integer({ min: 0, max: 4_000_000_000 }), { maxLength: 20 });
const measured: fc.Arbitrary<Measured> = fc.record({
  a: durations,
  b: durations,
  passes: fc.nat({ max: 50 }),
  fails: fc.nat({ max: 50 }),
  vus: fc.nat({ max: 9 }),
});
/** Agents, each with its intervals. */
const fleet = fc.array(fc.array(measured, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 });

describe('rollup', () => {
  test('adding every batch a second time changes nothing and counts the duplicates', () => {
    fc.assert(
      fc.property(fleet, (agents) => {
        const batches = batchesOf(agents);
        const once = rolledUp(batches);
        const twice = rolledUp([...batches, ...batches]);
        expect(content(twice.rollup.series())).toEqual(content(once.rollup.series()));
        expect(twice.rollup.merged).toBe(once.rollup.merged);
        expect(twice.rollup.duplicates).toBe(once.rollup.merged);
        expect(twice.closed.map(intervalContent)).toEqual(once.closed.map(intervalContent));
      }),
    );
  });

  test('the order in which agents arrive does not matter', () => {
    fc.assert(
      fc.property(fleet, fc.infiniteStream(fc.nat()), (agents, picks: Iterator<number, number>) => {
        const inOrder = rolledUp(batchesOf(agents));
        const shuffled = rolledUp(interleaved(agents, () => picks.next().value));
        expect(content(shuffled.rollup.series())).toEqual(content(inOrder.rollup.series()));
        expect(shuffled.closed.map(intervalContent)).toEqual(inOrder.closed.map(intervalContent));
      }),
    );
  });

  test('totals are those of one place that recorded everything', () => {
    fc.assert(
      fc.property(fleet, (agents) => {
        const everything = agents.flat();
        const { rollup } = rolledUp(batchesOf(agents));
        const whole = trend(everything.flatMap(({ a, b }) => [...a, ...b]));
        const total = selectValue(rollup.series(), 'http_req_duration');
        expect(valueContent(total)).toEqual(valueContent({ kind: 'trend', histogram: whole }));
        expect(selectValue(rollup.series(), 'http_reqs')).toEqual({
          kind: 'counter',
          count: sum(everything, ({ a, b }) => a.length + b.length),
        });
        expect(selectValue(rollup.series(), 'http_req_failed')).toEqual({
          kind: 'rate',
          passes: sum(everything, ({ passes }) => passes),
          fails: sum(everything, ({ fails }) => fails),
        });
        expect(rollup.merged).toBe(whole.count);
      }),
    );
  });

  test('the sum over intervals is the total', () => {
    fc.assert(
      fc.property(fleet, (agents) => {
        const { rollup, closed } = rolledUp(batchesOf(agents));
        for (const metric of ['http_req_duration', 'http_reqs', 'http_req_failed']) {
          const overIntervals = selectValue(
            closed.flatMap(({ series }) => series),
            metric,
          );
          expect(valueContent(overIntervals)).toEqual(valueContent(selectValue(rollup.series(), metric)));
        }
      }),
    );
  });

  test('intervals that are taken back when nobody looks at them any more leave nothing in those that follow', () => {
    fc.assert(
      fc.property(fleet, fc.nat({ max: 2 }), (agents, kept) => {
        const inOrder = batchesOf(agents).sort((one, other) => one.intervalIndex - other.intervalIndex);
        const kinds = [true, false].map((takesBack) => {
          const rollup = new Rollup();
          const latest: MergedInterval[] = [];
          const seen: unknown[] = [];
          for (const batch of inOrder) {
            for (const interval of rollup.close(batch.intervalIndex)) {
              seen.push(intervalContent(interval));
              latest.push(interval);
              const oldest = latest.length > kept ? latest.shift() : undefined;
              if (takesBack && oldest !== undefined) rollup.recycle(oldest);
            }
            rollup.add(batch);
          }
          seen.push(rollup.close(Infinity).map(intervalContent), content(rollup.series()));
          return seen;
        });
        expect(kinds[0]).toEqual(kinds[1]);
      }),
    );
  });

  test('a batch that never came is a gap until it comes', () => {
    const batches = batchesOf([Array.from({ length: 4 }, () => oneSample())]);
    const [first, second, third, fourth] = batches;
    const rollup = new Rollup();
    for (const batch of [first, fourth]) if (batch !== undefined) rollup.add(batch);
    expect(rollup.gaps()).toEqual([{ agent: 'agent-0', incarnation: 'x', batches: 2 }]);
    for (const batch of [third, second]) if (batch !== undefined) expect(rollup.add(batch).kind).toBe('added');
    expect(rollup.gaps()).toEqual([]);
    expect(rollup.merged).toBe(4);
  });

  test('a restarted agent that counts from 0 again is another incarnation and no duplicate', () => {
    const rollup = new Rollup();
    const [batch] = batchesOf([[oneSample()]]);
    if (batch === undefined) expect.fail();
    rollup.add(batch);
    expect(rollup.add({ ...batch, key: { ...batch.key, incarnation: 'y' } })).toMatchObject({ kind: 'added', samples: 1 });
  });

  test('gauges of agents add within an interval, and their total keeps the extremes of the sums', () => {
    const vus = (count: number): Measured => ({ a: [], b: [], passes: 0, fails: 0, vus: count });
    const { rollup } = rolledUp(
      batchesOf([
        [vus(3), vus(5)],
        [vus(4), vus(1)],
      ]),
    );
    expect(selectValue(rollup.series(), 'vus')).toEqual({ kind: 'gauge', value: 6, min: 6, max: 7 });
  });

  test('intervals close in order and only those before the asked one', () => {
    const rollup = new Rollup();
    for (const batch of batchesOf([[oneSample(), oneSample(), oneSample()]])
      .reverse()
      .slice(-1))
      rollup.add(batch);
    for (const batch of batchesOf([[oneSample(), oneSample(), oneSample()]]).slice(1)) rollup.add(batch);
    expect(rollup.close(2).map(({ index }) => index)).toEqual([0, 1]);
    expect(rollup.close(3).map(({ index }) => index)).toEqual([2]);
  });

  test.each([
    ['that begins an interval', 1],
    ['into an interval that another agent has begun', 2],
  ])('a batch %s and does not fit throws a RangeError and leaves everything as it was', (_, agents) => {
    const batches = Array.from({ length: agents }, () => [oneSample(), oneSample()]);
    // Every agent's first, then every agent's second: the last one of all is tried.
    const before = batchesOf(batches).sort((one, other) => one.intervalIndex - other.intervalIndex);
    const next = before.pop();
    if (next === undefined) expect.fail();
    const trends = next.trends.map((slice) => ({ ...slice }));
    const broken: readonly Batch[] = [
      { ...next, trends: [...trends, { ...slice([5]), series: 1, histogram: new Uint8Array([1, 2, 3]) }] },
      { ...next, trends: [...trends, { ...slice([5]), series: 1, count: 9 }] },
      { ...next, trends: [...trends, { ...slice([5]), series: 77 }] },
      { ...next, counters: [{ series: 0, count: 1 }] },
      { ...next, defines: [{ number: 9, metric: 'http_reqs', kind: 'trend', tags: {} }] },
      { ...next, intervalCount: 0 },
      { ...next, key: { ...next.key, sequence: -1 } },
      { ...next, key: { ...next.key, sequence: 1e15 } },
    ];
    const undisturbed = rolledUp([...before, next]);
    for (const [i, batch] of broken.entries()) {
      const rollup = new Rollup();
      for (const one of before) rollup.add(one);
      expect(() => rollup.add(batch), `case ${i}`).toThrow(RangeError);
      expect([rollup.merged, rollup.gaps()]).toEqual([before.length, []]);
      expect(rollup.add(next).kind, 'the right batch still fits').toBe('added');
      expect(rollup.close(Infinity).map(intervalContent)).toEqual(undisturbed.closed.map(intervalContent));
      expect(content(rollup.series())).toEqual(content(undisturbed.rollup.series()));
    }
  });
});

function oneSample(): Measured {
  return { a: [1_000], b: [], passes: 0, fails: 1, vus: 1 };
}

function batchesOf(agents: readonly (readonly Measured[])[]): Batch[] {
  return agents.flatMap((intervals, agent) =>
    intervals.map((interval, index) => batchOf(agent, index, interval, index === intervals.length - 1)),
  );
}

/** All batches, every agent's own in order, agents mixed as `pick` says. */
function interleaved(agents: readonly (readonly Measured[])[], pick: () => number): Batch[] {
  const queues = agents.map((intervals, agent) =>
    intervals.map((interval, index) => batchOf(agent, index, interval, index === intervals.length - 1)),
  );
  const mixed: Batch[] = [];
  for (;;) {
    const waiting = queues.filter((queue) => queue.length > 0);
    const next = waiting[pick() % Math.max(1, waiting.length)]?.shift();
    if (next === undefined) return mixed;
    mixed.push(next);
  }
}

function batchOf(agent: number, index: number, { a, b, passes, fails, vus }: Measured, isFinal: boolean): Batch {
  return {
    key: { agent: `agent-${agent}`, incarnation: 'x', sequence: index },
    intervalIndex: index,
    intervalCount: 1,
    defines: index === 0 ? DEFINES : [],
    trends: [
      { ...slice(a), series: 0 },
      { ...slice(b), series: 1 },
    ],
    counters: [{ series: 2, count: a.length + b.length }],
    rates: [{ series: 3, passes, fails }],
    gauges: [{ series: 4, value: vus, min: vus, max: vus }],
    ledgers: [],
    samplesRecorded: 0,
    health: HEALTH,
    epochs: 1,
    isFinal,
  };
}

function slice(values: readonly number[]): TrendSlice {
  return sliceOf(0, trend(values));
}

function trend(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

function rolledUp(batches: readonly Batch[]): { rollup: Rollup; closed: MergedInterval[] } {
  const rollup = new Rollup();
  for (const batch of batches) rollup.add(batch);
  return { rollup, closed: rollup.close(Infinity) };
}

function content(series: readonly Series[]): unknown {
  return series
    .map(({ metric, tags, value }) => ({ key: seriesKey(metric, tags), value: valueContent(value) }))
    .sort((one, other) => (one.key < other.key ? -1 : 1));
}

function intervalContent({ index, series }: MergedInterval): unknown {
  return { index, series: content(series) };
}

function valueContent(value: SeriesValue | undefined): unknown {
  if (value?.kind !== 'trend') return { ...value };
  const { count, sumUs, minUs, maxUs, overflow } = value.histogram;
  return { count, sumUs, minUs, maxUs, overflow, buckets: [...value.histogram.buckets()] };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
