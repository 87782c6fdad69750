import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadScenario } from '../../shared/scenario/index.ts';
import { flowExamples, yamlBlocks } from '../support/docs-examples.ts';

/** docs/http.md names certificates, and is checked where there are some. */
const WHOLE = ['README.md', 'docs/scenario.md'].flatMap(yamlBlocks).filter(({ text }) => /^scenarios:/m.test(text));
const FLOWS = flowExamples();

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-docs-'));
  await writeFile(join(folder, 'users.csv'), 'name,mail\nann,ann@example.org\nbob,bob@example.org\n');
});
afterAll(() => rm(folder, { recursive: true }));

test('the documents show whole scenario files and flows', () => {
  expect(WHOLE.length).toBeGreaterThanOrEqual(2);
  expect(FLOWS.length).toBeGreaterThanOrEqual(7);
});

describe.each([...WHOLE, ...FLOWS])('$place', ({ text }) => {
  test('is a valid scenario', async () => {
    const file = join(folder, 'example.yaml');
    await writeFile(file, text);
    const { plan } = await loadScenario(file, { env: {} });
    expect(plan.scenarios.length).toBeGreaterThan(0);
  });
});
