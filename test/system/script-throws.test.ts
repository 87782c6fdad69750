import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { expectBalanced, ROOT, Shell, summaryOf } from '../support/shell.ts';
import { Target } from '../support/target.ts';

const shell = new Shell();
const target = await Target.start();

afterEach(() => shell.processes.assertNoneLeft());

afterAll(async () => {
  await shell.close();
  await target.stop();
});

describe('scenario code that throws where nobody catches it', () => {
  test('is counted and named with its source line, and ends no agent: 107', async () => {
    const file = await shell.file(`import { defineScenario } from 'muster';

export default defineScenario({
  name: 'strays',
  target: '${target.url}',
  scenarios: {
    load: { executor: 'constant-arrival-rate', rate: 20, duration: '2s', flow: async (vu) => {
      if (vu.iteration % 5 === 0) void Promise.reject(new Error('left alone'));
      if (vu.iteration % 5 === 1) setTimeout(() => { throw new RangeError('in a timer'); }, 1);
      if (vu.iteration % 5 === 2) void Promise.reject('no error at all');
      if (vu.iteration % 5 === 3) setTimeout(() => { throw new Error('after its iteration'); }, 300);
      await vu.http.get('/');
      await vu.sleep('50ms');
      if (vu.iteration % 5 === 4) throw new Error('in plain sight');
    } },
  },
});
`);
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended.code, ended.stderr).toBe(107);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.run.agents).toEqual({ planned: 2, reported: 2, lost: 0 });
    expect(summary.ledger).toMatchObject({ planned: 40, completed: 40 });
    expect(target.log().total).toBe(40);
    expect(ended.stderr).toMatch(/Error: left alone \(scenario-\d+\.ts:8:\d+\), 8 times/);
    expect(ended.stderr).toMatch(/RangeError: in a timer \(scenario-\d+\.ts:9:\d+\), 8 times/);
    expect(ended.stderr).toMatch(/threw "no error at all", which is no Error and has no source line, 8 times/);
    expect(ended.stderr).toMatch(/Error: after its iteration \(scenario-\d+\.ts:11:\d+\), \d+ times/);
    expect(ended.stderr).toMatch(/Error: in plain sight \(scenario-\d+\.ts:14:\d+\), 8 times/);
  });
});

describe('a bug of ours', () => {
  test.each([
    ['thrown in a callback', `setTimeout(() => { throw new Error('ours'); }, 0);`],
    ['rejected and left alone', `void Promise.reject(new Error('ours'));`],
  ])('%s ends an agent process with 1', async (_, bug) => {
    // The very handler of the agent's process, around a bug that no command can be made to have.
    const program = `
      import { catchStrays } from './dist/agent/catch-strays.js';
      import { createLog } from './dist/shared/base/index.js';
      catchStrays(createLog('agent'));
      setInterval(() => {}, 1000);
      ${bug}`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect(code, said).toBe(1);
    expect(said).toContain('a bug');
  });
});
