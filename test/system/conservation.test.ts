import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSchedule, isOpen } from '../../shared/plan/index.ts';
import { imbalances } from '../../shared/stats/index.ts';
import { Cluster, metricOf, type ClusterRun } from '../support/cluster.ts';
import { TargetProcess } from '../support/target-process.ts';
import type { Behaviour } from '../support/target.ts';

const MS = 1_000;
const FAIL_NTH = 3;
const latency = { kind: 'constant', us: 10 * MS } as const;

/** Every way in which a counted request can end, each on a path of its own. */
const ENDINGS: Readonly<Record<string, Behaviour>> = {
  success: { latency },
  'some-fail': { latency, failEvery: { nth: FAIL_NTH, status: 500 } },
  close: { latency, ending: 'close' },
  reset: { latency, ending: 'reset' },
};

interface Load {
  readonly load: object;
  /** Iterations, where the plan has a closed form. */
  readonly planned?: number;
  /** Indices are dealt out one by one, so that no two agents differ by more than one. */
  readonly isDealt?: boolean;
}

/** One second of load of each executor. */
const LOADS: Readonly<Record<string, Load>> = {
  'constant-arrival-rate': { load: { executor: 'constant-arrival-rate', rate: 60, duration: '1s' }, planned: 60, isDealt: true },
  'poisson-arrival-rate': { load: { executor: 'constant-arrival-rate', rate: 60, duration: '1s', arrivals: 'poisson' } },
  'ramping-arrival-rate': {
    // The area under 0 → 100 → 40 per second: 25 + 35.
    load: {
      executor: 'ramping-arrival-rate',
      startRate: 0,
      stages: [
        { duration: '500ms', target: 100 },
        { duration: '500ms', target: 40 },
      ],
    },
    planned: 60,
    isDealt: true,
  },
  'constant-vus': { load: { executor: 'constant-vus', vus: 7, duration: '1s' } },
  'ramping-vus': {
    load: {
      executor: 'ramping-vus',
      startVUs: 7,
      stages: [
        { duration: '500ms', target: 9 },
        { duration: '500ms', target: 0 },
      ],
    },
  },
  'per-vu-iterations': { load: { executor: 'per-vu-iterations', vus: 7, iterations: 5 }, planned: 35 },
  'shared-iterations': { load: { executor: 'shared-iterations', vus: 7, iterations: 50 }, planned: 50, isDealt: true },
};

/** Each executor with each ending: a scenario and a path of their own. */
const CASES = Object.entries(LOADS).flatMap(([executor, load]) =>
  Object.entries(ENDINGS).map(([ending, behaviour]) => ({ ...load, name: `${executor}-${ending}`, ending, behaviour })),
);
const AGENTS = [1, 2, 3, 7];

describe('conservation', () => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({
      behaviours: Object.fromEntries(CASES.map(({ name, behaviour }) => [`/${name}`, behaviour])),
    });
    cluster = await Cluster.start(Math.max(...AGENTS));
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });
  beforeEach(() => target.reset());

  test.each(AGENTS)('every executor on %i agents: what the target counted is what was started, measured and merged', async (agents) => {
    const scenarios = Object.fromEntries(CASES.map(({ name, load }) => [name, { ...load, flow: [{ get: `/${name}` }] }]));
    const run = await cluster.run({ name: 'conservation', target: target.url, scenarios }, agents);
    const { ledger } = run.summary;
    const { total, counts } = await target.log();

    expect(run.summary.run.agents).toEqual({ planned: agents, reported: agents, lost: 0 });
    expect(imbalances(ledger)).toEqual([]);
    expect(ledger).toMatchObject({ started: total, completed: total, dropped: 0, undelivered: 0, unknown: 0, interrupted: 0 });
    expect(metricOf(run.summary, 'http_reqs', 'counter').count).toBe(total);
    const shares = await startedByAgent(run);
    const [requests, failures] = [byScenario(run, 'http_reqs'), byScenario(run, 'http_req_failed')];
    let unanswered = 0;
    for (const { name, ending, planned, isDealt = false } of CASES) {
      const count = counts[`/${name}`] ?? 0;
      const failed = { success: 0, 'some-fail': Math.floor(count / FAIL_NTH), close: count, reset: count }[ending];
      expect({ name, count: requests[name], failed: failures[name] }).toEqual({ name, count, failed });
      expect({ name, count }).toEqual({ name, count: planned ?? plannedBy(run, name) ?? count });
      if (ending === 'close' || ending === 'reset') unanswered += count;
      const started = shares.map((share) => share.get(name) ?? 0);
      expect(started.reduce((sum, share) => sum + share, 0)).toBe(count);
      if (isDealt) expect(Math.max(...started) - Math.min(...started), name).toBeLessThanOrEqual(1);
    }
    // Two trends of every iteration and eight of every request, but nobody waited for or received an answer that never came.
    const samples = total * 10 - unanswered * 2;
    expect(ledger.samples).toEqual({ recorded: samples, merged: samples, missing: 0, duplicate: 0 });
    expect(shares).toHaveLength(agents);
    for (const share of shares) expect([...share.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  });

  test('what was dropped, and what the end of the run interrupted, is in the ledger as such', async () => {
    const slow = { latency: { kind: 'constant', us: 400 * MS } } as const;
    await target.behave('/open', slow);
    await target.behave('/closed', slow);
    const ended = { duration: '1s', gracefulStop: '0s' };
    const scenarios = {
      // One VU begins at 0, 0.4 and 0.8 s; the end cuts the third short, and seven of ten arrivals have found no VU.
      open: { executor: 'constant-arrival-rate', rate: 10, preAllocatedVUs: 1, maxVUs: 1, ...ended, flow: [{ get: '/open' }] },
      closed: { executor: 'constant-vus', vus: 7, ...ended, flow: [{ get: '/closed' }] },
    };
    const { summary } = await cluster.run({ name: 'cut short', target: target.url, scenarios }, 3);
    const { total, counts } = await target.log();
    const { ledger } = summary;

    expect(imbalances(ledger)).toEqual([]);
    expect(ledger).toMatchObject({ started: total, undelivered: 0, unknown: 0, interrupted: 1 + 7 });
    expect(ledger.dropped).toBe(10 - (counts['/open'] ?? 0));
    expect(ledger.dropped).toBeGreaterThan(0);
    expect(metricOf(summary, 'http_reqs', 'counter').count).toBe(total);
    expect(metricOf(summary, 'iterations', 'counter').count).toBe(ledger.completed);
    expect(metricOf(summary, 'dropped_iterations', 'counter').count).toBe(ledger.dropped);
    expect(ledger.samples).toMatchObject({ missing: 0, duplicate: 0 });
  });
});

/** By the plan that the run itself was given: the length of a scenario's schedule. A closed load plans what it starts: `undefined`. */
function plannedBy({ plan }: ClusterRun, name: string): number | undefined {
  const scenario = plan.scenarios.find((one) => one.name === name);
  return scenario !== undefined && isOpen(scenario.load) ? createSchedule(scenario, plan.seed).count : undefined;
}

/** A counter, or the passes of a rate, summed over the series of each scenario. */
function byScenario({ summary }: ClusterRun, metric: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of summary.series) {
    if (one.metric !== metric) continue;
    const count = one.type === 'counter' ? one.count : one.type === 'rate' ? one.passes : NaN;
    const scenario = one.tags['scenario'] ?? '';
    counts[scenario] = (counts[scenario] ?? 0) + count;
  }
  return counts;
}

/** By agent: what its last line says it has started of each scenario. */
async function startedByAgent({ bundle }: ClusterRun): Promise<ReadonlyMap<string, number>[]> {
  const started = new Map<string, ReadonlyMap<string, number>>();
  for await (const { agent, ledgers } of bundle.agentLines()) {
    started.set(agent, new Map(ledgers.map(({ scenario, ledger }) => [scenario, ledger.started])));
  }
  return [...started.values()];
}
