import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { importGuard } from '../support/import-guard.ts';
import { ROOT } from '../support/shell.ts';

/** Packages that take their time to load. */
const HEAVY = ['@grpc', '@bufbuild', 'nats', 'zod', 'yaml', 'csv-parse', 'esbuild', 'hdr-histogram-js', 'uplot', 'tough-cookie'];
const CONTROL = ['@grpc', '@bufbuild'];

/** What each command needs of them before it does anything. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  '--version': [],
  stop: CONTROL,
  pause: CONTROL,
  resume: CONTROL,
  scale: CONTROL,
  agents: CONTROL,
  runs: CONTROL,
  check: [],
  merge: [],
  report: [],
  compare: [],
  schema: ['zod', 'yaml', 'csv-parse'],
  validate: ['zod', 'yaml', 'csv-parse'],
  plan: ['zod', 'yaml', 'csv-parse'],
  coordinator: [...CONTROL, 'nats'],
  run: [...CONTROL, 'nats', 'zod', 'yaml', 'csv-parse'],
};

describe('a command loads no package that it has no use for', () => {
  test.each(Object.entries(NEEDED))('%s', async (command, needed) => {
    const words = command.startsWith('-') ? [command] : [command, '--help'];
    const guard = importGuard(HEAVY.filter((name) => !needed.includes(name)));
    const main = join(ROOT, 'dist', 'coordinator', 'main.js');
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', guard, main, ...words]);
    expect(stdout).not.toBe('');
  });

  test('and the guard would tell', async () => {
    const words = ['--import', importGuard(['zod']), join(ROOT, 'dist', 'coordinator', 'main.js'), 'validate', '--help'];
    await expect(promisify(execFile)(process.execPath, words)).rejects.toThrow('refused by the guard: zod');
  });
});
