import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { expectBalanced, Shell, summaryOf } from '../support/shell.ts';
import { Target } from '../support/target.ts';

const shell = new Shell();
const target = await Target.start({ behaviours: { '/broken': { status: 500 } } });

afterEach(() => shell.processes.assertNoneLeft());

afterAll(async () => {
  await shell.close();
  await target.stop();
});

function scenario(path: string, duration: string, thresholds: object): object {
  return {
    name: 'judged',
    target: target.url,
    scenarios: { load: { executor: 'constant-arrival-rate', rate: 20, duration, flow: [{ get: path }] } },
    thresholds,
  };
}

describe('a threshold', () => {
  test('with abortOnFail ends the run as soon as it has failed, says so, and exits with 99', async () => {
    const file = await shell.file(scenario('/broken', '60s', { http_req_failed: [{ threshold: 'rate<0.5', abortOnFail: true }] }));
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended.code, ended.stderr).toBe(99);
    expect(ended.stderr).toContain('the run was ended early: threshold http_req_failed: rate<0.5 failed');
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.run.stopped).toBe('threshold http_req_failed: rate<0.5 failed');
    expect(summary.run.durationSeconds).toBeLessThan(50);
    expect(summary.ledger.planned).toBeLessThan(60 * 20);
    expect(summary.ledger).toMatchObject({ dropped: 0, undelivered: 0, unknown: 0 });
    expect(summary.thresholds).toMatchObject([{ verdict: 'fail', observed: 1 }]);
  });

  test('that holds does not end the run, whether it may abort or not', async () => {
    const file = await shell.file(scenario('/', '2s', { http_req_failed: [{ threshold: 'rate<0.5', abortOnFail: true }] }));
    const ended = await shell.muster('run', file, '--json');
    expect(ended.code, ended.stderr).toBe(0);
    expect(summaryOf(ended).ledger).toMatchObject({ planned: 40, completed: 40 });
  });

  test('without samples has no data, which is not a pass: 99', async () => {
    const file = await shell.file(scenario('/', '2s', { 'http_req_duration{status:418}': ['p(95)<1000'] }));
    const ended = await shell.muster('run', file, '--json');
    expect(ended.code, ended.stderr).toBe(99);
    expect(ended.stderr).toContain('thresholds failed: http_req_duration: p(95)<1000 (no-data)');
    const summary = summaryOf(ended);
    expect(summary.thresholds).toMatchObject([{ tags: { status: '418' }, verdict: 'no-data', observed: null }]);
    expect(summary.ledger).toMatchObject({ planned: 40, completed: 40 });
  });
});

describe('scenario code', () => {
  const throwing = (flow: string): string => `import { defineScenario } from 'muster';

export default defineScenario({
  name: 'throwing',
  target: '${target.url}',
  scenarios: {
    load: { executor: 'constant-arrival-rate', rate: 20, duration: '2s', flow: async (vu) => {
${flow}
    } },
  },
});
`;

  test('that throws is counted and named with its line, the load goes on to its end, and the exit code is 107', async () => {
    const file = await shell.file(
      throwing(`      await vu.http.get('/');
      if (vu.iteration % 2 === 1) throw new Error('odd one out');`),
    );
    const before = target.log().total;
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended.code, ended.stderr).toBe(107);
    // Nobody was killed by it: all 40 iterations ran on both agents, each with its request.
    expect(target.log().total - before).toBe(40);
    const summary = summaryOf(ended);
    expect(summary.run.agents).toEqual({ planned: 2, reported: 2, lost: 0 });
    expect(summary.ledger).toMatchObject({ planned: 40, started: 40 });
    expectBalanced(summary);
    expect(ended.stderr).toMatch(/muster: scenario code threw: Error: odd one out \(.*scenario-\d+\.ts:9:\d+\)/);
  });

  test('that never comes to an end is cut off after the graceful stop and interrupted, and the run ends', async () => {
    const file = await shell.file(
      throwing('      await new Promise(() => {});').replace("duration: '2s',", "duration: '2s', gracefulStop: '1s',"),
    );
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.ledger).toMatchObject({ planned: 40, completed: 0, dropped: 0, interrupted: 40 });
    expect(ended.code, ended.stderr).toBe(0);
  });

  test('that throws while it is loaded stops nothing but itself: bad input, 104', async () => {
    const file = await shell.file(`throw new Error('not today');\nexport default {};\n`);
    const ended = await shell.muster('run', file);
    expect(ended).toMatchObject({ code: 104, stdout: '' });
    expect(ended.stderr).toContain('not today');
    expect(ended.stderr).not.toMatch(/^\s+at /m);
  });
});
