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

/** One second of load of each executor; where the plan has a closed form, `planned` is its number of iterations. */
const LOADS: readonly { readonly name: string; readonly load: object; readonly planned?: number; readonly areVusDealt?: boolean }[] = [
  { name: 'constant-arrival-rate', load: { executor: 'constant-arrival-rate', rate: 60, duration: '1s' }, planned: 60 },
  {
    name: 'constant-arrival-rate with poisson arrivals',
    load: { executor: 'constant-arrival-rate', rate: 60, duration: '1s', arrivals: 'poisson' },
  },
  {
    name: 'ramping-arrival-rate',
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
  },
  { name: 'constant-vus', load: { executor: 'constant-vus', vus: 7, duration: '1s' } },
  {
    name: 'ramping-vus',
    load: {
      executor: 'ramping-vus',
      startVUs: 7,
      stages: [
        { duration: '500ms', target: 9 },
        { duration: '500ms', target: 0 },
      ],
    },
  },
  { name: 'per-vu-iterations', load: { executor: 'per-vu-iterations', vus: 7, iterations: 5 }, planned: 35, areVusDealt: true },
  { name: 'shared-iterations', load: { executor: 'shared-iterations', vus: 7, iterations: 50 }, planned: 50 },
];
const AGENTS = [1, 2, 3, 7];

describe('conservation', () => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({
      behaviours: Object.fromEntries(Object.entries(ENDINGS).map(([ending, behaviour]) => [`/${ending}`, behaviour])),
    });
    cluster = await Cluster.start(Math.max(...AGENTS));
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });
  beforeEach(() => target.reset());

  for (const { name, load, planned, areVusDealt = false } of LOADS) {
    for (const agents of AGENTS) {
      test(`${name} on ${agents} agents: what the target counted is what was started, measured and merged`, async () => {
        const scenarios = Object.fromEntries(Object.keys(ENDINGS).map((ending) => [ending, { ...load, flow: [{ get: `/${ending}` }] }]));
        const run = await cluster.run({ name: 'conservation', target: target.url, scenarios }, agents);
        const { ledger } = run.summary;
        const { total, counts } = await target.log();

        expect(run.summary.run.agents).toEqual({ planned: agents, reported: agents, lost: 0 });
        expect(imbalances(ledger)).toEqual([]);
        expect(ledger).toMatchObject({ started: total, completed: total, dropped: 0, undelivered: 0, unknown: 0, interrupted: 0 });
        expect(ledger.planned).toBe(planned === undefined ? plannedBy(run) : planned * Object.keys(ENDINGS).length);
        expect(metricOf(run.summary, 'http_reqs', 'counter').count).toBe(total);
        expect(byScenario(run, 'http_reqs')).toEqual(byName(counts));
        expect(byScenario(run, 'http_req_failed')).toEqual({
          success: 0,
          'some-fail': Math.floor((counts['/some-fail'] ?? 0) / FAIL_NTH),
          close: counts['/close'],
          reset: counts['/reset'],
        });
        // Two trends of every iteration and eight of every request, but nobody waited for or received an answer that never came.
        const samples = total * 10 - ((counts['/close'] ?? 0) + (counts['/reset'] ?? 0)) * 2;
        expect(ledger.samples).toEqual({ recorded: samples, merged: samples, missing: 0, duplicate: 0 });

        const shares = await startedByAgent(run);
        expect(shares).toHaveLength(agents);
        // Indices are dealt out one by one: no two agents differ by more than one iteration of each scenario.
        if (planned !== undefined && !areVusDealt)
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(Object.keys(ENDINGS).length);
        expect(Math.min(...shares)).toBeGreaterThan(0);
      });
    }
  }

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

/** By the plan that the run itself was given: the length of its schedules. A closed load plans what it starts. */
function plannedBy({ plan, summary }: ClusterRun): number {
  return plan.scenarios.some(({ load }) => !isOpen(load))
    ? summary.ledger.started
    : plan.scenarios.reduce((sum, scenario) => sum + createSchedule(scenario, plan.seed).count, 0);
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

/** The target's counts by the names of the scenarios: each has a path to itself. */
function byName(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([path, count]) => [path.slice(1), count]));
}

/** What each agent's last line says it has started. */
async function startedByAgent({ bundle }: ClusterRun): Promise<number[]> {
  const started = new Map<string, number>();
  for await (const { agent, ledgers } of bundle.agentLines()) {
    started.set(
      agent,
      ledgers.reduce((sum, { ledger }) => sum + ledger.started, 0),
    );
  }
  return [...started.values()];
}
