import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checkpoints } from '../../coordinator/checkpoint.ts';
import { Collector } from '../../coordinator/collector.ts';
import { createLog, systemClock } from '../../shared/base/index.ts';
import { BundleWriter } from '../../shared/report/index.ts';
import { sealedInterval, trendSlice } from '../support/intervals.ts';
import { openScenario } from '../support/plans.ts';

/** What a checkpoint costs the coordinator's loop, and how large it is: `npm run bench:checkpoint [agents] [series]`. Every agent has all
 *  series, 500 samples each, and two intervals are open. */
const [agents = 1_000, series = 20] = process.argv.slice(2).map(Number);
const SAMPLES = 500;
const ROUNDS = 30;

const dir = await mkdtemp(join(tmpdir(), 'muster-bench-'));
const bundle = await BundleWriter.open(dir, 0);
const plan = { name: 'bench', seed: 1, intervalMs: 1_000, scenarios: [openScenario({ ratePerSecond: 1, seconds: 60 })] };
const log = createLog('bench', 'silent');
const collector = new Collector(plan, [], bundle, log);
collector.expect(new Set(['nobody']));
const numbers = Array.from({ length: series }, (_, number) => number);
const durationsUs = Array.from({ length: SAMPLES }, (_, i) => Math.round(1_000 * Math.exp(((i * 7_919) % SAMPLES) / 100)));
const ledger = {
  scenario: 'browse',
  ledger: { started: 9, dropped: 0, undelivered: 0, completed: 9, interrupted: 0 },
  coveredUntilUs: 1,
  waiting: 0,
  firedUntilUs: 0,
};
for (let agent = 0; agent < agents; agent++) {
  for (const index of [0, 1]) {
    const defines = numbers.map((number) => ({
      number,
      metric: 'http_req_duration',
      kind: 'trend' as const,
      tags: { name: `step ${number}` },
    }));
    collector.add({
      key: { agent: `agent-${agent}`, incarnation: crypto.randomUUID(), sequence: index },
      ...sealedInterval(index, { defines, trends: numbers.map((number) => trendSlice(number, durationsUs)), ledgers: [ledger] }),
    });
  }
}

let bytes = 0;
const costsMs: number[] = [];
const measuring = {
  position: bundle.position,
  writeCheckpoint: (text: string): Promise<void> => {
    bytes = text.length;
    return Promise.resolve();
  },
};
for (let round = 0; round < ROUNDS; round++) {
  const checkpoints = new Checkpoints(
    { runId: 'bench', bundle: measuring, collector, drop: () => Promise.resolve(), clock: { ...systemClock, nowUs: ahead() }, log },
    0,
  );
  const fromMs = performance.now();
  checkpoints.makeIfDue();
  costsMs.push(performance.now() - fromMs);
  await checkpoints.settled();
}
costsMs.sort((a, b) => a - b);
const p50 = costsMs[ROUNDS / 2] ?? 0;
process.stdout.write(
  `${agents} agents × ${series} series: ${p50.toFixed(1)} ms (worst ${(costsMs.at(-1) ?? 0).toFixed(1)} ms), ${(bytes / 1024).toFixed(0)} KiB; ` +
    `one every ${(Math.max(2_000, p50 * 100) / 1_000).toFixed(1)} s, ${((p50 / Math.max(2_000, p50 * 100)) * 100).toFixed(2)} % of the loop\n`,
);
await bundle.close();
await rm(dir, { recursive: true, force: true });

/** A clock that is ten seconds on after its first reading, so that a checkpoint is due. */
function ahead(): () => number {
  let readings = 0;
  return () => systemClock.nowUs() + (readings++ < 2 ? 0 : 10_000_000);
}
