import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { metricOf } from '../support/cluster.ts';
import { expectBalanced, Shell, summaryOf } from '../support/shell.ts';
import { Target } from '../support/target.ts';

const shell = new Shell();
const target = await Target.start();

afterEach(() => shell.processes.assertNoneLeft());

afterAll(async () => {
  await shell.close();
  await target.stop();
});

function script(flow: string, thresholds = '{}'): Promise<string> {
  return shell.file(`import { defineScenario } from 'muster';

export default defineScenario({
  target: '${target.url}',
  metrics: {
    queue_length: { type: 'trend', unit: ' jobs' },
    orders: { type: 'counter' },
    cache_hit: { type: 'rate' },
    stock: { type: 'gauge' },
  },
  scenarios: { load: { executor: 'constant-arrival-rate', rate: 20, duration: '2s', flow: async (vu) => {
    ${flow}
    await vu.http.get('/');
  } } },
  thresholds: ${thresholds},
});
`);
}

describe('metrics of a scenario’s own', () => {
  test('are merged exactly over agents, judged, and shown like those of every run', async () => {
    const file = await script(
      `vu.metrics.trend('queue_length').add(vu.iteration);
    vu.metrics.counter('orders').add(2, { kind: vu.iteration % 2 === 0 ? 'even' : 'odd' });
    vu.metrics.rate('cache_hit').add(vu.iteration % 4 === 0);
    vu.metrics.gauge('stock').set(100 - vu.iteration);`,
      `{ queue_length: ['max<40', 'p(50)<20'], 'orders{kind:even}': ['count==40'], cache_hit: ['rate>0.2'], stock: ['value<=61'] }`,
    );
    const out = join(shell.dir, 'bundle');
    const ended = await shell.muster('run', file, '--agents', '3', '--json', '--out', out);
    expect(ended.code, ended.stderr).toBe(0);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.ledger.samples.missing).toBe(0);
    expect(metricOf(summary, 'queue_length', 'trend')).toMatchObject({ unit: ' jobs', count: 40, min: 0, mean: 19.5, max: 39 });
    expect(metricOf(summary, 'queue_length', 'trend').percentiles['50']).toBeCloseTo(19, 1);
    expect(metricOf(summary, 'orders', 'counter').count).toBe(80);
    expect(metricOf(summary, 'cache_hit', 'rate')).toMatchObject({ rate: 0.25, passes: 10, fails: 30 });
    // The last one by time, whichever agent it came from.
    expect(metricOf(summary, 'stock', 'gauge')).toMatchObject({ value: 61, min: 61, max: 100 });
    expect(summary.thresholds.map(({ verdict }) => verdict)).toEqual(['pass', 'pass', 'pass', 'pass', 'pass']);
    expect(await readFile(join(out, 'intervals.hlog'), 'utf8')).toContain('Tag=queue_length{scenario=load}');
    const report = await shell.muster('run', file, '--agents', '2');
    expect(report.stdout).toMatch(/queue_length\.*: avg=19\.5 jobs min=0 jobs/);
  });

  test('that are not declared, declared as something else, or no measurement end the iteration and name the line: 107', async () => {
    const file = await script(`const uses = [
      () => vu.metrics.trend('queue_lenght').add(1),
      () => vu.metrics.counter('stock').add(1),
      () => vu.metrics.trend('queue_length').add(NaN),
      () => vu.metrics.gauge('stock').set(-1),
    ];
    uses[vu.iteration % 4]?.();`);
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended.code, ended.stderr).toBe(107);
    expect(ended.stderr).toMatch(
      /metrics\.trend\("queue_lenght"\): there is no such metric; did you mean "queue_length"\? \(scenario-\d+\.ts:13:\d+\), 10 times/,
    );
    expect(ended.stderr).toMatch(/metrics\.counter\("stock"\): it is declared as a gauge \(scenario-\d+\.ts:14:\d+\), 10 times/);
    expect(ended.stderr).toMatch(
      /metrics\.trend\("queue_length"\): expected a number from 0, got NaN \(scenario-\d+\.ts:15:\d+\), 10 times/,
    );
    expect(ended.stderr).toMatch(/metrics\.gauge\("stock"\): expected a number from 0, got -1 \(scenario-\d+\.ts:16:\d+\), 10 times/);
    expect(summaryOf(ended).metrics['queue_length']).toBeUndefined();
  });
});
