import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { expectBalanced, Shell, summaryOf } from '../support/shell.ts';
import { Target } from '../support/target.ts';
import { waitUntil } from '../support/wait-until.ts';

const shell = new Shell();
const target = await Target.start({
  behaviours: {
    '/setup': { body: '{"token":"t-1","user":{"id":7}}', headers: { 'content-type': 'application/json' } },
    '/teardown': { body: '{}' },
    '/broken': { status: 503 },
    '*': { body: 'ok' },
  },
});

beforeEach(() => {
  target.reset();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await shell.processes.assertNoneLeft();
});

afterAll(async () => {
  await shell.close();
  await target.stop();
});

const load = { executor: 'constant-arrival-rate', rate: 50, duration: '1s' };

/** A module whose load is 50 iterations; `parts` come before its scenarios, `flow` is the function. */
function script(parts: string, flow: string, duration = '1s'): Promise<string> {
  return shell.file(`import { defineScenario } from 'muster';

export default defineScenario({
  target: '${target.url}',
  ${parts}
  scenarios: { load: { executor: 'constant-arrival-rate', rate: 50, duration: '${duration}', flow: async (vu) => {
    ${flow}
  } } },
});
`);
}

const COUNTED = `setup: async (vu) => (await vu.http.get('/setup')).json<{ token: string }>(),
  teardown: async (vu, setup) => { await vu.http.get('/teardown?' + setup?.token); },`;

describe('a setup', () => {
  test('runs once with five agents, every VU is given its result, and the teardown runs once after them', async () => {
    // Five at once on two cores, and the run must be a good one.
    vi.stubEnv('MUSTER_REHEARSAL', 'on');
    const file = await script(COUNTED, `await vu.http.get('/' + vu.setup?.token);`);
    const ended = await shell.muster('run', file, '--agents', '5', '--json');
    expect(ended.code, ended.stderr).toBe(0);
    expect(target.log().counts).toEqual({ '/setup': 1, '/t-1': 50, '/teardown': 1 });
    const paths = target.log().arrivals.map(({ path }) => path);
    expect([paths[0], paths.at(-1)]).toEqual(['/setup', '/teardown']);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    // They are no load: what they asked for is no part of the result.
    expect(summary.metrics['http_reqs']).toMatchObject({ count: 50 });
  });

  test('of steps gives its captures to the flows and to the teardown', async () => {
    const file = await shell.file({
      target: target.url,
      setup: [{ get: '/setup', capture: { token: 'json $.token', user: 'json $.user' } }],
      teardown: [{ get: '/teardown/${setup.token}/${setup.user.id}' }],
      scenarios: { load: { ...load, flow: [{ get: '/${setup.token}' }] } },
    });
    const ended = await shell.muster('run', file, '--agents', '3', '--json');
    expect(ended.code, ended.stderr).toBe(0);
    expect(target.log().counts).toEqual({ '/setup': 1, '/t-1': 50, '/teardown/t-1/7': 1 });
  });

  test('that throws keeps the run from starting and names the line: 107', async () => {
    const file = await script(
      `setup: () => { throw new Error('no database'); },\n  teardown: async (vu) => { await vu.http.get('/teardown'); },`,
      `await vu.http.get('/');`,
    );
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended).toMatchObject({ code: 107, stdout: '' });
    expect(ended.stderr).toMatch(/the setup failed: Error: no database \(scenario-\d+\.ts:5:\d+\)/);
    expect(target.log().total).toBe(0);
  });

  test('whose request fails keeps the run from starting and names it: 108', async () => {
    const file = await shell.file({
      target: target.url,
      setup: [{ post: '/broken', name: 'log in' }],
      scenarios: { load: { ...load, flow: [{ get: '/' }] } },
    });
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toContain('the setup failed: log in: status (status 503)');
    expect(target.log().counts).toEqual({ '/broken': 1 });
  });

  test('that does not end within its limit is given up: 108', async () => {
    const file = await script(`setup: () => new Promise<undefined>(() => {}),\n  setupTimeout: '500ms',`, `await vu.http.get('/');`);
    const ended = await shell.muster('run', file, '--json');
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toContain('the setup failed: not done after 0.5 s');
  });

  test('that returns more than a mebibyte, or no JSON, is refused: 107', async () => {
    const large = await shell.muster('run', await script(`setup: () => 'x'.repeat(2_000_000),`, ''));
    expect([large.code, large.stderr]).toEqual([107, expect.stringContaining('it returned 2000002 bytes of JSON; at most 1048576')]);
    const cyclic = await shell.muster('run', await script(`setup: () => { const a: unknown[] = []; a.push(a); return a; },`, ''));
    expect([cyclic.code, cyclic.stderr]).toEqual([107, expect.stringContaining('cannot be written as JSON')]);
  });

  test('whose agent is killed in the middle of it is not run a second time: 108', async () => {
    target.behave('/hang', { ending: 'never' });
    const file = await script(`setup: async (vu) => { await vu.http.get('/hang'); return process.pid; },`, `await vu.http.get('/');`);
    const run = shell.start('run', file, '--agents', '3', '--json');
    await waitUntil('the setup has begun', () => target.count('/hang') === 1);
    const doer = shell.processes.left().find((pid) => isAgent(pid, 'local-1'));
    if (doer === undefined) throw new Error('no agent local-1');
    process.kill(doer, 'SIGKILL');
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toMatch(/the setup did not end: agent local-1 was lost .*; it is not run a second time/);
    expect(target.log().counts).toEqual({ '/hang': 1 });
  });
});

describe('a teardown', () => {
  test('runs once also after Ctrl-C: 105', async () => {
    const file = await script(COUNTED, `await vu.http.get('/load');`, '60s');
    const run = shell.start('run', file, '--agents', '2', '--json');
    await waitUntil('the load is on', () => target.count('/load') > 5);
    run.kill('SIGINT');
    const ended = await run.ended;
    expect(ended.code, ended.stderr).toBe(105);
    expectBalanced(summaryOf(ended));
    expect([target.count('/setup'), target.count('/teardown'), target.log().arrivals.at(-1)?.path]).toEqual([1, 1, '/teardown']);
  });

  test('that throws is told with its line, the result stands, and the exit code is 107', async () => {
    const file = await script(`teardown: () => { throw new Error('still there'); },`, `await vu.http.get('/');`);
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended.code, ended.stderr).toBe(107);
    expect(ended.stderr).toMatch(/muster: the teardown failed: Error: still there \(scenario-\d+\.ts:5:\d+\)/);
    expect(summaryOf(ended).ledger).toMatchObject({ planned: 50, completed: 50 });
  });
});

/** Whether that process is the agent of this name of a private cluster. */
function isAgent(pid: number, agentId: string): boolean {
  try {
    return readFileSync(`/proc/${String(pid)}/environ`, 'utf8').includes(`"agentId":"${agentId}"`);
  } catch {
    // It has ended meanwhile.
    return false;
  }
}
