import { formatDurationUs } from '../base/index.ts';
import { isPartOfTotals } from '../stats/index.ts';
import { formatCount, formatMs, formatPercent, oneLine } from './format.ts';
import { selectorText, type Summary, type TrendSummary } from './summary.ts';
import { errorLines, observedText } from './text-measured.ts';
import { createPaint } from './paint.ts';
import { runVerdict } from './verdict.ts';

/** Steps shown; a comment is no report. */
const STEPS_MAX = 15;
const PLAIN = createPaint(false);

/** A short account for a comment on a pull request: the verdict first, what failed in the open, the rest folded. */
export function renderMarkdown(summary: Summary): string {
  const { run, validity, thresholds } = summary;
  const { word, thresholds: held } = runVerdict(summary);
  const sign = { PASSED: '✅', FAILED: '❌', STOPPED: '⏹️' }[word];
  const failed = thresholds.filter(({ verdict }) => verdict !== 'pass');
  const blocks = [
    `### ${sign} ${escape(run.name)}: ${word.toLowerCase()}`,
    `${held} · result **${validity.grade}** · ${run.agents.planned} agent${run.agents.planned === 1 ? '' : 's'} · ${formatDurationUs(run.durationSeconds * 1_000_000)} · \`${code(run.id)}\``,
    ...(run.stopped === undefined ? [] : [`Stopped early: ${escape(run.stopped)}`]),
    validity.reasons.map(({ code: reason, detail }) => `- \`${reason}\`: ${escape(detail)}`).join('\n'),
    totals(summary),
    failed.length === 0
      ? ''
      : table(
          ['', 'Threshold', 'Observed'],
          failed.map((one) => thresholdRow(summary, one)),
        ),
    folded('Steps', stepRows(summary)),
    folded('Errors', errorRows(summary)),
    failed.length === thresholds.length
      ? ''
      : folded(
          'Thresholds that held',
          table(
            ['', 'Threshold', 'Observed'],
            thresholds.filter(({ verdict }) => verdict === 'pass').map((one) => thresholdRow(summary, one)),
          ),
        ),
  ];
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

function totals({ metrics, ledger }: Summary): string {
  const rows: string[][] = [];
  for (const [name, title] of [
    ['http_req_response_time', 'Response time'],
    ['http_req_duration', 'Service time'],
  ] as const) {
    const trend = metrics[name];
    if (trend?.type === 'trend' && trend.count > 0) rows.push([title, ...times(trend)]);
  }
  const requests = metrics['http_reqs'];
  const failed = metrics['http_req_failed'];
  const parts = [
    ...(requests?.type === 'counter' ? [`${formatCount(requests.count)} requests, ${formatCount(requests.rate)}/s`] : []),
    ...(failed?.type === 'rate' ? [`${formatPercent(failed.rate)} failed`] : []),
    `${ledger.started} of ${ledger.planned} planned iterations started`,
  ];
  const line = parts.join(' · ');
  return rows.length === 0 ? line : `${line}\n\n${table(['', 'p50', 'p90', 'p99', 'p99.9', 'max'], rows)}`;
}

function times({ percentiles, max }: TrendSummary): string[] {
  return [percentiles['50'], percentiles['90'], percentiles['99'], percentiles['99.9'], max].map(formatMs);
}

function thresholdRow({ metrics }: Summary, threshold: Summary['thresholds'][number]): string[] {
  const { metric, tags, expression, verdict } = threshold;
  return [
    verdict === 'pass' ? '✓' : '✗',
    `\`${code(`${selectorText(metric, tags)}: ${expression}`)}\``,
    escape(observedText(threshold, metrics[metric])),
  ];
}

/** Each series of response times that succeeded, the most frequent first. */
function stepRows({ series }: Summary): string {
  const steps = series
    .filter(
      (one): one is typeof one & TrendSummary =>
        one.metric === 'http_req_response_time' && one.type === 'trend' && isPartOfTotals(one.tags),
    )
    .sort((a, b) => b.count - a.count);
  const rows = steps
    .slice(0, STEPS_MAX)
    .map((one) => [
      escape(one.tags['name'] ?? selectorText(one.metric, one.tags)),
      escape(one.tags['error'] ?? one.tags['status'] ?? ''),
      String(one.count),
      ...times(one),
    ]);
  const rest = steps.length - rows.length;
  if (rows.length === 0) return '';
  return table(['Step', 'Outcome', 'Count', 'p50', 'p90', 'p99', 'p99.9', 'max'], rows) + (rest > 0 ? `\n\nand ${rest} more` : '');
}

function errorRows(summary: Summary): string {
  return errorLines(summary, PLAIN)
    .map((line) => `- ${escape(line.replace(/\.{2,}/, ''))}`)
    .join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function folded(title: string, content: string): string {
  return content === '' ? '' : `<details><summary>${title}</summary>\n\n${content}\n\n</details>`;
}

/** Names from scenario files and targets are words, not markup; `@name` must not call anybody. */
function escape(text: string): string {
  return oneLine(text)
    .replace(/[\\`*_{}[\]<>()#|~]/g, '\\$&')
    .replaceAll('@', '@\u200b');
}

/** Inside a code span of a table only these two would end it. */
function code(text: string): string {
  return oneLine(text).replaceAll('`', 'ˋ').replaceAll('|', '\\|');
}
