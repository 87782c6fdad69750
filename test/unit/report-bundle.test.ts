import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HistogramLogReader } from 'hdr-histogram-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../shared/base/index.ts';
import { BUNDLE_FILES, BundleWriter, readBundle, summarise, type Manifest, type Summary } from '../../shared/report/index.ts';
import { addValue, emptyValue, Histogram, type Batch, type MergedInterval, type Series } from '../../shared/stats/index.ts';
import { QUIET_HEALTH, sealedInterval } from '../support/intervals.ts';

const STARTED_AT_US = Date.UTC(2026, 0, 2, 3, 4, 5) * 1_000;
const SECOND_US = 1_000_000;
const QUIET_BATCH: Batch = { key: { agent: 'a', incarnation: 'i', sequence: 0 }, ...sealedInterval(0) };
const noSeries = (): never => {
  throw new Error('a batch without series was asked for one');
};
const MANIFEST: Manifest = {
  schemaVersion: 1,
  run: { id: 'r1', name: 'storefront', startedAt: '2026-01-02T03:04:05.000Z' },
  intervalMs: 1_000,
  scenario: { name: 'storefront' },
  plan: {},
  agents: [],
  epochs: [],
  events: [],
};

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-bundle-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

describe('run bundle', () => {
  test('what was written reads back: manifest, summary, series and agent lines', async () => {
    const intervals = [interval(0, [1_000, 2_000]), interval(1, [70_000_000])];
    const summary = summaryOf(intervals);
    await written(intervals, summary);

    const bundle = await readBundle(dir);
    expect([bundle.manifest, bundle.summary]).toEqual([MANIFEST, summary]);
    const lines = [];
    for await (const line of bundle.intervals()) lines.push(line);
    expect(
      lines.map(({ metric, tags, startUs, lengthUs, histogram }) => [metric, tags, startUs, lengthUs, histogram.count, histogram.maxUs]),
    ).toEqual([
      ['http_req_duration', { name: 'GET /a, b' }, 0, SECOND_US, 2, 2_000],
      ['http_req_duration', { name: 'GET /a, b' }, SECOND_US, SECOND_US, 1, 70_000_000],
    ]);
    const agents = [];
    for await (const line of bundle.agentLines()) agents.push(line);
    expect(agents).toMatchObject([{ agent: 'a', intervalIndex: 0, health: QUIET_HEALTH }]);
  });

  test('the series of all intervals sum to the totals', async () => {
    const intervals = Array.from({ length: 20 }, (_, i) => interval(i, [i, i * 1_000, i * 50_000]));
    await written(intervals, summaryOf(intervals));
    const sum = new Histogram();
    for await (const { histogram } of (await readBundle(dir)).intervals()) sum.add(histogram);
    const total = totalOf(intervals);
    expect([...sum.buckets()]).toEqual([...total.buckets()]);
    expect([sum.count, sum.maxUs]).toEqual([total.count, total.maxUs]);
  });

  test('HistogramLogReader opens the log and counts the same', async () => {
    const intervals = [interval(0, [1_000, 2_000, 2_000]), interval(1, [3_600_000_000])];
    await written(intervals, summaryOf(intervals));
    const text = await readFile(join(dir, BUNDLE_FILES.intervals), 'utf8');
    const reader = new HistogramLogReader(text, 64);
    const first = reader.nextIntervalHistogram();
    const second = reader.nextIntervalHistogram();
    expect(reader.nextIntervalHistogram()).toBeNull();
    expect([first?.totalCount, first?.getValueAtPercentile(99), second?.totalCount]).toEqual([3, 2_000, 1]);
    expect([first?.startTimeStampMsec, first?.endTimeStampMsec]).toEqual([STARTED_AT_US / 1_000, STARTED_AT_US / 1_000 + 1_000]);
    expect(first?.tag).toBe('http_req_duration{name=GET%20%2Fa%2C%20b}');
    expect(text).toContain('#[Histogram log format version 1.3]\n');
  });

  test('JSON files appear whole or not at all, and leave no temporary file', async () => {
    await written([interval(0, [5])], summaryOf([interval(0, [5])]));
    expect((await readdir(dir)).sort()).toEqual(['intervals.hlog', 'intervals.ndjson', 'run.json', 'summary.json']);
  });

  test('a writer that resumes cuts what was written past the checkpoint and goes on', async () => {
    const before = await BundleWriter.open(dir, STARTED_AT_US);
    await before.appendInterval(interval(0, [1]), 0, SECOND_US);
    const checkpoint = before.position;
    await before.appendInterval(interval(1, [2]), SECOND_US, SECOND_US);
    await before.close();

    const after = await BundleWriter.open(dir, STARTED_AT_US, checkpoint);
    await after.appendInterval(interval(1, [3]), SECOND_US, SECOND_US);
    await after.writeRun(MANIFEST);
    await after.writeSummary(summaryOf([interval(0, [1]), interval(1, [3])]));
    await after.close();
    const maxima = [];
    for await (const { histogram } of (await readBundle(dir)).intervals()) maxima.push(histogram.maxUs);
    expect([after.failure, maxima]).toEqual([undefined, [1, 3]]);
  });

  test('writes that nobody awaited are done in order when the writer closes', async () => {
    const writer = await BundleWriter.open(dir, STARTED_AT_US);
    for (let index = 0; index < 200; index++) void writer.appendInterval({ index, series: [] }, index, 1);
    await writer.close();
    const lines = (await readFile(join(dir, BUNDLE_FILES.agents), 'utf8')).trimEnd().split('\n');
    expect(lines).toEqual(Array.from({ length: 200 }, (_, closed) => JSON.stringify({ closed })));
  });
});

describe('a bundle that cannot be written', () => {
  test('a full disk is remembered, ends the growing files, and the summary is still written', async () => {
    await symlink('/dev/full', join(dir, BUNDLE_FILES.agents));
    const writer = await BundleWriter.open(dir, STARTED_AT_US);
    await writer.appendBatch(QUIET_BATCH, noSeries);
    expect(writer.failure).toMatch(/^intervals\.ndjson: ENOSPC/);
    const { hlogBytes } = writer.position;
    await writer.appendInterval(interval(0, [1]), 0, SECOND_US);
    await writer.writeSummary(summaryOf([]));
    await writer.close();
    expect(writer.position.hlogBytes).toBe(hlogBytes);
    expect(await readdir(dir)).toContain('summary.json');
  });

  test('a summary that cannot be put in place is remembered and does not throw', async () => {
    await mkdir(join(dir, BUNDLE_FILES.summary));
    const writer = await BundleWriter.open(dir, STARTED_AT_US);
    await writer.writeSummary(summaryOf([]));
    await writer.close();
    expect(writer.failure).toMatch(/^summary\.json: /);
    expect((await readdir(dir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('a folder that cannot be made is refused before the run, with exit code 108', async () => {
    await writeFile(join(dir, 'file'), '');
    const refused = await BundleWriter.open(join(dir, 'file', 'bundle'), STARTED_AT_US).catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(AppError);
    expect(refused).toMatchObject({ code: 'OUT_UNWRITABLE', exitCode: 108 });
  });
});

describe('a bundle that cannot be read', () => {
  test.each([
    [BUNDLE_FILES.manifest, undefined, /run\.json: expected a JSON file/],
    [BUNDLE_FILES.manifest, '{', /run\.json: expected a JSON file/],
    [BUNDLE_FILES.manifest, '{"schemaVersion":2}', /run\.json: schemaVersion: expected 1, got 2/],
    [BUNDLE_FILES.manifest, '{"schemaVersion":1,"run":{"id":5}}', /run\.json: run\.id: expected a string/],
    [BUNDLE_FILES.summary, '[]', /summary\.json: expected a JSON object/],
    [BUNDLE_FILES.summary, '{"schemaVersion":99}', /summary\.json: schemaVersion: expected 1, got 99/],
  ])('%s with %j is refused with what was expected', async (name, content, message) => {
    await written([interval(0, [1])], summaryOf([interval(0, [1])]));
    await (content === undefined ? rm(join(dir, name)) : writeFile(join(dir, name), content));
    const refused = await readBundle(dir).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: 'BUNDLE_INVALID', exitCode: 104 });
    expect((refused as AppError).message).toMatch(message);
  });

  test.each([
    ['a line of three fields', 'Tag=x,0,1\n'],
    ['a start that is no number', 'Tag=x,soon,1,1,HISTF\n'],
    ['a payload that is no histogram', 'Tag=x,0.000,1.000,1.000,AAAA\n'],
  ])('%s in the log is refused with its line number', async (_name, line) => {
    await written([interval(0, [1])], summaryOf([interval(0, [1])]));
    await writeFile(join(dir, BUNDLE_FILES.intervals), line, { flag: 'a' });
    const bundle = await readBundle(dir);
    const drained = (async () => {
      let count = 0;
      for await (const { histogram } of bundle.intervals()) count += histogram.count;
      return count;
    })();
    await expect(drained).rejects.toThrow(/intervals\.hlog: line 7: /);
  });

  test('a missing log is refused as an invalid bundle', async () => {
    await written([], summaryOf([]));
    await rm(join(dir, BUNDLE_FILES.intervals));
    const bundle = await readBundle(dir);
    await expect(bundle.intervals().next()).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
  });
});

async function written(intervals: readonly MergedInterval[], summary: Summary): Promise<void> {
  const writer = await BundleWriter.open(dir, STARTED_AT_US);
  for (const one of intervals) await writer.appendInterval(one, one.index * SECOND_US, SECOND_US);
  await writer.appendBatch(QUIET_BATCH, noSeries);
  await writer.writeRun(MANIFEST);
  await writer.writeSummary(summary);
  await writer.close();
  expect(writer.failure).toBeUndefined();
}

function interval(index: number, valuesUs: readonly number[]): MergedInterval {
  const histogram = new Histogram();
  for (const value of valuesUs) histogram.record(value);
  const trend: Series = { metric: 'http_req_duration', tags: { name: 'GET /a, b' }, value: { kind: 'trend', histogram } };
  const counter: Series = { metric: 'http_reqs', tags: {}, value: { kind: 'counter', count: valuesUs.length } };
  return { index, series: [trend, counter] };
}

function totalOf(intervals: readonly MergedInterval[]): Histogram {
  const total = emptyValue('trend');
  for (const { series } of intervals) for (const { value } of series) if (value.kind === 'trend') addValue(total, value);
  return total.kind === 'trend' ? total.histogram : new Histogram();
}

function summaryOf(intervals: readonly MergedInterval[]): Summary {
  const samples = intervals.length;
  return summarise({
    run: { id: 'r1', name: 'storefront', startedAt: MANIFEST.run.startedAt, agents: { planned: 1, reported: 1, lost: 0 } },
    durationUs: Math.max(1, intervals.length) * SECOND_US,
    ledger: {
      planned: samples,
      started: samples,
      dropped: 0,
      undelivered: 0,
      unknown: 0,
      completed: samples,
      interrupted: 0,
      samples: { recorded: samples, merged: samples, missing: 0, duplicate: 0 },
    },
    validity: { grade: 'valid', reasons: [] },
    totals: [{ metric: 'http_req_duration', tags: {}, value: { kind: 'trend', histogram: totalOf(intervals) } }],
    verdicts: [],
    health: [],
    agentsLost: [],
  });
}
