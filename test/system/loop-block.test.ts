import { afterAll, afterEach, expect, test } from 'vitest';
import { Shell, summaryOf } from '../support/shell.ts';
import { Target } from '../support/target.ts';

const shell = new Shell();
const target = await Target.start();

afterEach(() => shell.processes.assertNoneLeft());

afterAll(async () => {
  await shell.close();
  await target.stop();
});

function script(body: string): Promise<string> {
  return shell.file(`import { defineScenario } from 'muster';

function spin(ms: number): void {
  const until = Date.now() + ms;
  while (Date.now() < until);
}

export default defineScenario({
  target: '${target.url}',
  scenarios: { checkout: { executor: 'constant-vus', vus: 2, duration: '3s', flow: async (vu) => {
    await vu.http.get('/', { name: 'list products' });
    await vu.sleep('50ms');
    ${body}
  } } },
});
`);
}

test('a flow that blocks the loop makes the run degraded with generator-lag, which names function, source line, scenario and step', async () => {
  const ended = await shell.muster('run', await script(`if (vu.iteration === 20) spin(250);`), '--json');
  expect(ended.code, ended.stderr).toBe(0);
  const { validity } = summaryOf(ended);
  expect(validity.grade).toBe('degraded');
  const reason = validity.reasons.find(({ detail }) => detail.includes('blocked its loop'));
  expect(reason?.code).toBe('generator-lag');
  expect(reason?.detail).toMatch(
    /agent local-1 stalled for \d+ ms; scenario code blocked its loop: spin \(scenario-\d+\.ts:5:\d+\), scenario checkout, after "list products": 2\d\d ms;/,
  );
});

test('a flow that works for less than a tenth of a second is blamed for nothing', async () => {
  const ended = await shell.muster('run', await script(`spin(20);`), '--json');
  expect(ended.code, ended.stderr).toBe(0);
  expect(JSON.stringify(summaryOf(ended).validity)).not.toContain('blocked its loop');
});
