import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Summary } from '../../shared/report/index.ts';
import { Cluster } from '../support/cluster.ts';
import { ComputeApi } from '../support/compute-api.ts';
import { flowExamples } from '../support/docs-examples.ts';
import { expectBalanced, ROOT, Shell, summaryOf } from '../support/shell.ts';
import { waitUntil } from '../support/wait-until.ts';

const EXAMPLE = join(ROOT, 'examples', 'boot-server.yaml');

const shell = new Shell();
let compute: ComputeApi;
beforeEach(async () => {
  compute = await ComputeApi.start();
});
afterEach(() => compute.stop());
afterAll(() => shell.close());

/** Requests by what they were for: the load, or the clean-up after it. */
function requestsOf({ metrics, submetrics }: Summary): { readonly load: number; readonly cleanUp: number } {
  const count = (metric: Summary['metrics'][string] | undefined): number => (metric?.type === 'counter' ? metric.count : 0);
  return { load: count(metrics['http_reqs']), cleanUp: count(submetrics['http_reqs{phase:finally}']) };
}

describe('servers are booted, waited for, and deleted', () => {
  test('to the end: every server is ACTIVE before it is deleted, and load and clean-up add up to what the service saw', async () => {
    const ended = await shell.muster('run', EXAMPLE, '--target', compute.url, '--agents', '2', '--duration', '3s', '--json');
    expect(ended.code, ended.stderr).toBe(0);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(compute.created).toBe(summary.ledger.completed);
    expect(compute.servers.size).toBe(0);
    const { load, cleanUp } = requestsOf(summary);
    expect(load + cleanUp).toBe(compute.requests);
    expect(cleanUp).toBe(2 * summary.ledger.completed);
    expect(summary.submetrics['transaction_duration{name:until ACTIVE}']).toMatchObject({ count: compute.created });
    const waited = summary.submetrics['transaction_duration{name:until ACTIVE}'];
    expect(waited?.type === 'trend' && waited.min).toBeGreaterThan(compute.bootMs / 2);
  });

  test('stopped half way by Ctrl-C, it leaves no server behind and ends with 105', async () => {
    compute.bootMs = Infinity;
    const run = shell.start('run', EXAMPLE, '--target', compute.url, '--agents', '2', '--json');
    await waitUntil('four servers are being built', () => compute.servers.size === 4, 30_000);
    run.kill('SIGINT');
    const ended = await run.ended;
    expect(ended.code, ended.stderr).toBe(105);
    expect(compute.servers.size).toBe(0);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.ledger).toMatchObject({ started: 4, completed: 0, interrupted: 4 });
    expect(requestsOf(summary).cleanUp).toBe(8);
    // A wait that was cut off is told as such, apart from those that came to their end.
    const cut = summary.series.filter(({ metric, tags }) => metric === 'transaction_duration' && tags['error'] === 'aborted');
    expect(cut.map(({ tags, ...series }) => [tags['name'], series.type === 'trend' && series.count])).toEqual([['until ACTIVE', 4]]);
  });

  test('without any grace, iterations are interrupted at the end of the load, and still clean up', async () => {
    compute.bootMs = Infinity;
    const scenario = parse(readFileSync(EXAMPLE, 'utf8')) as { scenarios: { boot: Record<string, unknown> }; thresholds?: unknown };
    scenario.scenarios.boot['gracefulStop'] = '0s';
    scenario.scenarios.boot['duration'] = '2s';
    delete scenario.thresholds;
    const ended = await shell.muster('run', await shell.file(scenario), '--target', compute.url, '--json');
    expect(ended.code, ended.stderr).toBe(0);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.ledger).toMatchObject({ completed: 0, interrupted: 4 });
    expect(compute.created).toBe(4);
    expect(compute.servers.size).toBe(0);
  });
});

describe('the examples of the flow language', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start(1);
  });
  afterAll(() => cluster.stop());

  test.each(flowExamples())('$place runs, and nothing in it fails', async ({ text }) => {
    const scenario = { ...(parse(text) as object), target: compute.url, defaults: { headers: { 'x-auth-token': 'token-1' } } };
    const { ended, summary } = await cluster.run(scenario, 1);
    expect(ended.code, ended.stderr).toBe(0);
    expectBalanced(summary);
    expect(summary.ledger.completed).toBeGreaterThan(0);
    expect(summary.metrics['http_req_failed']).toMatchObject({ passes: 0 });
  });
});
