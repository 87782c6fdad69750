import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTrend, renderTrendHtml, renderTrendJson, renderTrendMarkdown, renderTrendText } from '../../shared/report/index.ts';
import { embeddedData } from '../support/embedded-data.ts';
import { writeTrendRun } from '../support/run-bundle.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-trend-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

describe('the trend of a folder of bundles', () => {
  test('runs are in the order of their start, and a slower release is marked where it began, in every format', async () => {
    for (let day = 20; day >= 1; day--) await writeTrendRun(dir, { day: day, medianUs: (day > 12 ? 1.5 : 1) * (10_000 + (day % 4) * 60) });
    const trend = await readTrend(dir);
    const [scenario] = trend.scenarios;
    expect(scenario?.runs.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => `run-${i + 1}`));
    const p99 = scenario?.changes.find(({ percentile }) => percentile === '99');
    expect([p99?.runId, p99?.index]).toEqual(['run-13', 12]);
    expect((p99?.afterMs ?? 0) / (p99?.beforeMs ?? 1)).toBeCloseTo(1.5, 1);

    expect(renderTrendText(trend)).toMatch(
      /p99 rose from [\d.]+ms to [\d.]+ms \(\+(?:49|50|51) %\) from run run-13 of 2026-03-13 00:00 on/,
    );
    expect(renderTrendText(trend)).toMatch(/2026-03-13 00:00 {2}run-13 .*▲ p99/);
    expect(renderTrendMarkdown(trend)).toMatch(/\| 2026-03-13 00:00 \| run-13 \|.*▲ p99/);
    expect(JSON.parse(renderTrendJson(trend))).toEqual(trend);
    const html = await renderTrendHtml(trend);
    expect(embeddedData(html)).toMatchObject({ kind: 'trend', scenarios: [{ changes: [{ index: 12, isWorse: true }] }] });
    expect(html).not.toMatch(/\s(?:src|href)="(?!#|data:)/);
  });

  test('runs that do not differ have no change, and that is said', async () => {
    for (let day = 1; day <= 12; day++) await writeTrendRun(dir, { day: day, medianUs: 10_000 + ((day * 7) % 5) * 40 });
    const trend = await readTrend(dir);
    expect(trend.scenarios[0]?.changes).toEqual([]);
    expect(renderTrendText(trend)).toContain('no change found in 12 runs\n');
  });

  test('an invalid run is shown and moves no level', async () => {
    for (let day = 1; day <= 12; day++) await writeTrendRun(dir, { day: day, medianUs: 10_000 });
    for (let day = 13; day <= 24; day++) await writeTrendRun(dir, { day: day, medianUs: 90_000, grade: 'invalid' });
    const trend = await readTrend(dir);
    expect([trend.scenarios[0]?.runs.length, trend.scenarios[0]?.changes]).toEqual([24, []]);
    expect(renderTrendText(trend)).toMatch(/invalid +failed/);
  });

  test('scenarios of different names are not compared', async () => {
    for (let day = 1; day <= 10; day++) await writeTrendRun(dir, { day: day, medianUs: 10_000, name: 'a' });
    for (let day = 11; day <= 20; day++) await writeTrendRun(dir, { day: day, medianUs: 90_000, name: 'b' });
    const { scenarios } = await readTrend(dir);
    expect(scenarios.map(({ name, runs, changes }) => [name, runs.length, changes])).toEqual([
      ['a', 10, []],
      ['b', 10, []],
    ]);
  });

  test('folders without a bundle are left out by name; a folder with none is refused', async () => {
    await mkdir(join(dir, 'notes'));
    await expect(readTrend(dir)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    await writeTrendRun(dir, { day: 1, medianUs: 10_000 });
    const trend = await readTrend(dir);
    expect(trend.skipped.map((one) => one.dir)).toEqual(['notes']);
    expect(renderTrendText(trend)).toMatch(/left out: notes: .*expected a JSON file of a run bundle/);
    await expect(readTrend(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'BUNDLE_INVALID', exitCode: 104 });
  });

  test('a copy of a run and a merge of several are no runs: they are left out, and it is said why', async () => {
    for (let day = 1; day <= 3; day++) await writeTrendRun(dir, { day, medianUs: 10_000 });
    await cp(join(dir, 'folder-37'), join(dir, 'folder-37 again'), { recursive: true });
    await writeTrendRun(dir, { day: 4, medianUs: 10_000, id: 'merged-0123456789ab' });
    const trend = await readTrend(dir);
    expect(trend.scenarios[0]?.runs.map(({ id }) => id)).toEqual(['run-1', 'run-2', 'run-3']);
    const lines = ['left out: folder-37 again: the same run as folder-37', 'left out: folder-47: several runs merged, which are no run'];
    expect(renderTrendText(trend)).toContain(lines.join('\n'));
    expect(renderTrendMarkdown(trend)).toContain(lines.map((line) => `- ${line}`).join('\n'));
  });
});
