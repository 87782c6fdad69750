import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../shared/base/index.ts';
import { createSchedule, isOpen, type Epoch, type Plan } from '../../shared/plan/index.ts';
import { readBundle, type Bundle, type Summary } from '../../shared/report/index.ts';
import type { Child } from '../support/processes.ts';
import { TargetProcess } from '../support/target-process.ts';
import type { TargetLog } from '../support/target.ts';
import { waitUntil } from '../support/wait-until.ts';
import { check, type Evidence, type Findings, type Fired, type SealedBy } from './checker.ts';
import { CampaignCluster } from './cluster.ts';
import type { Draw } from './draw.ts';
import { drawFault, type FaultKind } from './faults.ts';
import { randomPlan, type RandomPlan } from './random-plan.ts';

/** What one run of a campaign came to. */
export interface Trial {
  readonly plan: RandomPlan;
  /** What was done, and when, seconds after the first request. */
  readonly faults: readonly string[];
  readonly findings: Findings;
  readonly summary: Summary | undefined;
}

export interface TrialOptions {
  readonly draw: Draw;
  readonly seed: number;
  /** Its plan, bundle, logs and evidence. */
  readonly dir: string;
  readonly faultsMax: number;
  readonly kinds: readonly FaultKind[];
}

/** How long a run may take in all: its plan, its drain, its settlement, on a busy machine. */
const RUN_DEADLINE_MS = 150_000;
const STARTS_DEADLINE_MS = 60_000;
const LOOPING: ReadonlySet<string> = new Set(['constant-vus', 'ramping-vus']);

/** One random plan on a cluster of its own, with random faults, judged. Rejects only when the campaign itself cannot go on. */
export async function conductTrial({ draw, seed, dir, faultsMax, kinds }: TrialOptions): Promise<Trial> {
  await mkdir(dir, { recursive: true });
  const latency = { kind: 'constant', us: draw.whole(5, 60) * 1_000 } as const;
  const target = await TargetProcess.start({ behaviours: { '*': { latency } } });
  let cluster: CampaignCluster | undefined;
  try {
    const plan = randomPlan(draw, target.url, seed);
    const file = join(dir, 'scenario.ts');
    await writeFile(file, plan.source);
    cluster = await CampaignCluster.start(plan.agents, dir);
    const out = join(dir, 'bundle');
    const run = cluster.processes.start('coordinator/main.js', [
      ...['run', file, '--coordinator', cluster.address, '--agents', String(plan.agents), '--out', out, '--json'],
      ...draw.pick([['--late-join'], ['--late-join'], ['--on-agent-loss', 'continue']]),
    ]);
    const [, runId = ''] = await run.untilSaid(/^run (\S+)$/m, STARTS_DEADLINE_MS);
    await waitUntil('the first request has arrived', async () => (await target.total()) > 0 || run.stdout !== '', STARTS_DEADLINE_MS);
    const faults = await strikeAll(cluster, draw, plan, { runId, isOver: () => run.stdout !== '' }, faultsMax, kinds);
    const ended = await withDeadline(run, RUN_DEADLINE_MS);
    const log = await target.log();
    const left = await cluster.end();
    await writeLogs(dir, cluster, run);
    const given = { cluster, log, left, exitCode: ended, out, run };
    const { findings, summary } = await judge(given, dir);
    return { plan, faults, findings, summary };
  } finally {
    await cluster?.processes.killAll();
    await target.stop();
  }
}

/** Strikes at random instants while the load is on; resolves when all is over, with what was done. */
async function strikeAll(
  cluster: CampaignCluster,
  draw: Draw,
  plan: RandomPlan,
  { runId, isOver }: { readonly runId: string; readonly isOver: () => boolean },
  faultsMax: number,
  kinds: readonly FaultKind[],
): Promise<string[]> {
  const beganUs = systemClock.nowUs();
  const planned = Array.from({ length: draw.whole(1, faultsMax) }, (_, number) => ({
    atMs: draw.between(300, plan.seconds * 1_000 - 800),
    kind: drawFault(draw, kinds),
    draw: draw.fork(number),
  })).sort((a, b) => a.atMs - b.atMs);
  const busy = new Set<string>();
  const done = planned.map(async ({ atMs, kind, draw: own }) => {
    await systemClock.sleep(atMs - (systemClock.nowUs() - beganUs) / 1000);
    // Counted iterations may be done long before their time is over.
    if (isOver()) return undefined;
    // What is being struck already cannot be struck in the same way again.
    const [about = ''] = kind.name.split('-', 1);
    const isOneOnly = about === 'coordinator' || about === 'nats';
    if (isOneOnly && busy.has(about)) return undefined;
    if (isOneOnly) busy.add(about);
    const context = {
      cluster,
      draw: own,
      runId,
      scenarios: plan.scenarios,
      sleep: (ms: number) => systemClock.sleep(ms),
      muster: async (...words: readonly string[]) => {
        const { code, stderr } = await cluster.processes.muster([...words, '--coordinator', cluster.address]);
        return code === 0 ? '0' : `${String(code)} (${stderr.trim()})`;
      },
    };
    try {
      const said = await kind.strike(context);
      return said === undefined ? undefined : `${(atMs / 1000).toFixed(1)} s: ${kind.name}: ${said}`;
    } finally {
      if (isOneOnly) busy.delete(about);
    }
  });
  return (await Promise.all(done)).filter((said) => said !== undefined);
}

/** Its exit code; `null` when it had to be killed because it did not end. */
async function withDeadline(run: Child, ms: number): Promise<number | null> {
  const over = new AbortController();
  const late = systemClock.sleep(ms, over.signal).then(() => {
    if (!over.signal.aborted) run.kill('SIGKILL');
  });
  const { code } = await run.ended;
  over.abort();
  await late;
  return code;
}

interface Ended {
  readonly cluster: CampaignCluster;
  readonly log: TargetLog;
  readonly left: readonly number[];
  readonly exitCode: number | null;
  readonly out: string;
  readonly run: Child;
}

async function judge(ended: Ended, dir: string): Promise<{ readonly findings: Findings; readonly summary: Summary | undefined }> {
  let bundle: Bundle;
  try {
    bundle = await readBundle(ended.out);
  } catch (thrown) {
    const said = ended.run.stderr.trim().split('\n').slice(-3).join(' | ');
    return {
      findings: {
        violations: [`the run left no bundle: ${String(thrown)}; it ended with ${String(ended.exitCode)}: ${said}`],
        refired: [],
      },
      summary: undefined,
    };
  }
  const evidence = await gather(ended, bundle);
  await writeFile(
    join(dir, 'evidence.json'),
    JSON.stringify(
      { ...evidence, openScenarios: [...evidence.openScenarios], loopingScenarios: [...evidence.loopingScenarios] },
      undefined,
      1,
    ),
  );
  return { findings: check(evidence), summary: bundle.summary };
}

async function gather({ cluster, log, left, exitCode }: Ended, bundle: Bundle): Promise<Evidence> {
  const plan = bundle.manifest.plan as Plan;
  const open = plan.scenarios.filter(({ load }) => isOpen(load));
  const taking = new Set((bundle.manifest.agents as readonly { readonly id: string }[]).map(({ id }) => id));
  const isAmended = (bundle.manifest.epochs as readonly (Epoch & { readonly amendments?: readonly unknown[] })[]).some(
    ({ amendments = [] }) => amendments.length > 0,
  );
  return {
    summary: bundle.summary,
    exitCode,
    openScenarios: new Set(open.map(({ name }) => name)),
    loopingScenarios: new Set(plan.scenarios.filter(({ load }) => LOOPING.has(load.kind)).map(({ name }) => name)),
    plannedOpen: isAmended ? {} : Object.fromEntries(open.map((scenario) => [scenario.name, createSchedule(scenario, plan.seed).count])),
    sealed: await sealedBy(bundle),
    samplesInLog: await samplesInLog(bundle),
    fired: log.arrivals.map(({ path }) => firedAt(path)),
    agents: cluster.agents
      .filter(({ id }) => taking.has(id))
      .map(({ id, process, isKilled, mayBeLost }) => ({ id, pid: process.pid, isKilled, mayBeLost })),
    coordinatorKills: cluster.coordinatorKills,
    left,
  };
}

/** The last line of every agent process. Lines come in the order of arrival, which need not be that of sealing. */
async function sealedBy(bundle: Bundle): Promise<SealedBy[]> {
  const last = new Map<string, SealedBy>();
  for await (const line of bundle.agentLines()) {
    const { agent, incarnation, samplesRecorded, isFinal } = line as SealedBy;
    const key = `${agent}/${incarnation}`;
    const known = last.get(key);
    const isNewer = known === undefined || isFinal || (known.samplesRecorded <= samplesRecorded && !known.isFinal);
    if (isNewer) last.set(key, { agent, incarnation, samplesRecorded, isFinal });
  }
  return [...last.values()];
}

async function samplesInLog(bundle: Bundle): Promise<number> {
  let sum = 0;
  for await (const { histogram } of bundle.intervals()) sum += histogram.count;
  return sum;
}

/** `/s1/17/4711`: scenario, index, process. */
function firedAt(path: string): Fired {
  const [, scenario = '', index = '', pid = ''] = path.split('/');
  return { scenario, index: Number(index), pid: Number(pid) };
}

async function writeLogs(dir: string, cluster: CampaignCluster, run: Child): Promise<void> {
  await writeFile(join(dir, 'run.log'), run.stderr);
  for (const [position, one] of cluster.coordinators.entries()) await writeFile(join(dir, `coordinator-${position + 1}.log`), one.stderr);
  for (const { id, process } of cluster.agents) await writeFile(join(dir, `${id}.log`), process.stderr);
}
