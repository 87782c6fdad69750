import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, type ClusterRun } from '../support/cluster.ts';
import { expectBalanced, Shell } from '../support/shell.ts';
import { TargetProcess } from '../support/target-process.ts';

const MEGABYTE = 1024 * 1024;
const VUS = 2_000;
/** A fresh agent takes some 90 MB; the requirement of 400 MB for 10,000 VUs leaves 31 KB for each of them. */
const RSS_MAX = 90 * MEGABYTE + 2 * VUS * 31 * 1024;
const REQUESTS = 120_000;
/** What a garbage collector may leave lying about. A kilobyte kept per request would be 90 MB. */
const GROWTH_MAX = 45 * MEGABYTE;

describe('one agent', () => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': {} } });
    cluster = await Cluster.start(1);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('holds 2,000 VUs that think, each on a connection of its own, in the memory that is theirs', async () => {
    const stages = [
      { duration: '2s', target: VUS },
      { duration: '2s', target: VUS },
    ];
    const flow = [{ get: '/' }, { think: '10s' }];
    const run = await scenario({ executor: 'ramping-vus', startVUs: 0, stages, gracefulStop: '0s', flow });
    const health = await healthOf(run);
    expect(run.summary.metrics['http_req_failed']).toMatchObject({ passes: 0 });
    expect(Math.max(...health.map(({ openSockets }) => openSockets))).toBe(VUS);
    expect(Math.max(...health.map(({ rssBytes }) => rssBytes))).toBeLessThan(RSS_MAX);
  });

  test('needs no more memory after 120,000 requests than after a quarter of them', async () => {
    const run = await scenario(
      { executor: 'shared-iterations', vus: 32, iterations: REQUESTS, flow: [{ get: '/' }] },
      { interval: '250ms' },
    );
    const health = await healthOf(run);
    expect(run.summary.ledger.completed).toBe(REQUESTS);
    const quarter = health.findIndex(({ completed }) => completed >= REQUESTS / 4);
    expect((health.at(-1)?.rssBytes ?? NaN) - (health[quarter]?.rssBytes ?? NaN)).toBeLessThan(GROWTH_MAX);
  });

  test('that may not open enough files says so before the start', async () => {
    const shell = new Shell();
    try {
      const flow = [{ get: '/' }];
      const file = await shell.file({
        target: target.url,
        scenarios: { many: { executor: 'constant-vus', vus: 5_000, duration: '1s', flow } },
      });
      const words = ['run', file];
      const { code, stderr } = await shell.processes.muster(words, {
        cwd: shell.dir,
        under: ['bash', '-c', 'ulimit -n 2000 && exec "$@"', '-'],
      });
      expect(stderr).toMatch(/agent \S+: its VUs open 5000 connections at once, and it may have only 2000 files open: .*ulimit -n 5064/);
      expect(code).toBe(108);
    } finally {
      await shell.close();
    }
  });

  async function scenario(load: object, top: object = {}): Promise<ClusterRun> {
    const run = await cluster.run({ name: 'scale', target: target.url, ...top, scenarios: { load } }, 1);
    expectBalanced(run.summary);
    return run;
  }
});

/** The agent's own account, interval by interval. */
async function healthOf({ bundle }: ClusterRun): Promise<{ rssBytes: number; openSockets: number; completed: number }[]> {
  const lines: { rssBytes: number; openSockets: number; completed: number }[] = [];
  for await (const { health, ledgers } of bundle.agentLines()) {
    lines.push({ ...health, completed: ledgers[0]?.ledger.completed ?? 0 });
  }
  return lines;
}
