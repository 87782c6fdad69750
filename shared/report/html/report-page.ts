import { formatDurationUs, VERSION } from '../../base/index.ts';
import type { Bundle } from '../bundle.ts';
import { readAssets } from './assets.ts';
import { agentsSection } from './agents-section.ts';
import { chart } from './chart-frame.ts';
import { embedded } from './embedded.ts';
import { eventsSection } from './events-section.ts';
import { marksOf, shownEvents, warmUpsOf } from './events.ts';
import { headSection } from './head-section.ts';
import { html, NOTHING, type Html } from './markup.ts';
import type { PageData, View } from './page-data.ts';
import { plannedPerSecond } from './planned-line.ts';
import { proofSection } from './proof-section.ts';
import { readResults } from './results-over-time.ts';
import { readColumns } from './series-columns.ts';
import { stepsSection } from './steps-section.ts';
import { buildViews } from './views.ts';

/** One page that holds everything: no network, no other file. Streams the series of the bundle; what it keeps of them is bounded.
 *  Throws `BUNDLE_INVALID` where a file of the bundle cannot be read. */
export async function renderHtml(bundle: Bundle): Promise<string> {
  const { manifest, summary } = bundle;
  const columns = await readColumns(bundle);
  const results = await readResults(bundle, columns);
  const { views, steps, lag } = await buildViews(columns, summary);
  const events = shownEvents(manifest);
  const columnSeconds = columns.columnUs / 1_000_000;
  const planned = manifest.plannedArrivals ?? [];
  const data: PageData = {
    columnSeconds,
    columns: columns.count,
    views,
    lag,
    load: {
      planned: planned.length === 0 ? undefined : plannedPerSecond(planned, columns.count, columns.columnUs),
      started: results.started,
      dropped: results.dropped,
      requests: results.requests ?? requestsOf(views, columns.count, columnSeconds),
      vus: results.vus,
    },
    errors: results.errors,
    agents: results.agents,
    marks: marksOf(events, columns.count * columnSeconds),
    warmUps: warmUpsOf(manifest),
  };
  const notes = [
    ...(columns.leftOut === 0 ? [] : [`${columns.leftOut} further series are in the tables and in the files, not in the charts.`]),
    ...(results.leftOut === 0 ? [] : [`${results.leftOut} further agents are in the tables and the sums, without charts of their own.`]),
  ];
  const { styles, scripts } = await readAssets();
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${summary.run.name} · ${summary.run.id} · Muster</title>
        <link rel="icon" href="data:," />
        ${styles}
      </head>
      <body>
        <a class="skip" href="#main">Skip to the report</a>
        ${headSection(summary)}
        <nav aria-label="Sections">
          <ul>
            ${NAVIGATION.map(([id, title]) => html`<li><a href="#${id}">${title}</a></li>`)}
          </ul>
        </nav>
        <main id="main">
          <noscript
            ><p class="note">The charts of this report are drawn by a script inside this file. Tables and verdicts need none.</p></noscript
          >
          ${notes.map((note) => html`<p class="note">${note}</p>`)} ${proofSection(summary)} ${loadSection(data)} ${latencySection(data)}
          ${errorsSection(data, summary.metrics)} ${stepsSection(summary, steps)} ${agentsSection(summary, results.agents.length > 0)}
          ${eventsSection(events)}
        </main>
        <footer>
          <p>
            One column of a chart spans ${formatDurationUs(columns.columnUs)}. Intervals are condensed by adding their histograms bucket by
            bucket; no percentile here is an average of percentiles. Muster ${VERSION}.
          </p>
        </footer>
        ${embedded({ kind: 'run', ...data })} ${scripts}
      </body>
    </html> `.html;
}

const NAVIGATION = [
  ['verdict', 'Verdict'],
  ['load', 'Load'],
  ['latency', 'Latency'],
  ['errors', 'Errors'],
  ['steps', 'Steps'],
  ['agents', 'Agents'],
  ['events', 'Events'],
] as const;

function loadSection({ load }: PageData): Html {
  const isPlanned = load.planned !== undefined;
  return html`<section id="load" aria-labelledby="load-title">
    <h2 id="load-title">${isPlanned ? 'Planned and delivered load' : 'Delivered load'}</h2>
    <div class="pair">
      ${chart('chart-load', isPlanned ? 'Iterations a second, planned and started' : 'Iterations a second, started', 'A gap between the lines is load that was planned and not delivered.')}
      ${chart('chart-requests', 'Requests a second, and busy VUs', 'Requests count where they ended, failed ones included.')}
    </div>
  </section>`;
}

function latencySection({ views, lag }: PageData): Html {
  if (views.length === 0) return NOTHING;
  const groups = [...new Set(views.map(({ group }) => group))];
  const options = groups.map((group) => {
    const own = views.filter((view) => view.group === group);
    return html`<optgroup label="${group}">${own.map(({ id, label }) => html`<option value="${id}">${label}</option>`)}</optgroup>`;
  });
  return html`<section id="latency" aria-labelledby="latency-title">
    <h2 id="latency-title">Latency</h2>
    <div class="controls">
      <label
        >Show
        <select id="view">
          ${options}
        </select></label
      >
      <label
        >Axis
        <select id="scale">
          <option value="log">logarithmic</option>
          <option value="linear">linear</option>
        </select></label
      >
    </div>
    <div id="latency-charts">${chart('chart-trend-0', 'Over time', '')} ${chart('chart-trend-1', 'Over time', '')}</div>
    <div class="heading">
      <h3 id="heat-title">Heat map</h3>
      <label
        >Of
        <select id="heat-trend"></select
      ></label>
    </div>
    <figure class="heat" id="heat">
      <div class="heat-frame">
        <canvas id="heat-map" tabindex="0" role="img" aria-labelledby="heat-title" aria-describedby="heat-help"></canvas>
      </div>
      <figcaption>
        <span id="heat-help"
          >Every request is in the picture: the stronger a cell, the more requests took that long at that time. Arrow keys move the
          cursor.</span
        >
        <span class="heat-scale" aria-hidden="true"
          ><span>few</span><canvas id="heat-scale" width="120" height="10"></canvas><span>many</span></span
        >
      </figcaption>
      <p class="readout" id="heat-readout" role="status" aria-live="polite"></p>
    </figure>
    <div class="pair">
      ${chart('chart-spectrum', 'Percentile spectrum', 'Each further nine takes the same width. Without the warm-up.')}
      ${lag === undefined ? NOTHING : chart('chart-lag', 'Generator lag', 'How much later than planned iterations began, on the same axes: what of the tail is the generator\u2019s own.')}
    </div>
  </section>`;
}

function errorsSection({ errors }: PageData, metrics: { readonly http_req_failed?: unknown }): Html {
  if (errors.length === 0) {
    const words = metrics.http_req_failed === undefined ? 'No request was measured.' : 'No request failed.';
    return html`<section id="errors" aria-labelledby="errors-title">
      <h2 id="errors-title">Errors</h2>
      <p class="calm">${words}</p>
    </section>`;
  }
  return html`<section id="errors" aria-labelledby="errors-title">
    <h2 id="errors-title">Errors</h2>
    ${chart('chart-errors', 'Failed requests a second, by kind', 'Stacked: the top line is all that failed.')}
  </section>`;
}

/** Where nothing counted requests, their response times do. */
function requestsOf(views: readonly View[], columns: number, columnSeconds: number): number[] {
  const counts = views.find(({ id }) => id === 'all')?.trends[0]?.counts;
  return Array.from({ length: columns }, (_, column) => round((counts?.[column] ?? 0) / columnSeconds));
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
