import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { createLog } from '../shared/base/index.ts';
import type { Plan } from '../shared/plan/index.ts';
import { BundleWriter } from '../shared/report/index.ts';
import { Histogram, sliceOf, type Batch, type SeriesDefinition, type TrendSlice } from '../shared/stats/index.ts';
import { decodeBatch, encodeBatch } from '../shared/wire/index.ts';
import { Collector } from './collector.ts';

const AGENTS = 30;
const INTERVALS = 50;
const INTERVAL_MS = 1_000;
const SAMPLES = 100;
const TRENDS = ['http_req_response_time', 'http_req_waiting', 'http_req_blocked', 'iteration_duration'];
const SCENARIOS = ['one', 'two'];
/** As many contents of a batch. */
const KINDS = 8;
const PLAN: Plan = { name: 'rehearsal', seed: 0, intervalMs: INTERVAL_MS, scenarios: [] };

/** Code that runs for the first time is slow, and a fleet of thousands sends its first intervals all at once: they would pile up while the
 *  merge is compiled. So a coordinator that nobody needs yet merges the batches of a fleet that is not there, into a bundle that goes away
 *  again. It asks `isNeeded` before each batch, gives the loop a turn after it, and ends when it is. Returns how many samples it merged.
 *  Rejects when the bundle cannot be written. */
export async function rehearse(isNeeded: () => boolean): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'muster-rehearsal-'));
  try {
    const bundle = await BundleWriter.open(dir, 0);
    const samples = await mergeAll(bundle, isNeeded).finally(() => bundle.close());
    if (bundle.failure !== undefined) throw new Error(bundle.failure);
    return samples;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function mergeAll(bundle: BundleWriter, isNeeded: () => boolean): Promise<number> {
  const collector = new Collector(PLAN, [], bundle, createLog('rehearsal', 'silent'));
  const agents = Array.from({ length: AGENTS }, (_, number) => `rehearsal-${number}`);
  const contents = Array.from({ length: KINDS }, (_, kind) => trends(kind));
  collector.expect(new Set(agents));
  let kind = 0;
  for (let interval = 0; interval < INTERVALS; interval++) {
    for (const agent of agents) {
      if (isNeeded()) return collector.samples.merged;
      collector.add(decodeBatch(encodeBatch(batch(agent, interval, contents[kind++ % KINDS] ?? []))));
      await turnOfTheLoop();
    }
  }
  return collector.samples.merged;
}

const DEFINITIONS: readonly SeriesDefinition[] = [
  ...SCENARIOS.flatMap((scenario) => TRENDS.map((metric) => ({ metric, kind: 'trend' as const, tags: { scenario, name: 'rehearsal' } }))),
  ...SCENARIOS.map((scenario) => ({ metric: 'http_reqs', kind: 'counter' as const, tags: { scenario, name: 'rehearsal' } })),
  ...SCENARIOS.map((scenario) => ({ metric: 'http_req_failed', kind: 'rate' as const, tags: { scenario, name: 'rehearsal' } })),
  ...SCENARIOS.map((scenario) => ({ metric: 'vus', kind: 'gauge' as const, tags: { scenario } })),
].map((definition, number) => ({ number, ...definition }));

function numbersOf(kind: SeriesDefinition['kind']): number[] {
  return DEFINITIONS.filter((definition) => definition.kind === kind).map(({ number }) => number);
}

/** Some narrow, some wide, none like another. */
function trends(kind: number): TrendSlice[] {
  return numbersOf('trend').map((series) => {
    const histogram = new Histogram();
    for (let i = 0; i < SAMPLES; i++) histogram.record((1 + series) * (100 + ((i * (2 * kind + 1) * 7_919) % 10_007)));
    return sliceOf(series, histogram);
  });
}

function batch(agent: string, interval: number, contents: readonly TrendSlice[]): Batch {
  const done = SAMPLES * (interval + 1);
  const ledger = { started: done, dropped: 0, undelivered: 0, completed: done, interrupted: 0 };
  return {
    key: { agent, incarnation: 'rehearsal', sequence: interval },
    intervalIndex: interval,
    intervalCount: 1,
    defines: interval === 0 ? DEFINITIONS : [],
    trends: contents,
    counters: numbersOf('counter').map((series) => ({ series, count: SAMPLES })),
    rates: numbersOf('rate').map((series) => ({ series, passes: 0, fails: SAMPLES })),
    gauges: numbersOf('gauge').map((series) => ({ series, value: 8, min: 0, max: 8 })),
    ledgers: SCENARIOS.map((scenario) => ({
      scenario,
      ledger,
      coveredUntilUs: interval * INTERVAL_MS * 1_000,
      waiting: 0,
      firedUntilUs: 0,
    })),
    samplesRecorded: done * contents.length,
    health: {
      ...{ loopDelayP99Us: 210.4, loopDelayMaxUs: 800.5, pacerLagP99Us: 320.7, pacerLagMaxUs: 1_290.2, cpu: 0.31, gcPauseUs: 1_204 },
      ...{ rssBytes: 96_468_992, openSockets: 16, activeVus: 8, outboxBatches: 1 },
    },
    epochs: 1,
    isFinal: interval === INTERVALS - 1,
  };
}
