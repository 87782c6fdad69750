import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ROOT, Shell } from '../support/shell.ts';
import type { Ended } from '../support/processes.ts';

const FOLDER = join(ROOT, 'test', 'fixtures', 'broken');
const HELLO = join(ROOT, 'examples', 'hello.yaml');

/** Data that scenario files of the folder name; broken as data, no scenario files themselves. */
const DATA = /\.(csv|json)$/;
/** Checked in process file by file elsewhere; here every third goes through the real command. */
const SCENARIOS = readdirSync(FOLDER)
  .filter((file) => !DATA.test(file))
  .filter((_, position) => position % 3 === 0);
/** Processes at once. */
const LANES = 2;

const shell = new Shell();

afterAll(() => shell.close());

/** No stack trace, nothing on stdout, and it is the user's mistake, not ours. */
function expectRefused({ code, stdout, stderr }: Ended, what: string): void {
  expect(code, `${what}\n${stderr}`).toBe(104);
  expect(stdout, what).toBe('');
  expect(stderr, what).not.toMatch(/^\s+at /m);
  expect(stderr, what).not.toContain('a bug of ours');
}

test(`muster validate refuses broken files with 104, naming place and expectation (${SCENARIOS.length} files)`, async () => {
  expect(SCENARIOS.length).toBeGreaterThanOrEqual(40);
  const waiting = [...SCENARIOS];
  const lane = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const ended = await shell.muster('validate', join(FOLDER, file));
      expectRefused(ended, file);
      const [head = '', ...problems] = ended.stderr.trimEnd().split('\n');
      expect(head, file).toMatch(/^muster: .*\/test\/fixtures\/broken\/\S+ is not a valid scenario: \d+ problems?$/);
      expect(head, file).toContain(`/${file} `);
      expect(problems.length, file).toBe(Number(/(\d+) problems?$/.exec(head)?.[1]));
      // Each line: the file, its line where there is one, the path inside it where there is one, and what is wrong.
      for (const problem of problems) {
        expect(problem).toMatch(/^\S*\/test\/fixtures\/broken\/[\w.-]+(:\d+)?: \S.{8,}/);
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
});

test('all mistakes of a file are told at once', async () => {
  const file = await shell.file({
    target: 'ftp://example.com',
    scenarios: { browse: { executor: 'constant-arival-rate', rate: 'fast', duration: '10 parsecs', flow: [] } },
    thresholds: { http_req_fialed: ['rate<0.01'] },
  });
  const ended = await shell.muster('run', file);
  expectRefused(ended, 'many mistakes');
  expect(ended.stderr).toContain('4 problems');
  for (const path of ['target', 'scenarios.browse.executor', 'scenarios.browse.flow', 'thresholds.http_req_fialed[0]'])
    expect(ended.stderr).toContain(`${path}: `);
  expect(ended.stderr).toContain('did you mean "constant-arrival-rate"');
});

describe('usage', () => {
  const MISTAKES: readonly (readonly [words: readonly string[], expectation: string])[] = [
    [['walk'], "unknown command 'walk'"],
    [['run'], "missing required argument 'file'"],
    [['validate'], "missing required argument 'file'"],
    [['plan'], "missing required argument 'file'"],
    [['stop'], "missing required argument 'run'"],
    [['run', HELLO, HELLO], "too many arguments for 'run'"],
    [['run', HELLO, '--agnets', '2'], "unknown option '--agnets'"],
    [['run', HELLO, '--agents'], "option '--agents <n>' argument missing"],
    [['run', HELLO, '--agents', '0'], 'Expected a whole number from 1 to 10000'],
    [['run', HELLO, '--agents', 'x'], 'Expected a whole number from 1 to 10000'],
    [['run', HELLO, '--agents', '1.5'], 'Expected a whole number from 1 to 10000'],
    [['run', HELLO, '--wait-agents', '-1'], 'Expected a whole number from 0 to 86400'],
    [['run', HELLO, '--coordinator', 'nowhere'], 'Expected HOST:PORT'],
    [['run', HELLO, '--coordinator', 'host:99999'], 'Expected HOST:PORT'],
    [['run', HELLO, '--on-agent-loss', 'shrug'], 'Allowed choices are fail, continue'],
    [['run', HELLO, '--target', 'nope'], '--target: expected a URL such as http://127.0.0.1:8080'],
    [['run', HELLO, '-e', 'TOKEN'], '-e TOKEN: expected KEY=VALUE'],
    [['run', HELLO, '-e', '=secret'], '-e =secret: expected KEY=VALUE'],
    [['validate', HELLO, '--rate', 'nonsense'], '--rate: expected a rate above zero such as 200 or 2k/s'],
    [['validate', HELLO, '--duration', 'soon'], '--duration: expected a duration above zero such as 30s'],
    [['validate', HELLO, '--seed', '-1'], 'Expected a whole number from 0 to 4294967295'],
    [['validate', HELLO, '--vus', '5'], '--vus: no scenario of the file takes it'],
    [['validate', join(ROOT, 'examples', 'closed.yaml'), '--rate', '5'], '--rate: no scenario of the file takes it'],
    [['validate', 'no-such-file.yaml'], 'no-such-file.yaml: there is no such file'],
    [['plan', HELLO, '--agents', '0'], 'Expected a whole number from 1 to 10000'],
    [['coordinator', '--listen', '7700'], 'Expected HOST:PORT'],
    [['coordinator', '--stream-bytes', 'lots'], 'Expected a size such as 512MiB'],
    [['coordinator', '--stream-age', 'old'], 'Expected a duration such as'],
    [['agent', '--workers', '0'], 'Expected a whole number from 1 to 256'],
    [['agent', '--label', 'zone'], '--label zone: expected KEY=VALUE'],
    [['agent', '--connect-timeout', 'soon'], '--connect-timeout soon: expected a duration such as 30s'],
    [['agent', '--id', 'two words'], '--id two words: expected 1 to 64 letters'],
    [['runs', '--coordinator', 'x'], 'Expected HOST:PORT'],
  ];

  test(`${MISTAKES.length} mistakes on the command line end with 104 and say what was expected`, async () => {
    const waiting = [...MISTAKES];
    const lane = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [words, expectation] = next;
        const ended = await shell.muster(...words);
        expectRefused(ended, words.join(' '));
        expect(ended.stderr, words.join(' ')).toContain(expectation);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  });

  test('muster alone shows its help and is a mistake; muster --help and --version are none', async () => {
    const alone = await shell.muster();
    expect(alone).toMatchObject({ code: 104, stdout: '' });
    const help = await shell.muster('--help');
    expect(help).toMatchObject({ code: 0, stderr: '', stdout: alone.stderr });
    expect(await shell.muster('--version')).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });
});
