import { isPartOfTotals } from '../../stats/index.ts';
import { formatMs, formatPercent } from '../format.ts';
import type { SeriesSummary, Summary, TrendSummary } from '../summary.ts';
import { html, NOTHING, type Html } from './markup.ts';
import { count, perSecond } from './numbers.ts';
import { stepId, type Step } from './views.ts';

/** A row for each step, opened to every series of it. */
export function stepsSection(summary: Summary, steps: readonly Step[]): Html {
  if (steps.length === 0) return NOTHING;
  const isShared = new Set(steps.map(({ scenario }) => scenario)).size > 1;
  const rows = steps.map((step, i) => stepRows(summary, step, i, isShared));
  const head = [
    ['Step', 'text'],
    ['p99 over time', ''],
    ['Requests', 'number'],
    ['Per second', 'number'],
    ['Failed', 'number'],
    ['p50', 'number'],
    ['p90', 'number'],
    ['p99', 'number'],
    ['p99.9', 'number'],
    ['Max', 'number'],
  ] as const;
  return html`<section id="steps" aria-labelledby="steps-title">
    <h2 id="steps-title">Steps</h2>
    <p class="hint">Response times from the intended start, all outcomes merged. A column's title sorts, a step's name opens its series.</p>
    <div class="scroll">
      <table class="sortable" id="steps-table">
        <caption class="sr">
          Steps
        </caption>
        <thead>
          <tr>
            ${head.map(([title, sort]) =>
              sort === ''
                ? html`<th scope="col">${title}</th>`
                : html`<th scope="col" class="${sort}"><button type="button" class="sort">${title}</button></th>`,
            )}
          </tr>
        </thead>
        ${rows}
      </table>
    </div>
  </section>`;
}

/** A body of its own for each step, so that sorting moves a row together with what it opens. */
function stepRows(summary: Summary, step: Step, i: number, isShared: boolean): Html {
  const { id, scenario, name, response } = step;
  const own = summary.series.filter(({ tags }) => isPartOfTotals(tags) && stepId(tags) === id);
  const requests = own.reduce((sum, one) => (one.metric === 'http_reqs' && one.type === 'counter' ? sum + one.count : sum), 0);
  const rate = own.reduce((sum, one) => (one.metric === 'http_reqs' && one.type === 'counter' ? sum + one.rate : sum), 0);
  const failed = own.reduce((sum, one) => (one.metric === 'http_req_failed' && one.type === 'rate' ? sum + one.passes : sum), 0);
  const share = requests === 0 ? 0 : failed / requests;
  const time = (us: number | undefined): Html =>
    html`<td class="number" data-value="${us ?? -1}">${us === undefined ? '–' : formatMs(us / 1_000)}</td>`;
  return html`<tbody>
    <tr>
      <th scope="row" data-value="${name}">
        <button type="button" class="opens" aria-expanded="false" aria-controls="step-${i}">${name === '' ? '(no name)' : name}</button
        >${isShared ? html` <span class="hint">${scenario}</span>` : NOTHING}
      </th>
      <td><canvas class="spark" data-view="${id}" width="140" height="24" role="img" aria-label="p99 of ${name} over time"></canvas></td>
      <td class="number" data-value="${requests}">${count(requests)}</td>
      <td class="number" data-value="${rate}">${perSecond(rate)}</td>
      <td class="number${failed > 0 ? ' bad' : ''}" data-value="${share}">${formatPercent(share)}</td>
      ${[50, 90, 99, 99.9].map((p) => time(response.percentileUs(p)))}${time(response.count === 0 ? undefined : response.maxUs)}
    </tr>
    <tr id="step-${i}" class="opened" hidden>
      <td colspan="10">
        <p><button type="button" class="show" data-view="${id}">Show in the latency charts</button></p>
        ${seriesTable(own)}
      </td>
    </tr>
  </tbody>`;
}

function seriesTable(own: readonly SeriesSummary[]): Html {
  const trends = own.filter((one): one is SeriesSummary & TrendSummary => one.type === 'trend' && one.count > 0);
  const cells = (trend: TrendSummary): Html[] =>
    [trend.mean, trend.percentiles['50'], trend.percentiles['90'], trend.percentiles['99'], trend.percentiles['99.9'], trend.max].map(
      (ms) => html`<td class="number">${trend.unit === 'ms' ? formatMs(ms) : count(ms)}</td>`,
    );
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Series</th>
        <th scope="col">Outcome</th>
        ${['Count', 'Mean', 'p50', 'p90', 'p99', 'p99.9', 'Max'].map((title) => html`<th scope="col" class="number">${title}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${trends.map(
        (trend) =>
          html`<tr><th scope="row"><code>${trend.metric}</code></th><td${trend.tags['error'] === undefined ? NOTHING : html` class="bad"`}>${outcome(trend)}</td><td class="number">${count(trend.count)}</td>${cells(trend)}</tr>`,
      )}
    </tbody>
  </table>`;
}

function outcome({ tags }: SeriesSummary): string {
  return [tags['method'], tags['status'], tags['error']].filter((part) => part !== undefined).join(' · ');
}
