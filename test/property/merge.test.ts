import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Plan } from '../../shared/plan/index.ts';
import {
  BUNDLE_FILES,
  checkThresholds,
  mergeBundles,
  mergeLogs,
  openResults,
  parseSummary,
  readBundle,
  readIntervals,
  thresholdsOf,
  type BundleResults,
  type Interval,
  type Results,
  type Summary,
} from '../../shared/report/index.ts';
import { parseThresholds } from '../../shared/scenario/index.ts';
import { seriesKey, type Batch, type SeriesDefinition } from '../../shared/stats/index.ts';
import { writeBundle } from '../support/bundles.ts';
import { QUIET_HEALTH, sealedInterval, trendSlice } from '../support/intervals.ts';
import { openScenario } from '../support/plans.ts';

const PLAN: Plan = { name: 'halved', seed: 1, intervalMs: 1_000, scenarios: [openScenario({ ratePerSecond: 10, seconds: 10 })] };
const TAGS = { scenario: 'browse', name: 'list' };
const SERIES: readonly SeriesDefinition[] = [
  { number: 0, metric: 'http_req_response_time', kind: 'trend', tags: TAGS },
  { number: 1, metric: 'http_reqs', kind: 'counter', tags: TAGS },
  { number: 2, metric: 'http_req_failed', kind: 'rate', tags: TAGS },
  { number: 3, metric: 'vus', kind: 'gauge', tags: { scenario: 'browse' } },
];
const THRESHOLDS = parseThresholds(
  `
http_req_response_time: ['p(99)<2s', 'avg<1s', { threshold: 'p(50)<1s', window: 2s }]
http_req_failed: ['rate<0.5']
http_reqs: ['count>5', { threshold: 'rate>1', window: 1s }]
vus: ['value<6']
`,
  { where: 'test', intervalUs: 1_000_000, metrics: {} },
);

/** One interval of one agent. */
const interval = fc.record({
  samples: fc.array(fc.integer({ min: 0, max: 3_600_001_000 }), { maxLength: 6 }),
  failed: fc.nat({ max: 3 }),
  vus: fc.nat({ max: 9 }),
});
type Measured = typeof interval extends fc.Arbitrary<infer T> ? T : never;
/** By agent, intervals in a row; then, for every one of them, which half it goes to. */
const runs = fc
  .array(fc.array(interval, { minLength: 2, maxLength: 6 }), { minLength: 2, maxLength: 4 })
  .chain((agents) => fc.tuple(fc.constant(agents), fc.array(fc.boolean(), { minLength: 24, maxLength: 24 }), fc.boolean()));

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-merge-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

describe('the bundles of two parts of a run', () => {
  test('merge into the bundle of the whole, bucket for bucket, however the run was cut', async () => {
    let turn = 0;
    await fc.assert(
      fc.asyncProperty(runs, async ([agents, choices, isByAgent]) => {
        const [whole, a, b, out] = ['whole', 'a', 'b', 'out'].map((name) => join(dir, `${turn}-${name}`)) as [
          string,
          string,
          string,
          string,
        ];
        turn++;
        const batches = batchesOf(agents);
        const isInA = (batch: Batch, position: number): boolean =>
          isByAgent ? (choices[Number(batch.key.agent)] ?? true) : (choices[position] ?? true);
        await writeBundle(whole, { plan: PLAN, batches, thresholds: THRESHOLDS });
        await writeBundle(a, { plan: PLAN, batches: selfContained(batches.filter(isInA)), thresholds: THRESHOLDS });
        await writeBundle(b, {
          plan: PLAN,
          batches: selfContained(batches.filter((batch, position) => !isInA(batch, position))),
          thresholds: THRESHOLDS,
        });
        await mergeBundles(await bundles(a, b), out);
        expect(await shapeOf(out)).toEqual(await shapeOf(whole));
        expect(comparable((await readBundle(out)).summary)).toEqual(comparable((await readBundle(whole)).summary));
      }),
      { numRuns: 15 },
    );
  });

  test('is judged like the whole: check says of the merged bundle what the whole run said of itself', async () => {
    const batches = batchesOf([
      [measured([5_000]), measured([9_000])],
      [measured([1_000]), measured([3_000_000])],
    ]);
    await writeBundle(join(dir, 'whole'), { plan: PLAN, batches, thresholds: THRESHOLDS });
    await halves(batches, THRESHOLDS);
    await mergeBundles(await bundles(join(dir, 'a'), join(dir, 'b')), join(dir, 'out'));
    const results = await openResults(join(dir, 'out'));
    const checked = await checkThresholds(results, thresholdsOf(results));
    expect(checked.thresholds).toEqual((await readBundle(join(dir, 'whole'))).summary.thresholds);
  });
});

describe('several runs', () => {
  test('become one run of all their agents, side by side; whoever spoke against one speaks against all', async () => {
    const batches = batchesOf([[measured([1_000]), measured([2_000])]]);
    await writeBundle(join(dir, 'a'), { id: 'one', plan: PLAN, batches });
    await writeBundle(join(dir, 'b'), { id: 'two', plan: { ...PLAN, seed: 2 }, batches, undelivered: 5 });
    const summary = await mergeBundles(await bundles(join(dir, 'a'), join(dir, 'b')), join(dir, 'out'));
    expect(summary.run.id).toMatch(/^merged-[0-9a-f]{12}$/);
    expect(summary.run.agents).toEqual({ planned: 2, reported: 2, lost: 0 });
    expect(summary.agents.map(({ agent }) => agent)).toEqual(['one/0', 'two/0']);
    expect(summary.ledger).toMatchObject({ planned: 9, started: 4, undelivered: 5 });
    expect(summary.metrics['http_reqs']).toEqual({ type: 'counter', count: 4, rate: 2 });
    expect(summary.validity.grade).toBe('invalid');
    expect(summary.validity.reasons[0]).toMatchObject({ code: 'load-not-delivered', detail: expect.stringMatching(/^two: /) as string });
    const { manifest } = await readBundle(join(dir, 'out'));
    expect(manifest.merged?.map(({ id }) => id)).toEqual(['one', 'two']);
    // A merged bundle is a bundle: it merges on, and is known again in what it was merged into.
    await writeBundle(join(dir, 'c'), { id: 'three', plan: PLAN, batches });
    const more = await mergeBundles(await bundles(join(dir, 'out'), join(dir, 'c')), join(dir, 'more'));
    expect(more.agents.map(({ agent }) => agent)).toEqual(['one/0', 'three/0', 'two/0']);
    await expect(mergeBundles(await bundles(join(dir, 'more'), join(dir, 'a')), join(dir, 'again'))).rejects.toThrow(
      /the same results stand in/,
    );
  });

  const other = (scenario: object): Plan => ({
    ...PLAN,
    scenarios: [{ ...openScenario({ ratePerSecond: 10, seconds: 10 }), ...scenario }],
  });
  test.each([
    ['intervals of another length', { plan: { ...PLAN, intervalMs: 500 } }, /intervals of 1000 ms in .*a, of 500 ms in .*b/],
    ['another plan', { plan: other({ gracefulStopUs: 5 }) }, /plans differ at plan\.scenarios\[0\]\.gracefulStopUs: 1000000 and 5/],
    ['a metric of another kind', { batches: batchesOf([[measured([1])]], 'gauge') }, /depth is a counter \(\) in .* and a gauge/],
    ['the same run', { id: 'one' }, /the same results stand in .*a and in .*b, batch 0 of agent 0/],
    [
      'a run of that id which began later',
      { id: 'one', manifest: { run: { id: 'one', name: 'x', startedAt: '2026-01-01T00:00:00.000Z' } } },
      /run one began at/,
    ],
  ])('are refused with %s, and nothing is written', async (_name, parts, message) => {
    await writeBundle(join(dir, 'a'), { id: 'one', plan: PLAN, batches: batchesOf([[measured([1])]], 'counter') });
    await writeBundle(join(dir, 'b'), { id: 'two', plan: PLAN, batches: batchesOf([[measured([1])]], 'counter'), ...parts });
    const merging = mergeBundles(await bundles(join(dir, 'a'), join(dir, 'b')), join(dir, 'out'));
    await expect(merging).rejects.toMatchObject({
      code: 'NOT_MERGEABLE',
      exitCode: 104,
      message: expect.stringMatching(message) as string,
    });
    expect(await readdir(dir)).not.toContain('out');
  });

  test('are refused when one of them is broken, and what was written is gone', async () => {
    await halves(batchesOf([[measured([1]), measured([2])], [measured([3])]]));
    const log = join(dir, 'b', BUNDLE_FILES.intervals);
    await writeFile(log, (await readFile(log, 'utf8')).replace(/Tag=.*\n$/, ''));
    const merging = mergeBundles(await bundles(join(dir, 'a'), join(dir, 'b')), join(dir, 'out'));
    await expect(merging).rejects.toMatchObject({ code: 'BUNDLE_INVALID', exitCode: 104 });
    expect(await readdir(join(dir, 'out'))).toEqual([]);
  });

  test('do not overwrite a bundle', async () => {
    await halves(batchesOf([[measured([1])], [measured([2])]]));
    await expect(mergeBundles(await bundles(join(dir, 'a'), join(dir, 'b')), join(dir, 'a'))).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('logs', () => {
  test('of two bundles merge into the log of the whole, bucket for bucket', async () => {
    const batches = batchesOf([
      [measured([1_000, 2_000]), measured([5])],
      [measured([3_000]), measured([70_000_000])],
    ]);
    await writeBundle(join(dir, 'whole'), { plan: PLAN, batches });
    await halves(batches);
    const logs = ['a', 'b'].map((name) => join(dir, name, BUNDLE_FILES.intervals));
    expect(await mergeLogs(await opened(...logs), join(dir, 'out.hlog'))).toEqual({ intervals: 2, lines: 2, samples: 5 });
    const read = await bucketsOf(await openResults(join(dir, 'out.hlog')));
    expect(read).toEqual(await bucketsOf(await openResults(join(dir, 'whole', BUNDLE_FILES.intervals))));
    // A bundle among logs gives its log.
    await mergeLogs(await opened(logs[0] ?? '', join(dir, 'b')), join(dir, 'mixed.hlog'));
    expect(await bucketsOf(await openResults(join(dir, 'mixed.hlog')))).toEqual(read);
  });

  test('are refused twice, with other intervals, and with buckets that are not ours', async () => {
    await halves(batchesOf([[measured([1])], [measured([2])]]));
    const [a, b] = ['a', 'b'].map((name) => join(dir, name, BUNDLE_FILES.intervals)) as [string, string];
    const out = join(dir, 'out.hlog');
    await writeFile(join(dir, 'copy.hlog'), await readFile(a));
    await expect(mergeLogs(await opened(a, join(dir, 'copy.hlog')), out)).rejects.toThrow(/are the same/);
    await writeFile(join(dir, 'long.hlog'), (await readFile(b, 'utf8')).replace(',1.000000,', ',2.000000,'));
    await expect(mergeLogs(await opened(a, join(dir, 'long.hlog')), out)).rejects.toThrow(/intervals of 1000 ms in .*, of 2000 ms in/);
    const inNanoseconds = await openResults(a, { unitUs: 0.001, mustBeExact: true });
    await expect(mergeLogs([inNanoseconds, ...(await opened(b))], out)).rejects.toThrow(/line 6: .*would not be exact/);
    expect((await readdir(dir)).filter((name) => name.startsWith('out'))).toEqual([]);
  });
});

function measured(samples: readonly number[]): Measured {
  return { samples: [...samples], failed: 0, vus: 1 };
}

/** Interval after interval, agent after agent, as the wire brings them. `depth`: a further metric of that kind. */
function batchesOf(agents: readonly (readonly Measured[])[], depth?: 'counter' | 'gauge'): Batch[] {
  const length = Math.max(...agents.map((intervals) => intervals.length));
  const defines = depth === undefined ? SERIES : [...SERIES, { number: 4, metric: 'depth', kind: depth, tags: {} }];
  return Array.from({ length }, (_, index) =>
    agents.flatMap((intervals, agent): Batch[] => {
      const one = intervals[index];
      if (one === undefined) return [];
      const { samples, failed, vus } = one;
      const own = samples.length + failed;
      return [
        {
          key: { agent: String(agent), incarnation: 'i', sequence: index },
          ...sealedInterval(index, {
            defines: index === 0 ? defines : [],
            trends: samples.length === 0 ? [] : [trendSlice(0, samples)],
            counters: [{ series: 1, count: own }, ...(depth === 'counter' ? [{ series: 4, count: 1 }] : [])],
            rates: own === 0 ? [] : [{ series: 2, passes: failed, fails: samples.length }],
            gauges: [{ series: 3, value: vus, min: 0, max: vus }, ...(depth === 'gauge' ? [{ series: 4, value: 1, min: 1, max: 1 }] : [])],
            health: { ...QUIET_HEALTH, rssBytes: 1_000 * index, cpu: vus / 10 },
            isFinal: index === intervals.length - 1,
          }),
        },
      ];
    }),
  ).flat();
}

/** A part of a run defines its series itself: whoever collected it heard of them. */
function selfContained(batches: readonly Batch[]): Batch[] {
  const told = new Set<string>();
  return batches.map((batch) => {
    if (told.has(batch.key.agent)) return { ...batch, defines: [] };
    told.add(batch.key.agent);
    return { ...batch, defines: SERIES };
  });
}

async function halves(batches: readonly Batch[], thresholds = THRESHOLDS.slice(0, 0)): Promise<void> {
  const [a, b] = [batches.filter(({ key }) => key.agent === '0'), batches.filter(({ key }) => key.agent !== '0')];
  await writeBundle(join(dir, 'a'), { plan: PLAN, batches: a, thresholds });
  await writeBundle(join(dir, 'b'), { plan: PLAN, batches: b, thresholds });
}

async function bundles(...paths: string[]): Promise<BundleResults[]> {
  return (await opened(...paths)).map((source) => {
    if (source.kind !== 'bundle') throw new Error(`${source.path} is no bundle`);
    return source;
  });
}

function opened(...paths: string[]): Promise<Results[]> {
  return Promise.all(paths.map((path) => openResults(path, { mustBeExact: true })));
}

/** Every interval of a bundle with every number in it, and every line of an agent, in an order of its own. */
async function shapeOf(path: string): Promise<unknown> {
  const bundle = await readBundle(path);
  const intervals = [];
  for await (const one of readIntervals(bundle)) intervals.push(intervalShape(one));
  const lines = [];
  for await (const { counters, rates, gauges, ...line } of bundle.agentLines()) {
    lines.push({ ...line, sizes: [counters, rates, gauges].map((list) => list?.length) });
  }
  return { intervals, lines: lines.sort((a, b) => (`${a.agent} ${a.sequence}` < `${b.agent} ${b.sequence}` ? -1 : 1)) };
}

function intervalShape({ index, fromIndex, startUs, series }: Interval): unknown {
  return {
    index,
    fromIndex,
    startUs,
    series: Object.fromEntries(series.map(({ metric, tags, value }) => [seriesKey(metric, tags), shape(value)])),
  };
}

function shape(value: Interval['series'][number]['value']): unknown {
  if (value.kind !== 'trend') return { ...value };
  const { count, sumUs, minUs, maxUs, overflow } = value.histogram;
  return { count, sumUs, minUs, maxUs, overflow, buckets: [...value.histogram.buckets()] };
}

/** What the parts of a run cannot know of the whole is left out: which of them said what. */
function comparable(summary: Summary): unknown {
  const { validity, ...rest } = parseSummary(JSON.parse(JSON.stringify(summary)));
  return { ...rest, grade: validity.grade };
}

async function bucketsOf(results: Results): Promise<unknown> {
  const intervals = [];
  for await (const { index, series } of results.intervals()) {
    intervals.push([index, series.map(({ metric, value }) => [metric, value.kind === 'trend' ? [...value.histogram.buckets()] : []])]);
  }
  return intervals;
}
