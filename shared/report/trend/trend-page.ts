import { VERSION } from '../../base/index.ts';
import { readAssets } from '../html/assets.ts';
import { chart } from '../html/chart-frame.ts';
import { embedded } from '../html/embedded.ts';
import { html, NOTHING, type Html } from '../html/markup.ts';
import type { TrendPageData } from '../html/page-data.ts';
import { changeLines, skippedLines, TREND_HEAD, trendRow } from './trend-text.ts';
import { TREND_PERCENTILES, type ScenarioTrend, type Trend } from './trend.ts';

/** A page like the report of a run, with nothing outside it: a chart and a table for each scenario. */
export async function renderTrendHtml(trend: Trend): Promise<string> {
  const { styles, scripts } = await readAssets();
  const runs = trend.scenarios.reduce((sum, scenario) => sum + scenario.runs.length, 0);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Trend of ${runs} runs · Muster</title>
        <link rel="icon" href="data:," />
        ${styles}
      </head>
      <body>
        <a class="skip" href="#main">Skip to the trends</a>
        <header>
          <div class="title">
            <p class="brand">Muster</p>
            <h1>Trend</h1>
            <p class="facts"><code>${trend.dir}</code><span>${runs} runs</span></p>
          </div>
        </header>
        <main id="main">${trend.scenarios.map(section)} ${skippedLines(trend).map((line) => html`<p class="note">${line}</p>`)}</main>
        <footer>
          <p>
            Response times from the intended start, percentiles of each run's one merged histogram. A vertical line is a change point:
            E-divisive means with a permutation test at 1 % (Matteson, James 2014); changes of level below 2 % are not told, and invalid
            runs are part of no level. Muster ${VERSION}.
          </p>
        </footer>
        ${embedded({ kind: 'trend', ...pageData(trend) })} ${scripts}
      </body>
    </html> `.html;
}

function section(scenario: ScenarioTrend, i: number): Html {
  const rows = scenario.runs.map((run, index) => {
    const [started = '', id = '', ...rest] = trendRow(scenario, run, index);
    const isBad = run.verdict === 'FAILED';
    return html`<tr>
      <td>${started}</td>
      <th scope="row"><code>${id}</code></th>
      ${rest.map((cell, column) => html`<td class="${column < rest.length - 2 ? 'number' : ''}${isBad && column === rest.length - 1 ? ' bad' : ''}">${cell}</td>`)}
    </tr>`;
  });
  return html`<section aria-labelledby="trend-${i}-name">
    <h2 id="trend-${i}-name">${scenario.name}</h2>
    <ul class="plain">
      ${changeLines(scenario).map((line) => html`<li>${line}</li>`)}
    </ul>
    ${
      scenario.runs.some(({ percentiles }) => percentiles !== undefined)
        ? html`<div class="controls">
              <label
                >Axis
                <select class="trend-scale" data-chart="trend-${i}">
                  <option value="log">logarithmic</option>
                  <option value="linear">linear</option>
                </select></label
              >
            </div>
            ${chart(`trend-${i}`, 'Response time per run', '')}`
        : NOTHING
    }
    <div class="scroll">
      <table>
        <caption class="sr">
          Runs of ${scenario.name}
        </caption>
        <thead>
          <tr>
            ${TREND_HEAD.map((title, column) => html`<th scope="col" class="${column > 1 && column < TREND_HEAD.length - 2 ? 'number' : ''}">${title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
  </section>`;
}

function pageData({ scenarios }: Trend): TrendPageData {
  return {
    scenarios: scenarios.map(({ runs, changes }) => ({
      runs: runs.map(({ id, startedAt }) => ({ id, startedAt })),
      percentiles: TREND_PERCENTILES.map((name) => ({
        name,
        us: runs.map(({ percentiles }) => (percentiles === undefined ? null : Math.round(percentiles[name] * 1_000))),
      })),
      changes: [...new Set(changes.map(({ index }) => index))]
        .sort((a, b) => a - b)
        .map((index) => {
          const own = changes.filter((change) => change.index === index);
          return { index, isWorse: own.some(({ beforeMs, afterMs }) => afterMs > beforeMs) };
        }),
    })),
  };
}
