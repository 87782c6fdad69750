import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PageData, TrendLines, View } from '../../shared/report/html/page-data.ts';
import { readBundle, renderHtml, writeReport } from '../../shared/report/index.ts';
import { Histogram } from '../../shared/stats/index.ts';
import { embeddedData } from '../support/embedded-data.ts';
import { STARTED_AT, writeRunBundle, type MadeRequest, type MadeRun } from '../support/run-bundle.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-html-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

describe('the page of a report', () => {
  test('a column that spans several intervals has the percentiles of all their samples merged', async () => {
    // 1,500 intervals are three to a column: two quick ones and a slow one, so no average of theirs is the percentile of all.
    const requests = Array.from({ length: 1_500 }, (_, second) =>
      second % 3 === 2 ? some(1, second, 90_000 + second) : some(4, second, 1_000 + second),
    ).flat();
    const page = await pageOf({ seconds: 1_500, requests });
    const response = trendOf(viewOf(page, 'all'), 0);
    expect([page.columnSeconds, page.columns]).toEqual([3, 500]);
    for (const column of [0, 1, 300, 499]) {
      const merged = new Histogram();
      for (const { second, us } of requests) if (Math.floor(second / 3) === column) merged.record(us);
      const drawn = [response.counts[column], ...(['50', '90', '99', '99.9'] as const).map((name) => response.percentiles[name][column])];
      expect(drawn).toEqual([merged.count, ...[50, 90, 99, 99.9].map((p) => merged.percentileUs(p))]);
      expect(response.max[column]).toBeCloseTo(merged.maxUs, -1);
    }
  });

  test('the heat map holds every sample, each in the row of its value', async () => {
    const requests = [100, 1_000, 1_001, 50_000, 2_000_000].flatMap((us, second) => some(second + 1, second, us));
    const { heat, counts } = trendOf(viewOf(await pageOf({ seconds: 7, requests }), 'all'), 0);
    const sums = heat.columns.map((column) => (column === null ? 0 : column.slice(1).reduce((sum, count) => sum + count, 0)));
    expect([sums, counts]).toEqual([
      [1, 2, 3, 4, 5, 0, 0],
      [1, 2, 3, 4, 5, 0, 0],
    ]);
    expect(heat.columns[3]?.[0]).toBe(Math.floor(Math.log2(50_000) * heat.rowsPerOctave));
  });

  test('the spectrum rises to the maximum at the last sample, with as many points for each nine', async () => {
    const requests = Array.from({ length: 1_000 }, (_, i) => ({ second: 0, name: 'home', us: (i + 1) * 10 }));
    const { spectrum } = trendOf(viewOf(await pageOf({ seconds: 1, requests }), 'all'), 0);
    const between = (low: number, high: number): number => spectrum.filter(([p]) => p >= low && p < high).length;
    expect(spectrum.map(([, us]) => us)).toEqual(spectrum.map(([, us]) => us).sort((a, b) => a - b));
    expect(spectrum.at(-1)?.[0]).toBeCloseTo(99.9, 6);
    expect(spectrum.at(-1)?.[1]).toBeCloseTo(10_000, -1);
    expect([between(50, 75), between(75, 87.5), between(87.5, 93.75)]).toEqual([5, 5, 5]);
  });

  test.each([
    ['intervals.hlog', 'in the middle', 0.5],
    ['intervals.hlog', 'in its last line', 0.999],
    ['intervals.ndjson', 'in the middle', 0.5],
  ])('a bundle whose %s was cut %s is refused', async (file, _where, part) => {
    await writeRunBundle(dir, { seconds: 20, requests: Array.from({ length: 20 }, (_, second) => some(3, second, 1_000 + second)).flat() });
    const path = join(dir, file);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.slice(0, Math.floor(text.length * part)));
    await expect(readBundle(dir).then(renderHtml)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    const lines = text.split('\n');
    await writeFile(path, `${lines.slice(0, Math.floor(lines.length * part) - 1).join('\n')}\n`);
    await expect(readBundle(dir).then(renderHtml)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
  });

  test('a warm-up is drawn and shaded, and is in no spectrum and no step', async () => {
    const requests = [...some(5, 0, 900_000, { phase: 'warmup' }), ...some(3, 1, 1_000), ...some(2, 2, 77_000, { phase: 'finally' })];
    const plan = { scenarios: [{ name: 'browse', startUs: 0, warmupUs: 1_000_000 }] };
    const page = await pageOf({ seconds: 3, requests, manifest: { plan } });
    const response = trendOf(viewOf(page, 'all'), 0);
    expect([response.counts, response.spectrum.at(-1)?.[1]]).toEqual([[5, 3, 0], 1_000]);
    expect(page.warmUps).toEqual([{ label: 'browse', fromSeconds: 0, toSeconds: 1 }]);
    expect(page.load.requests).toEqual([5, 3, 0]);
  });

  test('failures have a view of their own, and are drawn by kind as often as they were counted', async () => {
    const requests = [...some(3, 0, 1_000), ...some(2, 0, 9_000, { error: 'timeout' }), ...some(1, 1, 50, { error: 'connect-reset' })];
    const page = await pageOf({ seconds: 2, requests });
    expect(['all', 'succeeded', 'failed'].map((id) => trendOf(viewOf(page, id), 0).counts)).toEqual([
      [5, 1],
      [3, 0],
      [2, 1],
    ]);
    expect(page.errors).toEqual([
      { kind: 'timeout', perSecond: [2, 0] },
      { kind: 'connect-reset', perSecond: [0, 1] },
    ]);
  });

  test('every step is a view and a row, and a row opens its series', async () => {
    const requests = [...some(3, 0, 1_000, { name: 'list' }), ...some(2, 1, 2_000, { name: 'buy', error: 'status' })];
    const html = await htmlOf({ seconds: 2, requests });
    const steps = dataOf(html).views.filter(({ group }) => group === 'Steps');
    expect(steps.map(({ id, trends }) => [id, trends.map(({ counts }) => counts)])).toEqual([
      ['step:browse/list', [[3, 0], [3, 0]]], // prettier-ignore
      ['step:browse/buy', [[0, 2], [0, 2]]], // prettier-ignore
    ]);
    expect(tight(html)).toContain('aria-controls="step-1">buy</button>');
    expect(tight(html)).toContain('<td class="number bad" data-value="1">100.00%</td>');
  });

  test('planned and started load are drawn in the same columns, whatever steps the manifest has', async () => {
    const requests = Array.from({ length: 4 }, (_, second) => some(second, second, 1_000)).flat();
    const plannedArrivals = [{ scenario: 'browse', stepUs: 2_000_000, counts: [4, 8] }];
    const { load } = await pageOf({ seconds: 4, requests, manifest: { plannedArrivals } });
    expect([load.planned, load.started]).toEqual([
      [2, 2, 4, 4],
      [0, 1, 2, 3],
    ]);
  });

  test('events of any kind are told in the order of time, and flagged where they could have changed the load', async () => {
    const at = (seconds: number, kind: string, detail: object): object => ({
      atMs: Date.parse(STARTED_AT) + seconds * 1_000,
      kind,
      detail,
    });
    const events = [
      at(2.5, 'agent-lost', { agent: 'a-2', reason: 'gone', lastSeenUs: 2_250_000 }),
      at(-1, 'submitted', { name: 'x' }),
      at(1, 'solar-flare', { strength: { class: 'X' } }),
    ];
    const html = await htmlOf({ seconds: 4, requests: some(1, 0, 1), manifest: { events } });
    expect(dataOf(html).marks).toEqual([
      { number: 2, atSeconds: 1, label: 'Solar flare', isBad: false },
      { number: 3, atSeconds: 2.5, label: 'Agent lost', isBad: true },
    ]);
    expect(html).toContain('agent a-2, reason gone, last seen 2.250 s');
  });

  test('says in words what the run comes to, with every threshold and every reason', async () => {
    const threshold = { metric: 'http_req_response_time', tags: {}, expression: 'p(99)<1', verdict: 'fail', observed: 900 } as const;
    const reasons = [{ code: 'agents-lost', detail: 'agent a-2 was lost', grade: 'degraded' }] as const;
    const validity = { grade: 'degraded', reasons } as const;
    const html = await htmlOf({ seconds: 1, requests: some(2, 0, 900_000), summary: { thresholds: [threshold], validity } });
    const text = html.replace(/<script[\s\S]*?<\/script>|<style>[\s\S]*?<\/style>|<[^>]+>/g, ' ').replace(/\s+/g, ' ');
    expect(text).toMatch(/Failed 0 of 1 thresholds held, 1 failed\. The measurement is degraded/);
    expect(text).toMatch(/✗ failed http_req_response_time p\(99\)&#60;1 p\(99\)=900ms/);
    expect(text).toContain('agents-lost agent a-2 was lost');
    expect(text).toContain('✓ planned 2 = started 2 + dropped 0');
  });

  test('needs nothing from outside, and no name in it can become markup', async () => {
    const evil = '</script><script>alert(1)</script><img src=x onerror=alert(1)>"\'';
    const run = { id: evil, name: evil, startedAt: STARTED_AT, durationSeconds: 1, agents: { planned: 1, reported: 1, lost: 0 } };
    const requests = some(1, 0, 1_000, { name: evil, scenario: evil, error: evil });
    const html = await htmlOf({
      seconds: 1,
      requests,
      summary: { run },
      manifest: { events: [{ kind: evil, atMs: 0, detail: { x: evil } }] },
    });
    expect(html.match(/<script/g)).toHaveLength(3);
    expect(html).not.toMatch(/<img/);
    expect(html).not.toMatch(/\s(?:src|href)="(?!#|data:)/);
    expect(html.replace(/<script>[\s\S]*?<\/script>/g, '')).not.toMatch(/https?:\/\//);
    expect(dataOf(html).views.map(({ label }) => label)).toContain(`${evil} · ${evil}`);
  });

  test('an empty run makes a page too', async () => {
    const html = await htmlOf({ seconds: 1, requests: [] });
    expect(html).toContain('No request was measured.');
    expect(dataOf(html)).toMatchObject({ columns: 1, views: [], errors: [], load: { requests: [0] } });
  });

  test('a bundle of which a file is broken makes no page, and leaves none behind', async () => {
    await writeRunBundle(dir, { seconds: 1, requests: some(1, 0, 1) });
    await rm(join(dir, 'intervals.ndjson'));
    await expect(writeReport(dir)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    expect(await readdir(dir)).toEqual(['intervals.hlog', 'run.json', 'summary.json']);
  });
});

function some(count: number, second: number, us: number, more: Partial<MadeRequest> = {}): MadeRequest[] {
  return Array.from({ length: count }, () => ({ second, name: 'home', us, ...more }));
}

async function htmlOf(run: MadeRun): Promise<string> {
  await writeRunBundle(dir, run);
  return renderHtml(await readBundle(dir));
}

async function pageOf(run: MadeRun): Promise<PageData> {
  return dataOf(await htmlOf(run));
}

/** Without the spaces between elements, of which a browser makes nothing. */
function tight(html: string): string {
  return html.replace(/\s+/g, ' ').replace(/ ?> ?/g, '>').replaceAll(' <', '<');
}

function dataOf(html: string): PageData {
  return embeddedData(html) as PageData;
}

function viewOf({ views }: PageData, id: string): View {
  const view = views.find((one) => one.id === id);
  if (view === undefined) throw new Error(`no view ${id}`);
  return view;
}

function trendOf({ trends }: View, i: number): TrendLines {
  const trend = trends[i];
  if (trend === undefined) throw new Error(`no trend ${i}`);
  return trend;
}
