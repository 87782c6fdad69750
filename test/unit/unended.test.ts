import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BUNDLE_FILES,
  checkThresholds,
  compareFiles,
  mergeBundles,
  openResults,
  readBundle,
  readTrend,
  renderHtml,
  renderSummary,
  thresholdsOf,
  type BundleResults,
} from '../../shared/report/index.ts';
import { parseThresholds } from '../../shared/scenario/index.ts';
import { STARTED_AT, writeRunBundle } from '../support/run-bundle.ts';

const SECONDS = 30;
/** Ten requests a second, each of its own length. */
const REQUESTS = Array.from({ length: SECONDS * 10 }, (_, i) => ({ second: Math.floor(i / 10), name: 'list', us: 1_000 + i }));

let root: string;
/** As a coordinator leaves it that is killed, and the same run to its end. */
let dir: string;
let whole: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'muster-unended-'));
  [dir, whole] = [join(root, 'runs', 'killed'), join(root, 'whole')];
  for (const one of [dir, whole]) await writeRunBundle(one, { seconds: SECONDS, requests: REQUESTS });
  await rm(join(dir, BUNDLE_FILES.manifest));
  await rm(join(dir, BUNDLE_FILES.summary));
});
afterAll(() => rm(root, { recursive: true }));

describe('a run that left no end', () => {
  test('has a summary of what was written, which is invalid and says why', async () => {
    const { summary, manifest } = await readBundle(dir);
    const { metrics } = await readBundle(whole).then((bundle) => bundle.summary);
    expect(summary.metrics).toEqual(metrics);
    expect(summary.run).toMatchObject({ id: 'killed', name: 'killed', startedAt: STARTED_AT, durationSeconds: SECONDS });
    expect(summary.ledger).toMatchObject({ planned: 300, started: 300, completed: 300, interrupted: 0 });
    expect(manifest.agents).toEqual([{ id: 'agent-1' }]);
    expect(summary.validity).toEqual({
      grade: 'invalid',
      reasons: [{ code: 'bundle-incomplete', grade: 'invalid', detail: expect.stringContaining('the first 30s of it') as string }],
    });
  });

  test('is reported with that on top', async () => {
    const bundle = await readBundle(dir);
    const html = await renderHtml(bundle);
    expect(html).toContain('its coordinator died, or is still at work');
    expect(html).toContain('Stopped early: its end is not in this bundle');
    expect(renderSummary(bundle.summary, { color: false })).toMatch(/✗ FAILED {2}no thresholds set · result invalid\n$/);
  });

  test('is checked against thresholds that are given, and does not pass: 111', async () => {
    const results = await openResults(dir);
    expect(thresholdsOf(results)).toEqual([]);
    const asked = parseThresholds('http_reqs: count==300', { where: 'test', intervalUs: 1_000_000, metrics: {} });
    const { thresholds, exitCode } = await checkThresholds(results, asked);
    expect([thresholds.map(({ verdict }) => verdict), exitCode]).toEqual([['pass'], 111]);
  });

  test('leaves the time of a warm-up out of its rates, in a report and in a check', async () => {
    const warm = join(root, 'warm');
    const requests = REQUESTS.map((request) => (request.second < 5 ? { ...request, phase: 'warmup' } : request));
    await writeRunBundle(warm, { seconds: SECONDS, requests });
    await rm(join(warm, BUNDLE_FILES.manifest));
    await rm(join(warm, BUNDLE_FILES.summary));
    const { summary } = await readBundle(warm);
    expect(summary.metrics['http_reqs']).toMatchObject({ count: 250, rate: 10 });
    expect(summary.warmUps).toEqual([expect.objectContaining({ scenario: 'browse', seconds: 5, requests: 50 })]);
    const asked = parseThresholds('http_reqs: rate==10', { where: 'test', intervalUs: 1_000_000, metrics: {} });
    expect((await checkThresholds(await openResults(warm), asked)).thresholds).toMatchObject([{ verdict: 'pass', observed: 10 }]);
  });

  test('can neither accuse nor acquit in a comparison', async () => {
    const other = join(root, 'other');
    await writeRunBundle(other, { seconds: SECONDS, requests: REQUESTS.map((request) => ({ ...request, us: request.us + 1 })) });
    const { verdict, exitCode, obstacles } = await compareFiles({ baseline: [other], candidate: [dir], options: { replicates: 200 } });
    expect([verdict, exitCode]).toEqual(['not enough data', 111]);
    expect(obstacles.join()).toContain('bundle-incomplete');
  });

  test('is merged with nothing', async () => {
    const sources = (await Promise.all([whole, dir].map((path) => openResults(path)))) as BundleResults[];
    await expect(mergeBundles(sources, join(root, 'out'))).rejects.toThrow(/killed has no end: what it lacks is not known/);
  });

  test('is no point of a trend', async () => {
    await expect(readTrend(join(root, 'runs'))).rejects.toThrow(/summary\.json/);
  });
});
