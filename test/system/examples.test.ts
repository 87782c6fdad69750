import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ComputeApi } from '../support/compute-api.ts';
import { expectBalanced, ROOT, Shell, summaryOf } from '../support/shell.ts';

const FOLDER = join(ROOT, 'examples');

/** How each example is shortened for this test; a ramp has its own stages and runs as long as they say. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  'boot-server.yaml': ['--duration', '4s'],
  'closed.yaml': ['--duration', '4s'],
  'flow.ts': ['--duration', '4s'],
  'hello.yaml': ['--duration', '3s'],
  'ramp.yaml': [],
  'storefront.yaml': ['--duration', '4s'],
};

/** What `muster plan --json` prints, as far as it is looked at here. */
interface PrintedPlan {
  readonly scenarios: readonly {
    readonly iterations: number | null;
    readonly isExact: boolean;
    readonly shares: readonly { readonly agent: string; readonly iterations: number; readonly vus: number }[];
  }[];
}

const shell = new Shell();
let shop: string;
let compute: ComputeApi;

beforeAll(async () => {
  shop = await shell.sampleTarget();
  compute = await ComputeApi.start();
});

afterAll(async () => {
  await shell.close();
  await compute.stop();
});

test('every file of examples/ that is a scenario is run here', () => {
  const files = readdirSync(FOLDER).filter((file) => /\.(yaml|yml|ts|js|mjs)$/.test(file));
  expect(files.sort()).toEqual(Object.keys(FLAGS));
});

describe.each(Object.entries(FLAGS))('examples/%s', (name, flags) => {
  const file = join(FOLDER, name);

  test('is valid', async () => {
    const { code, stdout, stderr } = await shell.muster('validate', file);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`${file}: valid.`);
  });

  test('is split over three agents exactly', async () => {
    const { code, stdout, stderr } = await shell.muster('plan', file, '--agents', '3', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { scenarios } = JSON.parse(stdout) as PrintedPlan;
    expect(scenarios.length).toBeGreaterThan(0);
    for (const { iterations, isExact, shares } of scenarios) {
      expect(isExact).toBe(true);
      expect(shares.map(({ agent }) => agent)).toEqual(['agent-1', 'agent-2', 'agent-3']);
      const counts = shares.map(({ iterations: own, vus }) => (iterations === null ? vus : own));
      // 5,627 = 1,876 + 1,876 + 1,875: nobody has two more than anybody else.
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      if (iterations !== null) expect(counts.reduce((sum, own) => sum + own, 0)).toBe(iterations);
    }
    const forPeople = await shell.muster('plan', file, '--agents', '3');
    expect(forPeople.code).toBe(0);
    expect(forPeople.stdout).toMatch(/^✓ \d+ \+ \d+ \+ \d+ = (\d+) of \1 (iterations|VUs)/m);
  });

  test('runs on two agents against its system under test: passed, nothing failed, everything adds up', async () => {
    const target = name === 'boot-server.yaml' ? compute.url : shop;
    const ended = await shell.muster('run', file, '--target', target, '--agents', '2', '--json', ...flags);
    expect(ended.code, ended.stderr).toBe(0);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.run.agents).toEqual({ planned: 2, reported: 2, lost: 0 });
    expect(summary.ledger).toMatchObject({ dropped: 0, undelivered: 0, unknown: 0, interrupted: 0 });
    expect(summary.ledger.samples).toMatchObject({ missing: 0 });
    expect(summary.ledger.completed).toBeGreaterThan(0);
    expect(summary.metrics['http_req_failed']).toMatchObject({ type: 'rate', rate: 0, passes: 0 });
    expect(summary.metrics['checks']).toMatchObject({ type: 'rate', rate: 1, fails: 0 });
    expect(summary.thresholds.length).toBeGreaterThan(0);
    for (const threshold of summary.thresholds) expect(threshold).toMatchObject({ verdict: 'pass' });
  });
});
