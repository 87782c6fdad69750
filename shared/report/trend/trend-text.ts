import { formatMs, formatPercent, oneLine } from '../format.ts';
import { TREND_PERCENTILES, type ScenarioTrend, type Trend, type TrendChange, type TrendRun } from './trend.ts';

/** With five runs on either side chance rarely makes a split as good. */
const RUNS_TO_TELL = 10;

export function renderTrendJson(trend: Trend): string {
  return `${JSON.stringify(trend, null, 2)}\n`;
}

/** A table of runs for each scenario, then the changes in words. */
export function renderTrendText(trend: Trend): string {
  const blocks = trend.scenarios.map((scenario) => {
    const rows = [TREND_HEAD, ...scenario.runs.map((run, index) => trendRow(scenario, run, index))];
    const widths = TREND_HEAD.map((_, column) => Math.max(...rows.map((cells) => (cells[column] ?? '').length)));
    const cell = (text: string, column: number): string =>
      column < 2 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
    const lines = rows.map((cells) => `  ${cells.map(cell).join('  ')}`.trimEnd());
    return [oneLine(scenario.name), ...lines, '', ...changeLines(scenario).map((line) => `  ${line}`)].join('\n');
  });
  return `${[...blocks, ...skippedBlock(trend, '')].join('\n\n')}\n`;
}

export function renderTrendMarkdown(trend: Trend): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const blocks = trend.scenarios.map((scenario) => {
    const rows = scenario.runs.map((run, index) => line(trendRow(scenario, run, index)));
    return [
      `### ${oneLine(scenario.name).replace(/[\\`*_[\]<>#|]/g, '\\$&')}`,
      changeLines(scenario)
        .map((change) => `- ${change}`)
        .join('\n'),
      [line(TREND_HEAD), line(TREND_HEAD.map(() => '---')), ...rows].join('\n'),
    ].join('\n\n');
  });
  return `${[...blocks, ...skippedBlock(trend, '- ')].join('\n\n')}\n`;
}

export const TREND_HEAD = ['started', 'run', ...TREND_PERCENTILES.map((name) => `p${name}`), 'req/s', 'failed', 'grade', ''];

/** The cells of one run, under `TREND_HEAD`; the last one says what is remarkable. */
export function trendRow({ changes }: ScenarioTrend, run: TrendRun, index: number): string[] {
  const { startedAt, id, percentiles, requestsPerSecond, failed, grade, verdict } = run;
  const changed = changes.filter((change) => change.index === index);
  return [
    minuteOf(startedAt),
    oneLine(id),
    ...TREND_PERCENTILES.map((name) => (percentiles === undefined ? '-' : formatMs(percentiles[name]))),
    requestsPerSecond.toFixed(1),
    formatPercent(failed),
    grade,
    [
      ...(verdict === 'PASSED' ? [] : [verdict.toLowerCase()]),
      ...changed.map(({ percentile, beforeMs, afterMs }) => `${afterMs > beforeMs ? '▲' : '▼'} p${percentile}`),
    ].join(' '),
  ];
}

/** Every change in words; that there is none is said too. */
export function changeLines({ changes, runs }: ScenarioTrend): string[] {
  if (changes.length > 0) return changes.map((change) => changeLine(change, runs[change.index]?.startedAt ?? ''));
  const few = runs.length < RUNS_TO_TELL ? `; fewer than ${RUNS_TO_TELL} rarely show one` : '';
  return [`no change found in ${runs.length} run${runs.length === 1 ? '' : 's'}${few}`];
}

function changeLine({ percentile, runId, beforeMs, afterMs, p }: TrendChange, startedAt: string): string {
  const percent = (afterMs / beforeMs - 1) * 100;
  const change = `${percent >= 0 ? '+' : '−'}${Math.abs(percent).toFixed(0)} %`;
  return (
    `p${percentile} ${percent >= 0 ? 'rose' : 'fell'} from ${formatMs(beforeMs)} to ${formatMs(afterMs)} (${change}) ` +
    `from run ${oneLine(runId)} of ${minuteOf(startedAt)} on, p = ${p}`
  );
}

function skippedBlock(trend: Trend, bullet: string): string[] {
  const lines = skippedLines(trend).map((line) => `${bullet}${line}`);
  return lines.length === 0 ? [] : [lines.join('\n')];
}

/** Every folder that is no part of the trend, with the reason. */
export function skippedLines({ skipped }: Trend): string[] {
  return skipped.map(({ dir, reason }) => oneLine(`left out: ${dir}: ${reason}`));
}

function minuteOf(startedAt: string): string {
  return startedAt.slice(0, 16).replace('T', ' ');
}
