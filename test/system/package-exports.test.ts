import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseThresholds } from '../../shared/scenario/index.ts';
import type { Batch } from '../../shared/stats/index.ts';
import { writeBundle } from '../support/bundles.ts';
import { importGuard } from '../support/import-guard.ts';
import { sealedInterval, trendSlice } from '../support/intervals.ts';
import { openScenario } from '../support/plans.ts';
import { ROOT } from '../support/shell.ts';

/** Whatever the control plane and the results plane are made of. */
const GUARD = importGuard(['@grpc', 'nats']);

/** An empty project into which the packed package was installed. */
let project: string;
const programs = (name: string): string => join(project, 'node_modules', 'muster', 'examples', 'programs', name);

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'muster-packed-'));
  await writeFile(join(project, 'package.json'), '{ "name": "empty", "private": true, "type": "module" }');
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], ROOT);
  const [{ filename } = { filename: '' }] = JSON.parse(packed.stdout) as { filename: string }[];
  const flags = ['--prefer-offline', '--omit=dev', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const installed = await run('npm', ['install', ...flags, join(project, filename)], project);
  expect(installed.code, installed.stderr).toBe(0);
}, 180_000);
afterAll(() => rm(project, { recursive: true, force: true }));

describe('the packed package in an empty project, where gRPC and NATS cannot be imported', () => {
  test('the guard keeps them out indeed', async () => {
    await writeFile(join(project, 'forbidden.mjs'), `await import('@grpc/grpc-js');`);
    expect((await hooked(join(project, 'forbidden.mjs'))).stderr).toContain('refused by the guard: @grpc/grpc-js');
    await writeFile(join(project, 'forbidden.mjs'), `await import('nats');`);
    expect((await hooked(join(project, 'forbidden.mjs'))).stderr).toContain('refused by the guard: nats');
    expect((await hooked(join(project, 'node_modules', 'muster', 'dist', 'coordinator', 'main.js'))).stderr).toContain(
      'refused by the guard',
    );
  });

  test('muster/stats merges without loss', async () => {
    const { stdout, stderr, code } = await hooked(programs('stats.mjs'));
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/p\(99\) \d+\.\d{3} ms[^]*of 100000 samples\nmerged = whole\n$/);
  });

  test('muster/sla judges thresholds', async () => {
    const { stdout, stderr, code } = await hooked(programs('sla.mjs'));
    expect(stdout, stderr).toBe(
      [
        'http_req_duration{name:list}: p(95)<200: fail (240)',
        'http_req_failed: rate<0.01: pass (0)',
        'http_req_duration{name:cart}: max<1s: no-data',
        '',
      ].join('\n'),
    );
    expect(code).toBe(99);
  });

  test('muster/report merges bundles, judges them and renders the report', async () => {
    const plan = { name: 'packed', seed: 1, intervalMs: 1_000, scenarios: [openScenario({ ratePerSecond: 10, seconds: 10 })] };
    const thresholds = parseThresholds('http_reqs: count==7', { where: 'test', intervalUs: 1_000_000, metrics: {} });
    await writeBundle(join(project, 'one'), { plan, batches: [batch('a', [1_000, 2_000, 3_000])], thresholds });
    await writeBundle(join(project, 'two'), { plan, batches: [batch('b', [4_000, 5_000, 6_000, 7_000])], thresholds });
    const { stdout, stderr, code } = await hooked(programs('report.mjs'), 'both', 'one', 'two');
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('✓ samples recorded 7 = merged 7 + missing 0');
    expect(stdout).toMatch(/✓ PASSED {2}1 of 1 thresholds held · result valid\n0 s: 7 requests\n$/);
    expect(JSON.parse(await readFile(join(project, 'both', 'summary.json'), 'utf8'))).toMatchObject({
      metrics: { http_req_response_time: { count: 7, min: 1, max: 7 } },
    });
  });

  test('the programs type-check against its types', async () => {
    const names = ['stats.mjs', 'sla.mjs', 'report.mjs'];
    await mkdir(join(project, 'typed'));
    for (const name of names) await writeFile(join(project, 'typed', name), await readFile(programs(name)));
    const words = ['--strict', '--noEmit', '--allowJs', '--checkJs', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023'];
    const roots = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules', '@types')];
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const files = names.map((name) => join('typed', name));
    const { code, stdout } = await run(process.execPath, [tsc, ...words, ...roots, ...files], project);
    expect(code, stdout).toBe(0);
  });
});

function hooked(program: string, ...words: readonly string[]): Promise<Ended> {
  return run(process.execPath, ['--import', GUARD, program, ...words], project);
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, words: readonly string[], cwd: string): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, [...words], { cwd, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

function batch(agent: string, durationsUs: readonly number[]): Batch {
  const tags = { scenario: 'browse' };
  return {
    key: { agent, incarnation: 'i', sequence: 0 },
    ...sealedInterval(0, {
      defines: [
        { number: 0, metric: 'http_req_response_time', kind: 'trend', tags },
        { number: 1, metric: 'http_reqs', kind: 'counter', tags },
      ],
      trends: [trendSlice(0, durationsUs)],
      counters: [{ series: 1, count: durationsUs.length }],
      isFinal: true,
    }),
  };
}
