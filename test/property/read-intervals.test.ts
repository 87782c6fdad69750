import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUNDLE_FILES, formatHlogLine, groupHlog, parseHlog, readBundle, readIntervals } from '../../shared/report/index.ts';
import {
  addValue,
  emptyValue,
  Histogram,
  Rollup,
  seriesKey,
  type Batch,
  type Series,
  type SeriesDefinition,
} from '../../shared/stats/index.ts';
import { writeBundle } from '../support/bundles.ts';
import { sealedInterval, trendSlice } from '../support/intervals.ts';
import { openScenario } from '../support/plans.ts';

const PLAN = { name: 'read', seed: 1, intervalMs: 500, scenarios: [openScenario({ ratePerSecond: 10, seconds: 10 })] };
const AN_HOUR_US = 3_600_000_000;
const SERIES: readonly SeriesDefinition[] = [
  { number: 0, metric: 'http_req_response_time', kind: 'trend', tags: { scenario: 'browse', name: 'a, "b"' } },
  { number: 1, metric: 'http_req_response_time', kind: 'trend', tags: { scenario: 'browse', phase: 'warmup' } },
  { number: 2, metric: 'http_reqs', kind: 'counter', tags: { scenario: 'browse' } },
  { number: 3, metric: 'http_req_failed', kind: 'rate', tags: { scenario: 'browse' } },
  { number: 4, metric: 'vus', kind: 'gauge', tags: { scenario: 'browse' } },
  { number: 5, metric: 'depth', kind: 'gauge', tags: {} },
];

/** What one agent measured until it sealed: over one interval, or over several that were added together. */
const sealed = fc.record({
  intervalCount: fc.constantFrom(1, 1, 1, 3),
  samples: fc.array(fc.integer({ min: 0, max: AN_HOUR_US + 1_000 }), { maxLength: 8 }),
  warming: fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 2 }),
  requests: fc.nat({ max: 5 }),
  failed: fc.nat({ max: 5 }),
  vus: fc.nat({ max: 9 }),
});
const agents = fc.array(fc.array(sealed, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 });

describe('readIntervals', () => {
  test('gives back every interval as it was merged: buckets, exact sums, counters, rates and gauges', async () => {
    await fc.assert(
      fc.asyncProperty(agents, fc.infiniteStream(fc.nat()), async (parts, picks) => {
        const batches = shuffled(parts.map(batchesOf), picks);
        const merged = new Rollup();
        for (const batch of batches) merged.add(batch);
        const expected = merged.close(Infinity);
        await withBundle(batches, async (dir) => {
          const bundle = await readBundle(dir);
          const read = new Map<number, Map<string, Series>>();
          for await (const { index, startUs, lengthUs, series } of readIntervals(bundle)) {
            expect([startUs, lengthUs]).toEqual([index * 500_000, 500_000]);
            addAll(read, index, series);
          }
          const wanted = new Map<number, Map<string, Series>>();
          for (const { index, series } of expected) addAll(wanted, index, series);
          expect(shapes(read)).toEqual(shapes(wanted));
        });
      }),
      { numRuns: 20 },
    );
  });

  test('of a run that left no end gives a beginning, exactly, wherever its files were cut, and says that it is one', async () => {
    const parts = fc.tuple(agents, fc.infiniteStream(fc.nat()), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })); // prettier-ignore
    await fc.assert(
      fc.asyncProperty(parts, async ([sent, picks, logShare, linesShare]) => {
        await withBundle(shuffled(sent.map(batchesOf), picks), async (dir) => {
          const whole = await intervalShapes(dir);
          await rm(join(dir, BUNDLE_FILES.summary));
          await rm(join(dir, BUNDLE_FILES.manifest));
          // Behind the first series: how long an interval is stands there.
          await cutTo(join(dir, BUNDLE_FILES.intervals), logShare, /^(?:[#"].*\n)*(?:Tag=.*\n)?/);
          await cutTo(join(dir, BUNDLE_FILES.agents), linesShare, /^/);
          const begun = await intervalShapes(dir);
          expect(begun).toEqual(whole.slice(0, begun.length));
          const { summary, isComplete } = await readBundle(dir);
          expect([isComplete, summary.validity.grade, summary.validity.reasons.map(({ code }) => code)]).toEqual([
            false,
            'invalid',
            ['bundle-incomplete'],
          ]);
          const last = begun.at(-1)?.index ?? -1;
          expect(summary.run.durationSeconds).toBe((last + 1) / 2);
        });
      }),
      { numRuns: 20, endOnFailure: true },
    );
  });

  test('says from where on a batch counts that stands for several intervals', async () => {
    const [first, second] = [sampleBatch('a', 0, 0, 3), sampleBatch('a', 1, 3, 1)];
    await withBundle([first, second], async (dir) => {
      const read = [];
      for await (const { index, fromIndex } of readIntervals(await readBundle(dir))) read.push([index, fromIndex]);
      expect(read).toEqual([
        [2, 0],
        [3, 3],
      ]);
    });
  });

  test('keeps the response times of every agent apart', async () => {
    await withBundle([sampleBatch('a', 0, 0, 1), sampleBatch('b', 0, 0, 1)], async (dir) => {
      const lines = [];
      for await (const { agent, response } of (await readBundle(dir)).agentLines()) lines.push([agent, response]);
      const response = { count: 2, p50Us: 1_000, p99Us: 2_000, maxUs: 2_000 };
      expect(lines).toEqual([
        ['a', response],
        ['b', response],
      ]);
    });
  });

  test.each([
    ['a log that lost a line', BUNDLE_FILES.intervals, (text: string) => text.replace(/Tag=.*\n$/, ''), /the log ends before the interval/],
    ['a log with a line too many', BUNDLE_FILES.intervals, (text: string) => text.replace(/(Tag=.*\n)$/, '$1$1'), /goes on after/],
    ['an interval that was never ended', BUNDLE_FILES.agents, (text: string) => text.replace(/\{"closed":0.*\n/, ''), /is expected/],
    ['a series nobody declared', BUNDLE_FILES.agents, (text: string) => text.replace(/\{"series".*\n/, ''), /was not declared/],
    ['a line that broke', BUNDLE_FILES.agents, (text: string) => text.slice(0, -20), /intervals\.ndjson: line \d+: /],
  ])('refuses %s', async (_name, file, breaking, message) => {
    await withBundle([sampleBatch('a', 0, 0, 1), sampleBatch('a', 1, 1, 1)], async (dir) => {
      const path = join(dir, file);
      const text = await readFile(path, 'utf8');
      expect(breaking(text)).not.toBe(text);
      await writeFile(path, breaking(text));
      const bundle = await readBundle(dir);
      const all = (async () => {
        for await (const { index } of readIntervals(bundle)) expect(index).toBeLessThan(2);
      })();
      await expect(all).rejects.toThrow(message);
      await expect(all).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    });
  });

  test('reads a bundle of lines of agents alone, as an older version left it, from its log', async () => {
    await withBundle([sampleBatch('a', 0, 0, 1)], async (dir) => {
      await writeFile(join(dir, BUNDLE_FILES.agents), '');
      const read = [];
      for await (const { index, series } of readIntervals(await readBundle(dir))) read.push([index, series.map(({ metric }) => metric)]);
      expect(read).toEqual([[0, ['http_req_response_time']]]);
    });
  });
});

describe('a log of another tool', () => {
  test('is grouped by start, and numbered by the length of its first line', async () => {
    const histogram = new Histogram();
    histogram.record(1_000);
    const line = (metric: string, start: number): string =>
      formatHlogLine({ metric, tags: {}, startUs: start * 1_000_000, lengthUs: 500_000, histogram });
    const lines = [line('a', 0), line('b', 0), line('a', 0.5), line('a', 2)];
    const read = [];
    for await (const { index, lengthUs, series } of groupHlog(parseHlog(lines.join('').split('\n'))))
      read.push([index, lengthUs, series.length]);
    expect(read).toEqual([
      [0, 500_000, 2],
      [1, 500_000, 1],
      [4, 500_000, 1],
    ]);
  });
});

type Part = typeof sealed extends fc.Arbitrary<infer T> ? T : never;

function batchesOf(parts: readonly Part[], agent: number): Batch[] {
  let next = 0;
  return parts.map(({ intervalCount, samples, warming, requests, failed, vus }, sequence) => {
    const intervalIndex = next;
    next += intervalCount;
    return {
      key: { agent: `agent-${agent}`, incarnation: 'i', sequence },
      ...sealedInterval(intervalIndex, {
        intervalCount,
        defines: sequence === 0 ? SERIES : [],
        trends: [...(samples.length === 0 ? [] : [trendSlice(0, samples)]), ...(warming.length === 0 ? [] : [trendSlice(1, warming)])],
        counters: [{ series: 2, count: requests }],
        rates: requests + failed === 0 ? [] : [{ series: 3, passes: failed, fails: requests }],
        gauges: [
          { series: 4, value: vus, min: 0, max: vus },
          { series: 5, value: vus, min: vus, max: vus, atUs: next * 500_000 + agent },
        ],
        isFinal: sequence === parts.length - 1,
      }),
    };
  });
}

function sampleBatch(agent: string, sequence: number, intervalIndex: number, intervalCount: number): Batch {
  const defines = sequence === 0 ? SERIES : [];
  const trends = [trendSlice(0, [1_000, 2_000])];
  const counters = [{ series: 2, count: 2 }];
  return { key: { agent, incarnation: 'i', sequence }, ...sealedInterval(intervalIndex, { intervalCount, defines, trends, counters }) };
}

/** One batch at a time from a random agent: agents keep their order, as the wire does. */
function shuffled(queues: Batch[][], picks: fc.Stream<number>): Batch[] {
  const all: Batch[] = [];
  while (queues.some(({ length }) => length > 0)) {
    const left = queues.filter(({ length }) => length > 0);
    const batch = left[(picks.next().value as number) % left.length]?.shift();
    if (batch !== undefined) all.push(batch);
  }
  return all;
}

async function withBundle(batches: readonly Batch[], use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'muster-read-'));
  try {
    await writeBundle(dir, { plan: PLAN, batches });
    await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function addAll(intervals: Map<number, Map<string, Series>>, index: number, series: readonly Series[]): void {
  const known = intervals.get(index) ?? new Map<string, Series>();
  intervals.set(index, known);
  for (const { metric, tags, value } of series) {
    const key = seriesKey(metric, tags);
    const sum = known.get(key) ?? { metric, tags, value: emptyValue(value.kind) };
    addValue(sum.value, value);
    known.set(key, sum);
  }
}

async function intervalShapes(dir: string): Promise<{ readonly index: number; readonly series: readonly unknown[] }[]> {
  const found = [];
  for await (const { index, series } of readIntervals(await readBundle(dir))) {
    found.push({ index, series: series.map(({ metric, tags, value }) => [metric, tags, shape(value)]) });
  }
  return found;
}

async function cutTo(path: string, share: number, kept: RegExp): Promise<void> {
  const bytes = await readFile(path);
  const head = Buffer.byteLength(kept.exec(bytes.toString())?.[0] ?? '');
  await truncate(path, head + Math.floor((bytes.length - head) * share));
}

function shapes(intervals: Map<number, Map<string, Series>>): unknown {
  return [...intervals]
    .sort(([a], [b]) => a - b)
    .map(([index, series]) => [index, [...series].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, { value }]) => [key, shape(value)])]);
}

function shape(value: Series['value']): unknown {
  if (value.kind !== 'trend') return { ...value };
  const { count, sumUs, minUs, maxUs, overflow } = value.histogram;
  return { count, sumUs, minUs, maxUs, overflow, buckets: [...value.histogram.buckets()] };
}
