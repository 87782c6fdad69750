import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AppError, ERROR_TABLE, EXIT_CODES, type ErrorCode } from '../../shared/base/index.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const README = join(ROOT, 'README.md');

describe('exit codes', () => {
  test('are these, each used once', () => {
    expect(Object.fromEntries(Object.entries(EXIT_CODES).map(([name, { code }]) => [code, name]))).toEqual({
      0: 'passed',
      1: 'bug',
      99: 'thresholdsFailed',
      104: 'badInput',
      105: 'stopped',
      107: 'scriptThrew',
      108: 'couldNotStart',
      111: 'invalidResult',
      112: 'agentsLost',
      114: 'regression',
    });
    expect(new Set(Object.values(EXIT_CODES).map(({ code }) => code)).size).toBe(Object.keys(EXIT_CODES).length);
  });

  test('of every error come from the table, and no error passes or claims to be a bug', () => {
    for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
      const error = new AppError(code, 'for this test');
      expect(error.exitCode, code).toBe(EXIT_CODES[ERROR_TABLE[code]].code);
      expect([EXIT_CODES.passed.code, EXIT_CODES.bug.code], code).not.toContain(error.exitCode);
    }
  });

  test('are all printed, with their meanings, by muster --help', { timeout: 60_000 }, () => {
    const { stdout, status } = spawnSync(process.execPath, ['--import', 'tsx', join(ROOT, 'coordinator', 'main.ts'), '--help'], {
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    const printed = [...stdout.slice(stdout.indexOf('Exit codes:')).matchAll(/^ +(\d+) {2}(.+)$/gm)].map(([, code, meaning]) => ({
      code: Number(code),
      meaning,
    }));
    expect(printed).toEqual(Object.values(EXIT_CODES));
  });

  test('are all in the table of README.md, with the same meanings and no others', () => {
    const rows = [...readFileSync(README, 'utf8').matchAll(/^\| *`?(\d+)`? *\| *(.+?) *\|$/gm)].map(([, code, meaning]) => ({
      code: Number(code),
      meaning: meaning?.replaceAll('`', ''),
    }));
    expect(rows).toEqual(Object.values(EXIT_CODES));
  });
});
