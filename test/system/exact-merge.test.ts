import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  formatTag,
  mergeBundles,
  openResults,
  PERCENTILES,
  readBundle,
  readIntervals,
  type Bundle,
  type BundleResults,
  type SeriesSummary,
  type TrendSummary,
} from '../../shared/report/index.ts';
import { addValue, Histogram, Rollup, seriesKey, type Batch, type Series } from '../../shared/stats/index.ts';
import { ResultsPlane } from '../../shared/wire/index.ts';
import { writeBundle } from '../support/bundles.ts';
import { Cluster, type ClusterRun } from '../support/cluster.ts';
import { TargetProcess } from '../support/target-process.ts';
import { waitUntil } from '../support/wait-until.ts';

const AGENTS = 7;

describe('a run on seven agents is merged exactly', () => {
  let cluster: Cluster;
  let target: TargetProcess;
  let run: ClusterRun;
  let batches: readonly Batch[];
  /** By series, from the lines of the bundle. */
  let lines: ReadonlyMap<string, Histogram>;

  beforeAll(async () => {
    target = await TargetProcess.start({
      behaviours: {
        '/spread': { latency: { kind: 'exponential', seed: 3, meanUs: 12_000 }, failEvery: { nth: 11, status: 503 } },
        '/quick': {},
        '/gone': { ending: 'reset' },
      },
    });
    cluster = await Cluster.start(AGENTS);
    const open = { executor: 'constant-arrival-rate', rate: 300, duration: '3s', interval: '500ms' };
    const { interval, ...load } = open;
    const scenarios = {
      shop: { ...load, flow: [{ get: '/spread' }, { get: '/quick' }] },
      broken: { ...load, rate: 20, arrivals: 'poisson', flow: [{ get: '/gone' }] },
    };
    run = await cluster.run({ name: 'exact merge', target: target.url, interval, scenarios }, AGENTS);
    batches = await batchesOf(cluster.nats.url, run);
    lines = await linesOf(run);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('every agent sent its intervals, and the lines of the bundle are several', async () => {
    expect(new Set(batches.map(({ key }) => key.agent)).size).toBe(AGENTS);
    const starts = new Set<number>();
    for await (const { startUs } of run.bundle.intervals()) starts.add(startUs);
    expect(starts.size).toBeGreaterThanOrEqual(6);
  });

  test('the lines of all intervals add up, bucket for bucket, to what the agents sent', () => {
    const sent = sumOfAgents(batches);
    expect([...lines.keys()].sort()).toEqual([...sent.keys()].sort());
    for (const [key, histogram] of sent) expect(bucketsOf(lines.get(key)), key).toEqual(bucketsOf(histogram));
  });

  test('the totals in the summary are those of what the agents sent: count, extremes, mean and every percentile', () => {
    const sent = sumOfAgents(batches);
    const totals = trendsOf(run.summary.series);
    expect([...totals.keys()].sort()).toEqual([...sent.keys()].sort());
    for (const [key, total] of totals) expect(total, key).toMatchObject(summaryOf(sent.get(key)));
  });

  test('the totals in the summary are those of the lines: count, maximum and every percentile', () => {
    for (const [key, total] of trendsOf(run.summary.series)) {
      const { count, max, percentiles } = summaryOf(lines.get(key));
      expect(total, key).toMatchObject({ count, max, percentiles });
    }
  });

  test('the samples of all batches are those that the agents say they recorded', () => {
    const { samples } = run.summary.ledger;
    const inBatches = batches.reduce((sum, { trends }) => sum + trends.reduce((own, { count }) => own + count, 0), 0);
    const last = new Map(batches.map(({ key, samplesRecorded }) => [key.agent, samplesRecorded]));
    const recorded = [...last.values()].reduce((sum, own) => sum + own, 0);
    expect(samples).toEqual({ recorded, merged: inBatches, missing: 0, duplicate: 0 });
    expect(recorded).toBe(inBatches);
    expect(inBatches).toBeGreaterThan(10_000);
  });

  test('a bundle of three of the agents and one of the others merge into the bundle of the run, bucket for bucket', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'muster-halves-'));
    try {
      const { manifest } = run.bundle;
      const names = [...new Set(batches.map(({ key }) => key.agent))].sort();
      const halves = [names.slice(0, 3), names.slice(3)];
      const durationUs = Math.round(run.summary.run.durationSeconds * 1_000_000);
      const paths: string[] = [];
      for (const [i, own] of halves.entries()) {
        const agents = (manifest.agents as { readonly id: string }[]).filter(({ id }) => own.includes(id));
        const part = { plan: run.plan, batches: batches.filter(({ key }) => own.includes(key.agent)), durationUs };
        paths.push(join(dir, `half-${i}`));
        await writeBundle(join(dir, `half-${i}`), { ...part, id: run.summary.run.id, manifest: { ...manifest, agents } });
      }
      const sources = (await Promise.all(paths.map((path) => openResults(path)))) as BundleResults[];
      const summary = await mergeBundles(sources, join(dir, 'whole'));
      expect(await intervalsOf(await readBundle(join(dir, 'whole')))).toEqual(await intervalsOf(run.bundle));
      expect(summary.metrics).toEqual(run.summary.metrics);
      expect(summary.ledger.samples).toEqual(run.summary.ledger.samples);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

/** Everything that every interval holds, by series. */
async function intervalsOf(bundle: Bundle): Promise<unknown> {
  const found = new Map<number, Map<string, unknown>>();
  for await (const { index, series } of readIntervals(bundle)) {
    const own = found.get(index) ?? new Map<string, unknown>();
    found.set(index, own);
    for (const { metric, tags, value } of series) own.set(`${value.kind} ${formatTag(metric, tags)}`, exactly(value));
  }
  return found;
}

function exactly(value: Series['value']): unknown {
  if (value.kind !== 'trend') return { ...value };
  const { count, sumUs, minUs, maxUs, overflow } = value.histogram;
  return { count, sumUs, minUs, maxUs, overflow, buckets: bucketsOf(value.histogram) };
}

/** What the stream keeps of a run that is over, each agent's batches in the order in which it sent them. */
async function batchesOf(natsUrl: string, { summary, bundle }: ClusterRun): Promise<readonly Batch[]> {
  const expected = bundle.manifest.agents.reduce<number>((sum, agent) => sum + (agent as { batches: number }).batches, 0);
  const plane = await ResultsPlane.connect(natsUrl, 'test');
  const found: Batch[] = [];
  const garbage: string[] = [];
  const done = new AbortController();
  try {
    const reading = plane.readBatches(
      {
        runId: summary.run.id,
        fromSequence: 1,
        onBatch: (batch) => found.push(batch),
        onGarbage: (reason) => garbage.push(reason),
        onTrouble: (reason) => garbage.push(reason),
      },
      done.signal,
    );
    await waitUntil(`${expected} batches have been read`, () => found.length + garbage.length >= expected);
    done.abort();
    await reading;
  } finally {
    await plane.close();
  }
  expect(garbage).toEqual([]);
  expect(found).toHaveLength(expected);
  return found;
}

/** Each agent's batches rolled up by themselves, and these totals added. */
function sumOfAgents(batches: readonly Batch[]): Map<string, Histogram> {
  const sums = new Map<string, Series>();
  for (const agent of new Set(batches.map(({ key }) => key.agent))) {
    const own = new Rollup();
    for (const batch of batches) if (batch.key.agent === agent) own.add(batch);
    own.close(Infinity);
    for (const series of own.series()) {
      const key = seriesKey(series.metric, series.tags);
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, series);
      else addValue(sum.value, series.value);
    }
  }
  const trends = [...sums.values()].flatMap(({ metric, tags, value }) =>
    value.kind === 'trend' && value.histogram.count > 0 ? [[formatTag(metric, tags), value.histogram] as const] : [],
  );
  return new Map(trends);
}

async function linesOf({ bundle }: ClusterRun): Promise<Map<string, Histogram>> {
  const sums = new Map<string, Histogram>();
  for await (const { metric, tags, histogram } of bundle.intervals()) {
    const key = formatTag(metric, tags);
    const sum = sums.get(key) ?? new Histogram();
    sum.add(histogram);
    sums.set(key, sum);
  }
  return sums;
}

function trendsOf(series: readonly SeriesSummary[]): Map<string, TrendSummary> {
  return new Map(series.flatMap((one) => (one.type === 'trend' && one.count > 0 ? [[formatTag(one.metric, one.tags), one] as const] : [])));
}

function bucketsOf(histogram: Histogram | undefined): (readonly [index: number, samples: number])[] {
  return [...(histogram?.buckets() ?? [])].map(({ index, samples }) => [index, samples]);
}

/** As a summary tells it: milliseconds with three decimals. */
function summaryOf(histogram: Histogram | undefined): Partial<TrendSummary> {
  if (histogram === undefined) return {};
  const ms = (us: number | undefined): number => Number(((us ?? NaN) / 1_000).toFixed(3));
  return {
    count: histogram.count,
    min: ms(histogram.minUs),
    mean: ms(histogram.meanUs),
    max: ms(histogram.maxUs),
    percentiles: Object.fromEntries(
      PERCENTILES.map((name) => [name, ms(histogram.percentileUs(Number(name)))]),
    ) as TrendSummary['percentiles'],
  };
}
