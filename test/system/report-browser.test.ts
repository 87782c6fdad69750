import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { readBundle, readTrend, renderHtml, renderMarkdown, renderTrendHtml } from '../../shared/report/index.ts';
import { Browser, findChromium } from '../support/chromium.ts';
import { Cluster, type ClusterRun } from '../support/cluster.ts';
import { embeddedData } from '../support/embedded-data.ts';
import { writeLongBundle, type LongBundle } from '../support/long-bundle.ts';
import { Processes } from '../support/processes.ts';
import { writeTrendRun } from '../support/run-bundle.ts';
import { Target } from '../support/target.ts';

const DRAWN_MS_MAX = 3_000;
const PAGE_BYTES_MAX = 8 * 1024 * 1024;
/** Outside git; `.ci/run` leaves them there to be looked at. */
const SCREENSHOTS = join(import.meta.dirname, '../../.cache/screenshots');

/** How many colours a canvas has, read from a copy: reading the canvas itself makes the browser complain. */
const COLOURS_OF = `var coloursOf = (canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return new Set(new Uint32Array(copy.getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
};`;

const chromium = findChromium();
// A CI without a browser has a broken set-up, and must not look as if the report had been tried.
const isSkipped = chromium === undefined && process.env['CI'] === undefined;

describe.skipIf(isSkipped)(
  `a report in ${chromium ?? 'Chromium (skipped: there is none here; scripts/chromium says how to get one)'}`,
  () => {
    let directory: string;
    let browser: Browser;

    beforeAll(async () => {
      if (chromium === undefined) throw new Error('no Chromium: bash scripts/chromium says why');
      directory = await mkdtemp(join(tmpdir(), 'muster-report-'));
      await mkdir(SCREENSHOTS, { recursive: true });
      browser = await Browser.start(chromium);
    });
    afterAll(async () => {
      await browser.stop();
      await rm(directory, { recursive: true, force: true });
    });

    describe('of a real run', () => {
      let cluster: Cluster;
      let target: Target;
      let run: ClusterRun;

      beforeAll(async () => {
        target = await Target.start({ behaviours: { '/flaky': { failEvery: { nth: 5, status: 503 } } } });
        cluster = await Cluster.start(2);
        const flow = [{ get: '/products', name: 'list' }, { get: '/flaky' }];
        const load = { executor: 'constant-arrival-rate', rate: 40, duration: '5s', warmup: '1s', flow };
        const thresholds = { http_req_response_time: ['p(99)<5000'] };
        run = await cluster.run({ name: 'report', target: `http://127.0.0.1:${target.port}`, scenarios: { load }, thresholds }, 2);
        await browser.open(join(run.bundle.dir, 'report.html'));
      });
      afterAll(async () => {
        await cluster.stop();
        await target.stop();
      });

      test('is in the bundle that the run fetched, and opens from disk without a complaint', () => {
        expect(browser.complaints).toEqual([]);
      });

      test('has every chart and the heat map drawn: no canvas is empty', async () => {
        const empty = await browser.page.evaluate(`${COLOURS_OF}
        [...document.querySelectorAll('canvas')].filter((canvas) => canvas.closest('[hidden]') === null && coloursOf(canvas) < 2)
          .map((canvas) => canvas.id || canvas.closest('figure')?.id || canvas.dataset.view)`);
        expect(empty).toEqual([]);
        expect(await browser.page.locator('.plot canvas').count()).toBeGreaterThanOrEqual(8);
        // More colours than an axis has: the cells of the heat map.
        const colours = await browser.page.evaluate(`${COLOURS_OF} coloursOf(document.querySelector('#heat-map'))`);
        expect(colours).toBeGreaterThan(10);
      });

      test('is walked by keys: skip link, sections, choices, tables, charts and the heat map', async () => {
        const { page } = browser;
        await page.keyboard.press('Tab');
        expect(await page.evaluate('document.activeElement.textContent.trim()')).toBe('Skip to the report');
        // Every element that takes the focus tells who it is, so that a key need not be asked after.
        await page.evaluate(`window.reached = []; document.addEventListener('focusin', ({ target }) =>
          window.reached.push(target.id || target.closest('figure')?.id || target.className))`);
        for (let i = 0; i < 100; i++) await page.keyboard.press('Tab');
        const reached = new Set(await page.evaluate<string[]>('window.reached'));
        expect([...reached]).toEqual(
          expect.arrayContaining([
            'chart-load',
            'view',
            'scale',
            'chart-trend-0',
            'heat-map',
            'chart-spectrum',
            'chart-errors',
            'sort',
            'opens',
            'health',
          ]),
        );

        await page.focus('#heat-map');
        await page.keyboard.press('ArrowRight');
        expect(await page.textContent('#heat-readout')).toMatch(/^\d.* s to .*, .* to .*: \d+, [\d.]+ % of that time's$/);
        await page.focus('#chart-load .plot');
        await page.keyboard.press('End');
        expect(await page.textContent('#chart-load .u-legend')).toMatch(/started:?\s*\d/);

        const step = page.locator('button.opens').first();
        await step.focus();
        await page.keyboard.press('Enter');
        expect(await step.getAttribute('aria-expanded')).toBe('true');
        await page.locator('button.show').first().focus();
        await page.keyboard.press('Enter');
        expect(await page.inputValue('#view')).toBe('step:load/list');
      });

      test('names everything that can be reached', async () => {
        const nameless = await browser.page.evaluate(`[...document.querySelectorAll('button, a, select, [tabindex]')].filter((element) => {
        const labelled = element.getAttribute('aria-labelledby');
        const name = element.getAttribute('aria-label') ?? (labelled ? document.getElementById(labelled)?.textContent : null)
          ?? element.closest('label')?.textContent ?? element.textContent;
        return name.trim() === '';
      }).map((element) => element.outerHTML.slice(0, 80))`);
        expect(nameless).toEqual([]);
      });

      test('looks after itself in light, in dark and on paper', async () => {
        const { page } = browser;
        const ground = (): Promise<unknown> => page.evaluate('getComputedStyle(document.querySelector("section")).backgroundColor');
        await page.emulateMedia({ colorScheme: 'light' });
        await page.screenshot({ path: join(SCREENSHOTS, 'report-light.png'), fullPage: true });
        const light = await ground();
        await page.emulateMedia({ colorScheme: 'dark' });
        await page.screenshot({ path: join(SCREENSHOTS, 'report-dark.png'), fullPage: true });
        const dark = await ground();
        await page.emulateMedia({ media: 'print' });
        expect([light, dark, await ground(), await page.isVisible('nav')]).toEqual([
          'rgb(255, 255, 255)',
          'rgb(23, 27, 34)',
          'rgb(255, 255, 255)',
          false,
        ]);
        await page.emulateMedia({ media: 'screen' });
        expect(browser.complaints).toEqual([]);
      });

      test('is made again of the bundle by `muster report`, and other formats beside it', async () => {
        const processes = new Processes();
        const report = (...flags: string[]): ReturnType<Processes['muster']> => processes.muster(['report', ...flags]);
        const out = join(directory, 'again.html');
        expect((await report(run.bundle.dir, '--out', out)).code).toBe(0);
        expect(await readFile(out, 'utf8')).toBe(await readFile(join(run.bundle.dir, 'report.html'), 'utf8'));
        const md = await report(run.bundle.dir, '--format', 'md');
        expect([md.code, md.stdout]).toEqual([0, renderMarkdown(run.bundle.summary)]);
        const wrong = await report(join(run.bundle.dir, '..'), '--trend', '--format', 'junit');
        expect([wrong.code, wrong.stderr]).toEqual([104, expect.stringContaining('expected one of html, text, json, md with --trend')]);
        const nothing = await report(directory, '--format', 'text');
        expect([nothing.code, nothing.stderr]).toEqual([104, expect.stringContaining('run.json: expected a JSON file of a run bundle')]);
      });
    });

    test('of 24 hours and 50 series is drawn within three seconds and stays below 8 MB', async () => {
      const html = await longReport(browser, directory, { seconds: 86_400, series: 50, intervalMs: 120_000, agents: 12 });
      const drawnMs = [await browser.reopen(), await browser.reopen()];
      await browser.page.screenshot({ path: join(SCREENSHOTS, 'report-long.png'), fullPage: true });
      process.stdout.write(`24 h, 50 series: ${(html.length / 1e6).toFixed(2)} MB, drawn in ${drawnMs.join(', ')} ms\n`);
      expect(embeddedData(html)).toMatchObject({ columns: 720 });
      expect(Buffer.byteLength(html)).toBeLessThan(PAGE_BYTES_MAX);
      expect(Math.min(...drawnMs)).toBeLessThan(DRAWN_MS_MAX);
      expect(browser.complaints).toEqual([]);
    });

    describe('of a hundred series', () => {
      beforeAll(async () => {
        await longReport(browser, directory, { seconds: 600, series: 100, intervalMs: 5_000, agents: 2 });
      });

      test('offers each of its steps, and draws the one that is chosen', async () => {
        const { page } = browser;
        const steps = await page.locator('#view optgroup[label="Steps"] option').count();
        expect(steps).toBeGreaterThanOrEqual(40);
        const before = await inkOf(page, '#chart-trend-0 canvas');
        await page.selectOption('#view', { index: steps });
        await expect.poll(() => inkOf(page, '#chart-trend-0 canvas')).not.toBe(before);
        const sparks = `${COLOURS_OF} [...document.querySelectorAll('canvas.spark')].filter((one) => coloursOf(one) < 2).length`;
        expect(await page.evaluate(sparks)).toBe(0);
        await page.screenshot({ path: join(SCREENSHOTS, 'report-hundred.png'), fullPage: true });
      });

      test('zooms in all charts at once where one is dragged over, and out again', async () => {
        const { page } = browser;
        const charts = ['#chart-load canvas', '#chart-trend-1 canvas'];
        const inks = (): Promise<string[]> => Promise.all(charts.map((chart) => inkOf(page, chart)));
        const before = await inks();
        const plot = page.locator('#chart-load .u-over');
        await plot.scrollIntoViewIfNeeded();
        const { x, y, width, height } = (await plot.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
        await page.mouse.move(x + width * 0.3, y + height / 2);
        await page.mouse.down();
        await page.mouse.move(x + width * 0.6, y + height / 2, { steps: 4 });
        await page.mouse.up();
        for (const [i, chart] of charts.entries()) await expect.poll(() => inkOf(page, chart)).not.toBe(before[i]);
        await page.focus('#chart-load .plot');
        await page.keyboard.press('Escape');
        await expect.poll(inks).toEqual(before);
        expect(browser.complaints).toEqual([]);
      });
    });

    test('of how runs went one after the other marks the run from which on they were slower', async () => {
      const runs = join(directory, 'runs');
      for (let day = 1; day <= 20; day++) await writeTrendRun(runs, { day, medianUs: (day > 12 ? 15_000 : 10_000) + day * 20 });
      await writeFile(join(directory, 'trend.html'), await renderTrendHtml(await readTrend(runs)));
      const { page } = browser;
      await browser.open(join(directory, 'trend.html'));
      expect(await page.evaluate(`${COLOURS_OF} coloursOf(document.querySelector('.plot canvas'))`)).toBeGreaterThan(5);
      expect(await page.locator('.scroll tbody tr').count()).toBe(20);
      expect(await page.textContent('section ul')).toMatch(/p99 rose from .* from run run-13/);
      const logarithmic = await inkOf(page, '.plot canvas');
      await page.selectOption('.trend-scale', 'linear');
      await expect.poll(() => inkOf(page, '.plot canvas')).not.toBe(logarithmic);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(SCREENSHOTS, `trend-${colorScheme}.png`), fullPage: true });
      }
      expect(browser.complaints).toEqual([]);
    });
  },
);

/** Makes the report of a long bundle and opens it. */
async function longReport(browser: Browser, directory: string, of: LongBundle): Promise<string> {
  const dir = join(directory, `long-${of.series}`);
  await writeLongBundle(dir, of);
  const html = await renderHtml(await readBundle(dir));
  await writeFile(join(dir, 'report.html'), html);
  await browser.open(join(dir, 'report.html'));
  return html;
}

/** Equal where a canvas looks equal. */
async function inkOf(page: Page, selector: string): Promise<string> {
  return String(
    await page.evaluate(`(() => {
      const canvas = document.querySelector(${JSON.stringify(selector)});
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      let hash = 0;
      for (const pixel of new Uint32Array(copy.getImageData(0, 0, canvas.width, canvas.height).data.buffer)) hash = (Math.imul(hash, 31) + pixel) | 0;
      return hash;
    })()`),
  );
}
