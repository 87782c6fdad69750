import { formatBytes, formatDurationUs } from '../base/index.ts';
import { parseThreshold } from '../sla/index.ts';
import { findMetric, isPartOfTotals, METRICS } from '../stats/index.ts';
import { dotted, formatCount, formatIn, formatPercent, oneLine } from './format.ts';
import type { Paint } from './paint.ts';
import { selectorText, type MetricSummary, type Summary, type ThresholdSummary, type TrendSummary } from './summary.ts';

/** Kinds of errors and names of checks that are listed; more are counted. */
const LISTED_MAX = 10;

const SIGNS = { pass: '✓', fail: '✗', 'no-data': '✗' } as const;

export function thresholdLines({ thresholds, metrics }: Pick<Summary, 'thresholds' | 'metrics'>, paint: Paint): string[] {
  const lines: string[] = [];
  let previous = '';
  for (const threshold of thresholds) {
    const selector = oneLine(selectorText(threshold.metric, threshold.tags));
    if (selector !== previous) lines.push(selector);
    previous = selector;
    const sign = threshold.verdict === 'pass' ? paint.good(SIGNS.pass) : paint.bad(SIGNS[threshold.verdict]);
    lines.push(`  ${sign} '${oneLine(threshold.expression)}' ${observedText(threshold, metrics[threshold.metric])}`);
  }
  return lines;
}

export function observedText(threshold: ThresholdSummary, measured: MetricSummary | undefined): string {
  const { observed } = threshold;
  if (observed === null) return 'no data, which is not a pass';
  const shown = shownAs(threshold, observed, measured);
  if (threshold.judged === undefined) return shown;
  return threshold.judged === 'worst-window'
    ? `${shown} in the worst window of ${windowText(threshold)}`
    : `${shown} over the whole run, which was shorter than a window of ${windowText(threshold)}`;
}

function windowText({ windowSeconds }: ThresholdSummary): string {
  return formatDurationUs((windowSeconds ?? 0) * 1_000_000);
}

/** The observed value the way k6 writes it: `p(99)=12.3ms`, `rate=0.52%`. What rounding would make the bound itself is told in full:
 *  `p(99)=250ms` of a failed `p(99)<=250` reads like a mistake. */
function shownAs({ metric, expression }: ThresholdSummary, observed: number, measured: MetricSummary | undefined): string {
  const aggregation = /^\s*([a-z]+(?:\([^)]*\))?)/.exec(expression)?.[1] ?? 'value';
  const kind = measured?.type ?? findMetric(metric)?.kind;
  const unit = measured?.type === 'trend' ? measured.unit : 'ms';
  const format = (value: number): string => {
    if (kind === 'trend' && aggregation !== 'count') return formatIn(unit, value);
    return kind === 'rate' ? formatPercent(value) : formatCount(value);
  };
  const parsed = parseThreshold(metric, expression, {}, { [metric]: { kind: kind ?? 'gauge', unit } });
  const isHidden = 'bound' in parsed && observed !== parsed.bound && format(observed) === format(parsed.bound);
  return `${aggregation}=${format(observed)}${isHidden ? ` (${observed})` : ''}`;
}

export function checkLines({ metrics, series }: Summary, paint: Paint): string[] {
  const total = metrics['checks'];
  if (total?.type !== 'rate' || total.passes + total.fails === 0) return [];
  const byName = new Map<string, { passes: number; fails: number }>();
  for (const one of series) {
    if (one.metric !== 'checks' || one.type !== 'rate' || !isPartOfTotals(one.tags)) continue;
    const name = one.tags['check'] ?? one.tags['name'] ?? '';
    const sum = byName.get(name) ?? { passes: 0, fails: 0 };
    byName.set(name, { passes: sum.passes + one.passes, fails: sum.fails + one.fails });
  }
  const named = [...byName].sort(([, a], [, b]) => b.fails - a.fails);
  const listed = named.slice(0, LISTED_MAX).map(([name, { passes, fails }]) => {
    if (fails === 0) return `${paint.good('✓')} ${oneLine(name)}`;
    return `${paint.bad('✗')} ${oneLine(name)}: ${formatPercent(passes / (passes + fails))} held, ✓ ${passes} ✗ ${fails}`;
  });
  const rest = named.length - listed.length;
  return [
    `${dotted('checks_succeeded')}: ${formatPercent(total.rate)} ${total.passes} out of ${total.passes + total.fails}`,
    `${dotted('checks_failed')}: ${formatPercent(1 - total.rate)} ${total.fails} out of ${total.passes + total.fails}`,
    ...listed,
    ...(rest > 0 ? [`and ${rest} more checks`] : []),
  ];
}

/** Metrics in the order of the table of metrics, others after it; each with its submetrics below. */
export function metricLines({ metrics, submetrics }: Summary): string[] {
  const known = Object.keys(METRICS);
  const names = [...known.filter((name) => metrics[name] !== undefined), ...Object.keys(metrics).filter((name) => !known.includes(name))];
  return names.flatMap((name) => {
    const metric = metrics[name];
    // Checks have a section of their own.
    if (metric === undefined || name === 'checks') return [];
    const below = Object.entries(submetrics).filter(([selector]) => selector.startsWith(`${name}{`));
    return [
      ...valueLines(dotted(name), name, metric),
      ...below.flatMap(([selector, value]) => valueLines(dotted(`  { ${oneLine(selector.slice(name.length + 1, -1))} }`), name, value)),
    ];
  });
}

function valueLines(label: string, name: string, metric: MetricSummary): string[] {
  switch (metric.type) {
    case 'trend':
      return [`${label}: ${trendText(metric)}`];
    case 'counter': {
      const isBytes = Object.hasOwn(METRICS, name) && METRICS[name as keyof typeof METRICS].unit === 'bytes';
      return [
        isBytes
          ? `${label}: ${formatBytes(metric.count)} ${formatBytes(metric.rate)}/s`
          : `${label}: ${formatCount(metric.count)} ${formatCount(metric.rate)}/s`,
      ];
    }
    case 'rate':
      return [`${label}: ${formatPercent(metric.rate)} ${metric.passes} out of ${metric.passes + metric.fails}`];
    case 'gauge':
      return [
        `${label}: ${formatIn(metric.unit ?? '', metric.value)} min=${formatIn(metric.unit ?? '', metric.min)} max=${formatIn(metric.unit ?? '', metric.max)}`,
      ];
  }
}

function trendText({ unit, count, mean, min, max, percentiles, overflow }: TrendSummary): string {
  if (count === 0) return 'no samples';
  const parts: readonly (readonly [string, number])[] = [
    ['avg', mean],
    ['min', min],
    ['med', percentiles['50']],
    ['max', max],
    ['p(90)', percentiles['90']],
    ['p(95)', percentiles['95']],
    ['p(99)', percentiles['99']],
  ];
  const beyond = overflow === undefined ? '' : ` (${overflow} above ${unit === 'ms' ? '1h' : '3600000'})`;
  return parts.map(([name, ms]) => `${name}=${formatIn(unit, ms)}`).join(' ') + beyond;
}

/** Failed requests of the load by the tag `error`, most frequent first. */
export function errorLines({ series }: Summary, paint: Paint): string[] {
  const byKind = new Map<string, number>();
  for (const one of series) {
    if (!isPartOfTotals(one.tags)) continue;
    const kind = one.tags['error'];
    if (one.metric === 'http_reqs' && one.type === 'counter' && kind !== undefined) byKind.set(kind, (byKind.get(kind) ?? 0) + one.count);
  }
  const sorted = [...byKind].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  const listed = sorted.slice(0, LISTED_MAX).map(([kind, count]) => `${paint.bad(dotted(oneLine(kind)))}: ${count}`);
  const rest = sorted.length - listed.length;
  return rest > 0 ? [...listed, `and ${rest} more kinds`] : listed;
}
