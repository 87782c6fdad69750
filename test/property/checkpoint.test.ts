import { mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Collector, type SavedCollector } from '../../coordinator/collector.ts';
import { createLog } from '../../shared/base/index.ts';
import type { Plan } from '../../shared/plan/index.ts';
import { BUNDLE_FILES, BundleWriter } from '../../shared/report/index.ts';
import { parseThreshold, type Threshold } from '../../shared/sla/index.ts';
import { saveValue, type Batch } from '../../shared/stats/index.ts';
import { QUIET_HEALTH, sealedInterval, trendSlice } from '../support/intervals.ts';
import { openScenario } from '../support/plans.ts';

const PLAN: Plan = { name: 'cut', seed: 1, intervalMs: 1_000, scenarios: [openScenario({ ratePerSecond: 10, seconds: 8 })] };
const DURATION_US = 8_000_000;
const THRESHOLDS = [
  threshold('http_req_response_time', 'p(90)<2000'),
  threshold('http_req_response_time', 'max<3000', { windowUs: 2_000_000 }),
  threshold('http_reqs', 'rate>3', { windowUs: 3_000_000, abortOnFail: true, delayAbortEvalUs: 2_000_000 }),
  threshold('http_req_failed', 'rate<0.5', { abortOnFail: true, delayAbortEvalUs: 3_000_000 }),
  threshold('vus', 'value<12', { windowUs: 1_000_000 }),
];
const LOG = createLog('test', 'silent');

const root = mkdtempSync(join(tmpdir(), 'muster-checkpoint-'));
afterAll(() => rm(root, { recursive: true, force: true }));

/** What an agent measured in one interval; -1 milliseconds is an answer that came after more than an hour. */
const measured = fc.record({
  ms: fc.array(fc.constantFrom(1, 5, 900, 2_500, 3_500, 4_000_000), { maxLength: 4 }),
  fails: fc.nat({ max: 3 }),
  passes: fc.nat({ max: 3 }),
  vus: fc.nat({ max: 9 }),
  lagUs: fc.constantFrom(0, 20_000, 200_000),
  cpu: fc.constantFrom(0.1, 0.95),
});
type Measured = typeof measured extends fc.Arbitrary<infer Value> ? Value : never;

/** Agents with their intervals; which agent is next in the stream; a batch that comes a second time. */
const streams = fc
  .tuple(
    fc.array(fc.array(measured, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
    fc.array(fc.nat({ max: 3 }), { minLength: 32, maxLength: 32 }),
    fc.nat({ max: 31 }),
  )
  .map(([agents, picks, repeated]) => streamOf(agents, picks, repeated));

describe('a checkpoint', () => {
  test('brings back what was saved, whole', async () => {
    await fc.assert(
      fc.asyncProperty(streams, fc.nat(), async ({ agents, batches }, cut) => {
        const run = await opened(agents);
        for (const batch of batches.slice(0, cut % (batches.length + 1))) run.collector.add(batch);
        const saved = atRest(run.collector);
        const back = new Collector(PLAN, THRESHOLDS, run.bundle, LOG, saved);
        expect(atRest(back)).toEqual(saved);
        expect(back.final(DURATION_US)).toEqual(run.collector.final(DURATION_US));
        await run.bundle.close();
      }),
      { numRuns: 60 },
    );
  });

  test('and the batches after it lead where a coordinator that never died came: totals, verdicts, every line of the bundle', async () => {
    await fc.assert(
      fc.asyncProperty(streams, fc.nat(), fc.nat(), async ({ agents, batches }, cut, more) => {
        const undisturbed = await opened(agents);
        for (const batch of batches) undisturbed.collector.add(batch);

        const first = await opened(agents);
        const saveAfter = cut % (batches.length + 1);
        const dieAfter = saveAfter + (more % (batches.length - saveAfter + 1));
        for (const batch of batches.slice(0, saveAfter)) first.collector.add(batch);
        const saved = atRest(first.collector);
        const { position, dir } = first.bundle;
        // What it still did is lost with it, but for what it wrote.
        for (const batch of batches.slice(saveAfter, dieAfter)) first.collector.add(batch);
        await first.bundle.close();

        const second = await opened(agents, { dir, saved, position });
        for (const batch of batches.slice(saveAfter)) second.collector.add(batch);
        expect(await ended(second)).toEqual(await ended(undisturbed));
      }),
      { numRuns: 80 },
    );
  });
});

interface Opened {
  readonly bundle: BundleWriter;
  readonly collector: Collector;
}

let bundles = 0;

async function opened(
  agents: readonly string[],
  from?: { readonly dir: string; readonly saved: SavedCollector; readonly position: BundleWriter['position'] },
): Promise<Opened> {
  const bundle = await BundleWriter.open(from?.dir ?? join(root, String(++bundles)), 0, from?.position);
  const collector = new Collector(PLAN, THRESHOLDS, bundle, LOG, from?.saved);
  collector.expect(new Set(agents));
  return { bundle, collector };
}

/** As it comes out of the file. */
function atRest(collector: Collector): SavedCollector {
  return JSON.parse(JSON.stringify(collector.save())) as SavedCollector;
}

/** Everything that is left of a run. */
async function ended({ bundle, collector }: Opened) {
  collector.finish();
  await bundle.close();
  const read = (file: string): Promise<string> => readFile(join(bundle.dir, file), 'utf8');
  return {
    totals: collector.totals.map(({ metric, tags, value }) => ({ metric, tags, value: saveValue(value) })),
    verdicts: collector.final(DURATION_US),
    abort: collector.abort,
    samples: collector.samples,
    agents: collector.agents,
    health: collector.health.agents(),
    hlog: await read(BUNDLE_FILES.intervals),
    lines: spelledOut(await read(BUNDLE_FILES.agents)),
  };
}

/** Lines with their series by name: a writer that resumes numbers them anew. */
function spelledOut(ndjson: string): unknown[] {
  type Row = readonly [number, ...unknown[]];
  type Line = Readonly<Record<string, unknown>> & { readonly series?: readonly Row[] };
  const names = new Map<number, unknown>();
  return ndjson.split('\n').flatMap((text) => {
    if (text === '') return [];
    const line = JSON.parse(text) as Line;
    for (const [number, ...series] of line.series ?? []) names.set(number, series);
    if (line.series !== undefined) return [];
    const rows = ['counters', 'rates', 'gauges', 'trends'].map((list) =>
      ((line[list] ?? []) as readonly Row[]).map(([number, ...values]) => [names.get(number), ...values]),
    );
    return [{ ...line, counters: undefined, rates: undefined, gauges: undefined, trends: undefined, rows }];
  });
}

function streamOf(agents: readonly (readonly Measured[])[], picks: readonly number[], repeated: number) {
  const queues = agents.map((intervals, agent) =>
    intervals.map((interval, index) => batchOf(`agent-${agent}`, index, interval, index === intervals.length - 1)),
  );
  const batches: Batch[] = [];
  for (const pick of picks) {
    const waiting = queues.filter((queue) => queue.length > 0);
    const next = waiting[pick % Math.max(1, waiting.length)]?.shift();
    if (next !== undefined) batches.push(next);
  }
  const again = batches[repeated];
  return { agents: agents.map((_, agent) => `agent-${agent}`), batches: again === undefined ? batches : [...batches, again] };
}

function batchOf(agent: string, index: number, { ms, fails, passes, vus, lagUs, cpu }: Measured, isFinal: boolean): Batch {
  const durationsUs = ms.map((one) => one * 1_000);
  return {
    key: { agent, incarnation: 'x', sequence: index },
    ...sealedInterval(index, {
      defines:
        index > 0
          ? []
          : [
              { number: 0, metric: 'http_req_response_time', kind: 'trend', tags: { agent } },
              { number: 3, metric: 'http_reqs', kind: 'counter', tags: {} },
              { number: 1, metric: 'http_req_failed', kind: 'rate', tags: {} },
              { number: 2, metric: 'vus', kind: 'gauge', tags: {} },
              { number: 4, metric: 'price', kind: 'gauge', tags: {} },
            ],
      trends: durationsUs.length === 0 ? [] : [trendSlice(0, durationsUs)],
      counters: [{ series: 3, count: ms.length }],
      rates: [{ series: 1, passes, fails }],
      gauges: [
        { series: 2, value: vus, min: vus, max: vus },
        { series: 4, value: vus, min: vus, max: vus + 1, atUs: index * 1_000_000 },
      ],
      samplesRecorded: ms.length,
      health: { ...QUIET_HEALTH, pacerLagP99Us: lagUs, pacerLagMaxUs: lagUs, cpu },
      isFinal,
    }),
  };
}

function threshold(metric: string, expression: string, parts: Partial<Threshold> = {}): Threshold {
  const parsed = parseThreshold(metric, expression);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return { ...parsed, abortOnFail: false, delayAbortEvalUs: 0, windowUs: undefined, ...parts };
}
