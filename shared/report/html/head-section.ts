import { formatDurationUs } from '../../base/index.ts';
import { formatMs, formatPercent } from '../format.ts';
import type { MetricSummary, Summary } from '../summary.ts';
import { runVerdict } from '../verdict.ts';
import { html, NOTHING, type Html } from './markup.ts';
import { count, perSecond } from './numbers.ts';

const VERDICT_CLASS = { PASSED: 'good', FAILED: 'bad', STOPPED: 'warn' } as const;
const VERDICT_WORD = { PASSED: 'Passed', FAILED: 'Failed', STOPPED: 'Stopped early' } as const;
const SIGN = { PASSED: '✓', FAILED: '✗', STOPPED: '■' } as const;
const GRADE_WORDS = {
  valid: 'The measurement is valid: nothing speaks against these numbers.',
  degraded: 'The measurement is degraded: read the reasons before trusting the numbers.',
  invalid: 'The measurement is invalid: these numbers do not say what the target does.',
} as const;

/** Which run, what it comes to in words, and the numbers that are asked for first. */
export function headSection(summary: Summary): Html {
  const { run, validity } = summary;
  const { word, thresholds } = runVerdict(summary);
  const { planned, lost } = run.agents;
  const facts = [
    new Date(run.startedAt).toISOString().replace('T', ' ').slice(0, 19) + ' UTC',
    formatDurationUs(run.durationSeconds * 1_000_000),
    `${planned} agent${planned === 1 ? '' : 's'}${lost > 0 ? `, ${lost} lost` : ''}`,
    ...(run.target === undefined ? [] : [run.target]),
    ...(run.seed === undefined ? [] : [`seed ${run.seed}`]),
  ];
  return html`<header>
    <div class="title">
      <p class="brand">Muster</p>
      <h1>${run.name}</h1>
      <p class="facts"><code>${run.id}</code>${facts.map((fact) => html`<span>${fact}</span>`)}</p>
    </div>
    <div class="verdict ${VERDICT_CLASS[word]}" role="status">
      <p class="word"><span aria-hidden="true">${SIGN[word]}</span> ${VERDICT_WORD[word]}</p>
      <p>${sentence(thresholds)} <span class="grade ${validity.grade}">${GRADE_WORDS[validity.grade]}</span></p>
      ${run.stopped === undefined ? NOTHING : html`<p>Stopped early: ${run.stopped}</p>`}
    </div>
    <dl class="tiles">
      ${tiles(summary).map(({ label, value, isBad }) => html`<div${isBad === true ? html` class="bad"` : NOTHING}><dt>${label}</dt><dd>${value}</dd></div>`)}
    </dl>
  </header>`;
}

interface Tile {
  readonly label: string;
  readonly value: string;
  readonly isBad?: boolean;
}

function tiles({ metrics, ledger }: Summary): Tile[] {
  const requests = ofType(metrics['http_reqs'], 'counter');
  const failed = ofType(metrics['http_req_failed'], 'rate');
  const response = ofType(metrics['http_req_response_time'], 'trend');
  const missed = ledger.planned - ledger.started;
  const delivered = ledger.planned === 0 ? 1 : ledger.started / ledger.planned;
  return [
    ...(requests === undefined
      ? []
      : [
          { label: 'Requests', value: count(requests.count) },
          { label: 'Requests a second', value: perSecond(requests.rate) },
        ]),
    ...(failed === undefined ? [] : [{ label: 'Failed', value: formatPercent(failed.rate), isBad: failed.passes > 0 }]),
    ...(response === undefined || response.count === 0
      ? []
      : [
          ...(['50', '90', '99', '99.9'] as const).map((name) => ({
            label: `Response p${name}`,
            value: formatMs(response.percentiles[name]),
          })),
          { label: 'Response max', value: formatMs(response.max) },
        ]),
    { label: 'Load delivered', value: formatPercent(delivered), isBad: missed > 0 },
  ];
}

function ofType<Type extends MetricSummary['type']>(
  metric: MetricSummary | undefined,
  type: Type,
): Extract<MetricSummary, { type: Type }> | undefined {
  return metric?.type === type ? (metric as Extract<MetricSummary, { type: Type }>) : undefined;
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
