import { Collector } from '../../coordinator/collector.ts';
import { createLog } from '../../shared/base/index.ts';
import { loadEndUs, type Plan } from '../../shared/plan/index.ts';
import { BundleWriter, summarise, type Manifest } from '../../shared/report/index.ts';
import { countingOf, gradeValidity, type Threshold } from '../../shared/sla/index.ts';
import { selectValue, type Batch } from '../../shared/stats/index.ts';

export interface SimulatedRun {
  readonly id?: string;
  readonly plan: Plan;
  readonly batches: readonly Batch[];
  readonly thresholds?: readonly Threshold[];
  /** Parts of the manifest that a test wants otherwise. */
  readonly manifest?: Partial<Manifest>;
  readonly durationUs?: number;
  /** Iterations planned and never fired. */
  readonly undelivered?: number;
}

/** Leaves the bundle that a run leaves whose agents sent these batches, by the collector and the writer of real runs. */
export async function writeBundle(dir: string, run: SimulatedRun): Promise<void> {
  const { plan, batches, thresholds = [], undelivered = 0 } = run;
  const writer = await BundleWriter.open(dir, 0);
  const collector = new Collector(plan, thresholds, writer, createLog('test', 'silent'));
  collector.expect(new Set(batches.map(({ key }) => key.agent)));
  for (const batch of batches) collector.add(batch);
  collector.finish();
  if (collector.refused.length > 0) throw new Error(collector.refused.join('\n'));
  const ends = batches.map(({ intervalIndex, intervalCount }) => (intervalIndex + intervalCount) * plan.intervalMs * 1_000);
  const durationUs = run.durationUs ?? Math.max(1, ...ends);
  const id = run.id ?? 'simulated';
  const { agents, totals } = collector;
  const requests = selectValue(totals, 'http_reqs');
  const sent = requests?.kind === 'counter' ? requests.count : 0;
  const { merged, duplicate } = collector.samples;
  const ledger = {
    ...{ planned: sent + undelivered, started: sent, dropped: 0, undelivered, unknown: 0, completed: sent, interrupted: 0 },
    samples: { recorded: merged, merged, missing: 0, duplicate },
  };
  const { scenarios } = plan;
  const startedAt = new Date(0).toISOString();
  const health = collector.health.agents();
  await writer.writeRun({
    schemaVersion: 1,
    run: { id, name: plan.name, startedAt },
    intervalMs: plan.intervalMs,
    scenario: '',
    plan,
    counting: { loadEndUs: loadEndUs(plan), scenarios: scenarios.map(({ name, startUs, warmupUs }) => ({ name, startUs, warmupUs })) },
    agents: agents.map(({ agent, incarnation }) => ({ id: agent, incarnation, clock: { uncertaintyUs: 0 } })),
    epochs: [],
    events: [{ runId: id, atMs: 0, kind: 'started', detail: {} }],
    ...run.manifest,
  });
  await writer.writeSummary(
    summarise({
      run: { id, name: plan.name, startedAt, agents: { planned: agents.length, reported: agents.length, lost: 0 } },
      durationUs,
      countedUs: (tags) => countingOf(scenarios).us(tags, durationUs),
      ledger,
      validity: gradeValidity({
        ledger,
        agentsLost: [],
        health,
        scheduleLagP99Us: undefined,
        vuWaitP99Us: undefined,
        clocks: [],
        requests: { sent, answered: sent },
        bundleFailure: undefined,
        samplesUnderOther: 0,
        versionSkew: [],
        coordinatorRestarts: 0,
      }),
      totals,
      metrics: plan.metrics,
      verdicts: collector.final(durationUs),
      health,
      agentsLost: [],
    }),
  );
  await writer.close();
  if (writer.failure !== undefined) throw new Error(writer.failure);
}
