import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError, EXIT_CODES } from '../../shared/base/index.ts';
import {
  BUNDLE_FILES,
  BundleWriter,
  compareFiles,
  formatHlogHead,
  formatHlogLine,
  renderComparison,
  summarise,
  type CompareReport,
} from '../../shared/report/index.ts';
import { Histogram, type Tags } from '../../shared/stats/index.ts';
import type { Grade } from '../../shared/sla/index.ts';
import { seededDraws } from '../support/seeded-draws.ts';

const SECONDS = 30;
const PER_SECOND = 100;
const METRIC = 'http_req_response_time';
const HOSTILE = '<b>&"`|](x)';
const OPTIONS = { replicates: 300 };

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-compare-'));
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

interface Made {
  readonly seed: number;
  readonly factor?: number;
  readonly grade?: Grade;
  readonly failed?: number;
  readonly name?: string;
  readonly rate?: number;
}

/** Latencies of a second: uniform from 10 to 30 ms, times the factor. */
function second(draw: () => number, factor: number): Histogram {
  const histogram = new Histogram();
  for (let i = 0; i < PER_SECOND; i++) histogram.record((10_000 + 20_000 * draw()) * factor);
  return histogram;
}

async function bundle(folder: string, { seed, factor = 1, grade = 'valid', failed = 0, name = 'list', rate = 100 }: Made): Promise<string> {
  const path = join(dir, folder);
  const writer = await BundleWriter.open(path, 0);
  const draw = seededDraws(seed);
  const tags = { scenario: 'browse', name, method: 'GET', status: '200' };
  for (let index = 0; index < SECONDS; index++) {
    const series = (own: Tags, histogram: Histogram) => ({ metric: METRIC, tags: own, value: { kind: 'trend', histogram } as const });
    const warmUp = index < 5 ? [series({ ...tags, phase: 'warmup' }, second(draw, 50))] : [];
    const failures = { ...tags, status: '500', error: 'status' };
    const broken = new Histogram();
    for (let i = 0; i < failed; i++) broken.record(1);
    const interval = { index, series: [...warmUp, series(tags, second(draw, factor)), series(failures, broken)] };
    await writer.appendInterval(interval, index * 1e6, 1e6);
  }
  const reasons = grade === 'valid' ? [] : [{ code: 'generator-lag', detail: 'it was late', grade } as const];
  await writer.writeRun({
    schemaVersion: 1,
    run: { id: folder, name: 'shop', startedAt: '2026-01-02T03:04:05.000Z' },
    intervalMs: 1_000,
    scenario: {},
    plan: { scenarios: [{ name: 'browse', load: { kind: 'constant-arrival-rate', rate } }] },
    agents: [],
    epochs: [],
    events: [],
  });
  const samples = { recorded: 0, merged: 0, missing: 0, duplicate: 0 };
  const ledger = { planned: 0, started: 0, dropped: 0, undelivered: 0, unknown: 0, completed: 0, interrupted: 0, samples };
  await writer.writeSummary(
    summarise({
      run: { id: folder, name: 'shop', startedAt: '2026-01-02T03:04:05.000Z', agents: { planned: 1, reported: 1, lost: 0 } },
      durationUs: SECONDS * 1e6,
      ledger,
      validity: { grade, reasons },
      totals: [],
      verdicts: [],
      health: [],
      agentsLost: [],
    }),
  );
  await writer.close();
  return path;
}

function of(report: CompareReport, measure: string) {
  return report.comparison.total.measures.find((one) => one.measure === measure)!;
}

describe('comparing bundles', () => {
  test('a slower candidate is a regression and ends with 114; warm-ups and failures are in no latency', async () => {
    const baseline = await bundle('a', { seed: 1 });
    const candidate = await bundle('b', { seed: 2, factor: 1.15, failed: 3 });
    const report = await compareFiles({ baseline: [baseline], candidate: [candidate], options: OPTIONS });
    expect([report.verdict, report.exitCode]).toEqual(['regression', EXIT_CODES.regression.code]);
    expect(of(report, 'p50').baseline).toBeGreaterThan(19_000);
    expect(of(report, 'p50').baseline).toBeLessThan(21_000);
    expect(of(report, 'p50').effect?.estimate).toBeCloseTo(0.15, 1);
    expect(of(report, 'error_rate').candidate).toBeCloseTo(3 / 103, 9);
    expect(of(report, 'throughput').candidate).toBeCloseTo(PER_SECOND, 6);
    expect(report.warnings).toEqual([expect.stringContaining('one run a side') as string]);
  });

  test('an equal candidate is no difference and ends with 0, and so do several runs a side', async () => {
    const runs = await Promise.all([3, 4, 5, 6].map((seed) => bundle(`equal-${seed}`, { seed })));
    const pair = await compareFiles({ baseline: runs.slice(0, 1), candidate: runs.slice(1, 2), options: OPTIONS });
    expect([pair.verdict, pair.exitCode]).toEqual(['no difference', 0]);
    const many = await compareFiles({ baseline: runs.slice(0, 2), candidate: runs.slice(2), options: OPTIONS });
    expect(many.comparison.baseline.runs).toBe(2);
    expect(many.warnings).toEqual([]);
    expect(['regression', 'improvement']).not.toContain(many.verdict);
  });

  test('an invalid side can neither accuse nor acquit, and a degraded one warns', async () => {
    const fine = await bundle('fine', { seed: 7 });
    const slow = await bundle('invalid', { seed: 8, factor: 2, grade: 'invalid' });
    const report = await compareFiles({ baseline: [fine], candidate: [slow], options: OPTIONS });
    expect([report.verdict, report.exitCode]).toEqual(['not enough data', EXIT_CODES.invalidResult.code]);
    // Not in a single row either: somebody would read it as one.
    const { total, steps } = report.comparison;
    const told = [total, ...steps].flatMap(({ measures }) => measures.map(({ verdict, reason }) => `${verdict}: ${reason ?? ''}`));
    expect(new Set(told)).toEqual(new Set(['not enough data: a side is invalid']));
    expect(report.obstacles).toEqual([`candidate ${slow} is invalid: generator-lag (it was late)`]);
    const shaky = await bundle('degraded', { seed: 9, grade: 'degraded' });
    const { verdict, warnings } = await compareFiles({ baseline: [fine], candidate: [shaky], options: OPTIONS });
    expect(verdict).toBe('no difference');
    expect(warnings[0]).toBe(`${shaky} is degraded: generator-lag (it was late)`);
  });

  test('a copy of a run is refused, on either side, and so is its log alone', async () => {
    const [one, other] = [await bundle('one', { seed: 51 }), await bundle('other', { seed: 52 })];
    const copy = join(dir, 'copy');
    await cp(one, copy, { recursive: true });
    for (const [baseline, candidate] of [
      [[one, copy], [other]],
      [[one], [copy]],
      [[one], [join(one, BUNDLE_FILES.intervals)]],
    ] as const) {
      await expect(compareFiles({ baseline, candidate, options: OPTIONS })).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('hold the same run') as string,
      });
    }
  });

  test('another load is compared with a warning', async () => {
    const candidate = await bundle('more', { seed: 11, rate: 200 });
    const { warnings } = await compareFiles({ baseline: [await bundle('less', { seed: 10 })], candidate: [candidate], options: OPTIONS });
    expect(warnings).toContainEqual(expect.stringContaining('did not plan the same load'));
  });

  test('several runs merged planned their load once each: beside one of them there is the warning, beside as many there is not', async () => {
    const first = await bundle('one run', { seed: 17 });
    const pair = async (name: string, seed: number): Promise<string> => {
      const path = await bundle(name, { seed });
      const file = join(path, BUNDLE_FILES.manifest);
      const manifest = JSON.parse(await readFile(file, 'utf8')) as { readonly run: object };
      await writeFile(file, JSON.stringify({ ...manifest, merged: [manifest.run, manifest.run] }));
      return path;
    };
    const [one, other] = [await pair('pair one', 19), await pair('pair other', 20)];
    const warned = async (baseline: string): Promise<boolean> =>
      (await compareFiles({ baseline: [baseline], candidate: [other], options: OPTIONS })).warnings.some((warning) =>
        warning.includes('did not plan the same load'),
      );
    expect([await warned(first), await warned(one)]).toEqual([true, false]);
  });

  test('what is not there, or holds nothing to compare, is told with its path', async () => {
    const fine = await bundle('fine too', { seed: 12 });
    const missing = compareFiles({ baseline: [fine], candidate: [join(dir, 'nowhere')] });
    await expect(missing).rejects.toThrow(/nowhere: expected a run bundle or an HdrHistogram log/);
    const other = compareFiles({ baseline: [fine], candidate: [fine], metric: 'group_duration' });
    await expect(other).rejects.toThrow(/expected samples of group_duration, found none/);
    await expect(other).rejects.toBeInstanceOf(AppError);
  });
});

describe('comparing plain logs', () => {
  async function log(file: string, seed: number, tagOf: (i: number) => string, factor = 1): Promise<string> {
    const draw = seededDraws(seed);
    let text = formatHlogHead(0);
    for (let i = 0; i < SECONDS * 2; i++) {
      const at = { startUs: Math.floor(i / 2) * 1e6, lengthUs: 1e6 };
      text += formatHlogLine({ metric: tagOf(i), tags: {}, ...at, histogram: second(draw, i % 2 === 0 ? factor : 1) });
    }
    const path = join(dir, file);
    await writeFile(path, text);
    return path;
  }

  test("another tool's tags are steps, and the slow one is found", async () => {
    const tag = (i: number): string => (i % 2 === 0 ? 'read' : 'write');
    const report = await compareFiles({
      baseline: [await log('a.hlog', 1, tag)],
      candidate: [await log('b.hlog', 2, tag, 1.2)],
      options: OPTIONS,
    });
    expect(report.verdict).toBe('regression');
    const regressed = report.comparison.steps.filter(({ measures }) => measures.some(({ verdict }) => verdict === 'regression'));
    expect(regressed.map(({ step }) => step)).toEqual(['read']);
  });

  test("another tool's log does not say what failed: no error rate is judged, and none is missed", async () => {
    const tag = (): string => 'read';
    const [a, b] = [await log('c.hlog', 3, tag), await log('d.hlog', 4, tag)];
    const { comparison } = await compareFiles({ baseline: [a], candidate: [b], options: OPTIONS });
    const own = await compareFiles({ baseline: [a], candidate: [await bundle('own', { seed: 22 })], options: OPTIONS });
    for (const { total } of [comparison, own.comparison]) {
      const rate = total.measures.find(({ measure }) => measure === 'error_rate');
      expect(rate).toMatchObject({ verdict: 'not enough data', baseline: undefined, effect: undefined });
      expect(rate?.reason).toBe('baseline: which requests failed is not recorded');
    }
    expect(comparison.total.measures.slice(0, 3).map(({ verdict }) => verdict)).not.toContain('not enough data');
    expect(comparison.verdict).not.toBe('not enough data');
  });

  test('the intervals.hlog of a bundle compares as the bundle does', async () => {
    const [a, b] = [await bundle('whole-a', { seed: 21 }), await bundle('whole-b', { seed: 22, factor: 1.1 })];
    const whole = await compareFiles({ baseline: [a], candidate: [b], options: OPTIONS });
    const logs = await compareFiles({
      baseline: [join(a, BUNDLE_FILES.intervals)],
      candidate: [join(b, BUNDLE_FILES.intervals)],
      options: OPTIONS,
    });
    // A log has no exact sums, so only what rests on buckets alone is equal to the last digit.
    const quantiles = ({ comparison }: CompareReport) =>
      comparison.total.measures
        .slice(0, 4)
        .map(({ baseline, candidate, verdict, effect }) => [baseline, candidate, verdict, effect?.estimate]);
    expect(quantiles(logs)).toEqual(quantiles(whole));
  });
});

describe('formats', () => {
  async function report(): Promise<CompareReport> {
    const baseline = await bundle('shown-a', { seed: 31, name: HOSTILE });
    return compareFiles({
      baseline: [baseline],
      candidate: [await bundle('shown-b', { seed: 32, name: HOSTILE, factor: 1.2 })],
      options: OPTIONS,
    });
  }

  test('text ends with the verdict and says what changed', async () => {
    const text = renderComparison(await report(), 'text', { color: false });
    expect(text.trimEnd().split('\n').at(-1)).toMatch(/^✗ regression: p50 of all steps \+\d+\.\d %/);
    expect(text).toMatch(/p50 {2,}20\.\d+ms +2[34]\.\d+ms +\+\d+\.\d % +\+\d+\.\d % to \+\d+\.\d % +✗ regression/);
    expect(text).toContain('97 % simultaneous confidence intervals; 300 resamples, seed 1; 30 slices');
    expect(text).not.toContain('\u001b');
  });

  test('JSON has every number in milliseconds and fractions', async () => {
    const json = JSON.parse(renderComparison(await report(), 'json', { color: false })) as Record<string, unknown>;
    expect(json).toMatchObject({
      schemaVersion: 1,
      verdict: 'regression',
      exitCode: 114,
      metric: METRIC,
      baseline: { slices: 30, runs: [{ name: 'shop', grade: 'valid' }] },
      method: { confidence: 0.97, seed: 1, floor: { fraction: 0.02, ms: 0.1 } },
    });
    const { measures } = json['total'] as { readonly measures: readonly Record<string, unknown>[] };
    expect(measures.map(({ measure }) => measure)).toEqual(['p50', 'p90', 'p95', 'p99', 'p99.9', 'mean', 'error_rate', 'throughput']);
    expect(measures[0]).toMatchObject({ unit: 'ms', verdict: 'regression', isBelowFloor: false });
    expect(measures[4]).toMatchObject({ verdict: 'not enough data', effect: null });
  });

  test('names end no cell of a Markdown table and no tag of a page', async () => {
    const made = await compareFiles({
      baseline: [await bundle('two-a', { seed: 41, name: HOSTILE }), await bundle('two-b', { seed: 42 })],
      candidate: [await bundle('two-c', { seed: 43, name: HOSTILE }), await bundle('two-d', { seed: 44 })],
      options: OPTIONS,
    });
    const markdown = renderComparison(made, 'md', { color: false });
    const rows = markdown.split('\n').filter((line) => line.startsWith('|'));
    expect(new Set(rows.map((row) => row.split('|').length))).toEqual(new Set([8]));
    expect(markdown).not.toContain('<b>');
    const html = renderComparison(made, 'html', { color: false });
    expect(html).not.toContain('<b>');
    expect(html).toContain('GET &lt;b&gt;&amp;&quot;`|](x)');
  });

  test('the page overlays both curves of every step and needs nothing from elsewhere', async () => {
    const html = renderComparison(await report(), 'html', { color: false });
    expect(html).not.toMatch(/<script|https?:|url\(|@import/);
    expect(html).toContain("default-src 'none'");
    const curves = [...html.matchAll(/<path class="(base|cand)" d="(M[^"]+L[^"]+)"/g)];
    expect(curves.map(([, kind]) => kind)).toEqual(['base', 'cand']);
    // The slower curve lies above the other one: y counts from the top.
    const [base, cand] = curves.map(([, , path]) => Number(/^M[\d.]+ ([\d.]+)/.exec(path ?? '')?.[1]));
    expect(cand).toBeLessThan(base ?? 0);
  });

  test('the same files and seed give the same bytes', async () => {
    const made = await report();
    const again = await report();
    for (const format of ['text', 'json', 'md', 'html'] as const) {
      expect(renderComparison(again, format, { color: false })).toBe(renderComparison(made, format, { color: false }));
    }
  });
});
