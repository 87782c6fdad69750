import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../shared/base/index.ts';
import { formatProblems, loadScenario } from '../../shared/scenario/index.ts';

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

/** Whole scenario files in the documents: blocks of YAML that have scenarios. */
const BLOCKS = (await Promise.all((await readdir(DOCS)).filter((name) => name.endsWith('.md')).map(blocksOf))).flat();

const TLS = fileURLToPath(new URL('../support/tls/', import.meta.url));
/** What examples read and are given. */
const FILES = {
  'users.csv': join(EXAMPLES, 'users.csv'),
  'photo.jpg': join(EXAMPLES, 'users.csv'),
  'ca.pem': join(TLS, 'localhost.cert.pem'),
  'client.pem': join(TLS, 'localhost.cert.pem'),
  'client.key.pem': join(TLS, 'localhost.key.pem'),
};
const ENV = { PASSWORD: 'secret', PASSPHRASE: 'secret', TOKEN: 'secret' };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-docs-'));
  for (const [name, from] of Object.entries(FILES)) await cp(from, join(folder, name));
});
afterAll(() => rm(folder, { recursive: true }));

test('the documents have examples of every executor and every option of a load', () => {
  const all = BLOCKS.map(({ text }) => text).join('\n');
  const executors = [
    'constant-arrival-rate',
    'ramping-arrival-rate',
    'constant-vus',
    'ramping-vus',
    'per-vu-iterations',
    'shared-iterations',
  ];
  const options = ['startTime', 'startAfter', 'gracefulStop', 'gracefulRampDown', 'preAllocatedVUs', 'maxVUs', 'timeUnit', 'arrivals'];
  const more = ['startRate', 'startVUs', 'iterations', 'maxDuration', 'warmup', 'pacing', 'whenExhausted'];
  const missing = [...executors.map((name) => `executor: ${name}\n`), ...[...options, ...more].map((key) => `${key}: `)];
  expect(missing.filter((words) => !all.includes(words))).toEqual([]);
});

test.each(BLOCKS.map((block) => [block.where, block.text] as const))('%s compiles without a warning', async (_, text) => {
  const file = join(folder, 'example.yaml');
  await writeFile(file, text);
  const compiled = await loadScenario(file, { env: ENV }).catch((thrown: unknown) => {
    throw thrown instanceof AppError ? new Error(formatProblems('example.yaml', thrown.problems)) : thrown;
  });
  expect(compiled.warnings).toEqual([]);
});

async function blocksOf(name: string): Promise<{ readonly where: string; readonly text: string }[]> {
  const text = await readFile(join(DOCS, name), 'utf8');
  return [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)]
    .filter(([, block = '']) => /^scenarios:/m.test(block))
    .map(({ 1: block = '', index }) => ({ where: `docs/${name}:${text.slice(0, index).split('\n').length}`, text: block }));
}
