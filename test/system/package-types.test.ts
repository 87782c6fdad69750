import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ROOT } from '../support/shell.ts';

/** A project of somebody who has the built package among theirs. */
const project = await mkdtemp(join(tmpdir(), 'muster-project-'));
await mkdir(join(project, 'node_modules'));
await symlink(ROOT, join(project, 'node_modules', 'muster'));
await writeFile(join(project, 'package.json'), '{ "type": "module" }');

afterAll(() => rm(project, { recursive: true }));

async function typeCheck(source: string): Promise<{ readonly code: number; readonly said: string }> {
  await writeFile(join(project, 'scenario.ts'), source);
  const words = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023', 'scenario.ts'];
  const tsc = spawn(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), ...words], { cwd: project });
  let said = '';
  tsc.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(tsc, 'close')) as [number];
  return { code, said };
}

test('the example of the documentation type-checks against the built package', async () => {
  const docs = await readFile(join(ROOT, 'docs', 'typescript.md'), 'utf8');
  const [, example = ''] = /```ts\n(import [\s\S]*?)```/.exec(docs) ?? [];
  expect(example).toContain('defineScenario');
  const { code, said } = await typeCheck(example);
  expect(code, said).toBe(0);
});

test('what a function does wrong is told where it is written: a misspelt call, a wrong value, a field that the setup does not return', async () => {
  const { code, said } = await typeCheck(`import { defineScenario, type Vu } from 'muster';

const look = async (vu: Vu): Promise<void> => { await vu.http.gett('/'); };
export default defineScenario({
  setup: async () => ({ token: 't' }),
  scenarios: { load: { executor: 'constant-vus', vus: 1, duration: '1s', flow: async (vu) => {
    vu.metrics.rate('hit').add('yes');
    await vu.http.get('/' + vu.setup.tokn);
    await look(vu);
  } } },
});
`);
  expect(code).not.toBe(0);
  expect(said).toMatch(/scenario\.ts\(3,\d+\): .*gett/);
  expect(said).toMatch(/scenario\.ts\(7,\d+\): .*'string' is not assignable to parameter of type 'boolean'/);
  expect(said).toMatch(/scenario\.ts\(8,\d+\): .*tokn/);
});
