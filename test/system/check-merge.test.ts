import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBundle } from '../../shared/report/index.ts';
import { parseThresholds } from '../../shared/scenario/index.ts';
import type { Batch } from '../../shared/stats/index.ts';
import { writeBundle, type SimulatedRun } from '../support/bundles.ts';
import { sealedInterval, trendSlice } from '../support/intervals.ts';
import { openScenario } from '../support/plans.ts';
import { Shell } from '../support/shell.ts';

const PLAN = { name: 'on disk', seed: 1, intervalMs: 1_000, scenarios: [openScenario({ ratePerSecond: 10, seconds: 10 })] };
const TAGS = { scenario: 'browse', name: 'list' };

let shell: Shell;
beforeAll(async () => {
  shell = new Shell();
  await left('held', { thresholds: 'http_reqs: count==3' });
  await left('failed', { thresholds: 'http_reqs: count>3' });
  await left('invalid', { thresholds: 'http_reqs: count==3', undelivered: 5 });
  await left('silent', {});
  await left('more', { id: 'more', agent: 'b', lastMs: 4 });
});
afterAll(() => shell.close());

/** Mounts are for root, or for whoever may have a user namespace of their own; elsewhere there is no small disk to fill. */
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

describe('a place that cannot be written to', () => {
  test('ends a report with 108', async () => {
    const { code, stderr } = await shell.muster('report', 'held', '--format', 'md', '--out', '/dev/full');
    expect([code, stderr]).toEqual([108, expect.stringMatching(/^muster: cannot write \/dev\/full: ENOSPC/)]);
  });

  test.runIf(canMount)('ends a merge of logs with 108, and leaves nothing of it', async () => {
    const disk = join(shell.dir, 'full');
    await mkdir(disk);
    const script =
      'mount -t tmpfs -o size=4096 none "$0" && head -c 4096 /dev/zero > "$0"/filled && "$@"; code=$?; ls "$0" >&2; exit $code';
    const words = ['merge', 'held', 'more', '--out', join(disk, 'both.hlog')];
    const under = ['unshare', '-rm', 'sh', '-c', script, disk];
    const { code, stderr } = await shell.processes.run('coordinator/main.js', words, { cwd: shell.dir, under });
    expect([code, stderr]).toEqual([108, expect.stringMatching(/^muster: cannot write \S+both\.hlog: ENOSPC.*\nfilled\n$/)]);
  });

  test('is told of a folder that nobody can make', async () => {
    const { code, stderr } = await shell.muster('merge', 'held', 'more', '--out', '/proc/nobody/here');
    expect([code, stderr]).toEqual([108, expect.stringContaining('/proc/nobody/here')]);
  });
});

describe('muster check', () => {
  test('judges the thresholds of the bundle’s own scenario', async () => {
    const { code, stdout } = await shell.muster('check', 'held');
    expect([code, stdout]).toEqual([0, expect.stringContaining("✓ 'count==3' count=3")]);
  });

  test('ends with 99 when one failed, 111 when all held over a run that is invalid', async () => {
    expect((await shell.muster('check', 'failed')).code).toBe(99);
    expect((await shell.muster('check', 'invalid')).code).toBe(111);
  });

  test('takes thresholds from flags and files instead, and prints JSON and JUnit', async () => {
    await writeFile(join(shell.dir, 'sla.yaml'), 'http_req_response_time{name:list}: [max<=3, { threshold: p(50)<5, window: 1s }]\n');
    const words = ['check', 'failed', '--thresholds', 'sla.yaml', '--threshold', 'http_reqs{name:list}: count==3'];
    const json = await shell.muster(...words, '--format', 'json');
    expect(json.code, json.stderr).toBe(0);
    const { thresholds } = JSON.parse(json.stdout) as { thresholds: { expression: string; verdict: string }[] };
    expect(thresholds.map(({ expression, verdict }) => `${expression} ${verdict}`)).toEqual([
      'count==3 pass',
      'max<=3 pass',
      'p(50)<5 pass',
    ]);
    expect((await shell.muster(...words, '--format', 'junit')).stdout).toContain('<testsuites tests="4" failures="0"');
  });

  test('reads the log of a bundle alone', async () => {
    const log = join('held', 'intervals.hlog');
    expect((await shell.muster('check', log, '--threshold', 'http_req_response_time{name:list}: max==3')).code).toBe(0);
    expect((await shell.muster('check', log, '--unit', 'ms', '--threshold', 'http_req_response_time: max>2s')).code).toBe(0);
  });

  test.each([
    [['check', 'nowhere'], /nowhere: expected a run bundle or an HdrHistogram log/],
    [['check', 'silent'], /silent: its scenario has no thresholds/],
    [['check', 'held', '--threshold', 'http_req: count>1'], /there is no metric "http_req"/],
    [['check', 'held', '--threshold', 'count>1'], /expected a mapping of metrics to thresholds/],
    [['check', 'held', '--thresholds', 'nowhere.yaml'], /--thresholds nowhere\.yaml: expected a readable file/],
    [['check', 'held', '--unit', 'weeks'], /Expected ns, us, ms or s/],
  ])('%j ends with 104 and says why', async (words, why) => {
    const { code, stderr } = await shell.muster(...words);
    expect([code, stderr]).toEqual([104, expect.stringMatching(why)]);
  });
});

describe('muster merge', () => {
  test('adds bundles into one, which is a bundle', async () => {
    const { code, stdout, stderr } = await shell.muster('merge', 'held', 'more', '--out', 'both');
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^both: run merged-[0-9a-f]{12}, 2 bundles, 6 samples, valid\n$/);
    const { summary } = await readBundle(join(shell.dir, 'both'));
    expect(summary.metrics['http_req_response_time']).toMatchObject({ count: 6, min: 1, max: 4, mean: 2.167 });
    // The thresholds of both are judged over the sum.
    expect((await shell.muster('check', 'both')).code).toBe(99);
  });

  test('adds logs into one, bundles among them', async () => {
    const { code, stdout, stderr } = await shell.muster('merge', join('held', 'intervals.hlog'), 'more', '--out', 'both.hlog');
    expect([code, stdout], stderr).toEqual([0, 'both.hlog: 2 logs, 3 intervals, 6 samples\n']);
    expect((await shell.muster('check', 'both.hlog', '--threshold', 'http_req_response_time: max==4')).code).toBe(0);
  });

  test.each([
    [['merge', 'held', 'failed', '--out', 'no'], /the same results stand in held and in failed/],
    [['merge', 'held', '--out', 'no'], /expected at least two results to merge, got 1/],
    [['merge', 'held', join('more', 'intervals.hlog'), '--out', 'no'], /is a log, which has no ledger and no plan/],
    [['merge', 'held', 'more'], /required option '--out <path>'/],
  ])('%j ends with 104, says why and writes nothing', async (words, why) => {
    const { code, stderr } = await shell.muster(...words);
    expect([code, stderr]).toEqual([104, expect.stringMatching(why)]);
    expect(await readdir(shell.dir)).not.toContain('no');
  });
});

/** A run of three seconds with a request in each, as a bundle on disk. */
async function left(
  name: string,
  parts: { id?: string; agent?: string; thresholds?: string; lastMs?: number } & Pick<SimulatedRun, 'undelivered'>,
): Promise<void> {
  const { agent = 'a', thresholds, undelivered = 0, id = 'one', lastMs = 3 } = parts;
  const batches = [1, 2, lastMs].map((ms, index): Batch => ({
    key: { agent, incarnation: 'i', sequence: index },
    ...sealedInterval(index, {
      defines:
        index > 0
          ? []
          : [
              { number: 0, metric: 'http_req_response_time', kind: 'trend', tags: TAGS },
              { number: 1, metric: 'http_reqs', kind: 'counter', tags: TAGS },
            ],
      trends: [trendSlice(0, [ms * 1_000])],
      counters: [{ series: 1, count: 1 }],
      isFinal: index === 2,
    }),
  }));
  const dir = join(shell.dir, name);
  await mkdir(dir);
  const own = thresholds === undefined ? [] : parseThresholds(thresholds, { where: name, intervalUs: 1_000_000, metrics: {} });
  await writeBundle(dir, { id, plan: PLAN, batches, thresholds: own, undelivered });
}
