import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Cluster, type ClusterRun } from '../support/cluster.ts';
import { expectBalanced } from '../support/shell.ts';
import { TargetProcess } from '../support/target-process.ts';
import type { TargetLog } from '../support/target.ts';

// Their runs must be good ones: agents that rehearse, once for all of them, are not late with their first arrivals.
vi.stubEnv('MUSTER_REHEARSAL', 'on');

const AGENTS = 5;
const ROWS = 5_000;

/** Rows are numbered; the flow sends the number of its row, and the target counts. */
describe('5,000 unique rows over five agents', () => {
  let cluster: Cluster;
  let target: TargetProcess;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'muster-rows-'));
    await writeFile(join(folder, 'rows.csv'), `id\n${Array.from({ length: ROWS }, (_, i) => i).join('\n')}\n`);
    target = await TargetProcess.start({ behaviours: { '*': {} } });
    cluster = await Cluster.start(AGENTS);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
    await rm(folder, { recursive: true });
  });

  test('are each used exactly once by as many arrivals', async () => {
    const { run, log } = await sent({ executor: 'constant-arrival-rate', rate: 1_250, duration: '4s' });
    expect(timesUsed(log)).toEqual(Array.from({ length: ROWS }, () => 1));
    expect(run.ended.code, run.ended.stderr).toBe(0);
    expect(run.ended.stderr).not.toContain('warning');
  });

  test('end a scenario that plans more arrivals: each is used once, the plan says so, and nothing is missing', async () => {
    const { run, log } = await sent({ executor: 'constant-arrival-rate', rate: 2_000, duration: '20s' });
    expect(timesUsed(log)).toEqual(Array.from({ length: ROWS }, () => 1));
    expect(run.summary.ledger).toMatchObject({ planned: ROWS, started: ROWS, completed: ROWS });
    expect(run.ended.stderr).toContain(
      'warning: rows has 5000 rows for 40000 iterations of buy: it ends when they are used up, after 2.5s',
    );
    expect(run.ended.code, run.ended.stderr).toBe(0);
    expect(run.summary.run.durationSeconds).toBeLessThan(20);
  });

  test.each([
    { executor: 'constant-vus', vus: 23, duration: '2m' },
    { executor: 'shared-iterations', vus: 23, iterations: 9_000 },
    { executor: 'per-vu-iterations', vus: 23, iterations: 1_000 },
  ])('end the VUs of $executor when they are used up', async (load) => {
    const { run, log } = await sent(load);
    expect(timesUsed(log)).toEqual(Array.from({ length: ROWS }, () => 1));
    expect(run.summary.ledger).toMatchObject({ planned: ROWS, started: ROWS, completed: ROWS, dropped: 0 });
    expect(run.ended.code, run.ended.stderr).toBe(0);
  });

  test('begin again with the first where they may', async () => {
    const { run, log } = await sent({ executor: 'constant-arrival-rate', rate: 2_000, duration: '3s' }, 'recycle');
    expect(timesUsed(log)).toEqual(Array.from({ length: ROWS }, (_, row) => (row < 1_000 ? 2 : 1)));
    expect(run.ended.stderr).toContain('warning: rows has 5000 rows for 6000 iterations of buy: rows will repeat');
  });

  async function sent(load: object, whenExhausted?: string): Promise<{ run: ClusterRun; log: TargetLog }> {
    await target.reset();
    const rows = { file: join(folder, 'rows.csv'), order: 'unique', ...(whenExhausted === undefined ? {} : { whenExhausted }) };
    const run = await cluster.run(
      {
        ...{ name: 'rows', target: target.url, data: { rows } },
        scenarios: { buy: { ...load, flow: [{ get: '/${rows.id}', name: 'row' }] } },
      },
      AGENTS,
    );
    expectBalanced(run.summary);
    return { run, log: await target.log() };
  }
});

/** How often the target was sent each row. */
function timesUsed({ counts }: TargetLog): number[] {
  expect(Object.keys(counts).length).toBeLessThanOrEqual(ROWS);
  return Array.from({ length: ROWS }, (_, row) => counts[`/${row}`] ?? 0);
}
