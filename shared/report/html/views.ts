import { setImmediate } from 'node:timers/promises';
import { isPartOfTotals, METRICS, type Histogram, type Tags } from '../../stats/index.ts';
import type { Summary } from '../summary.ts';
import { mergedTotal, trendLines } from './lines.ts';
import type { TrendLines, View } from './page-data.ts';
import type { ColumnSeries, Columns } from './series-columns.ts';

/** The two times of a request, in the order of the charts. */
const REQUEST_TRENDS = [
  ['http_req_response_time', 'Response time (from the intended start)'],
  ['http_req_duration', 'Service time (from the actual send)'],
] as const;

const LAG = 'schedule_lag';

/** Tags that tell one other trend from another; the rest of its tags is merged. */
const NAMING_TAGS = ['scenario', 'group', 'transaction', 'name'] as const;

/** A step of a scenario, and the merged response times of all its outcomes. */
export interface Step {
  readonly id: string;
  readonly scenario: string;
  readonly name: string;
  /** Without any warm-up. */
  readonly response: Histogram;
}

export interface Views {
  readonly views: readonly View[];
  readonly steps: readonly Step[];
  /** Id of the view of the schedule lag. */
  readonly lag: string | undefined;
}

/** A view before its lines are merged. */
type Choice = Omit<View, 'trends'> & { readonly series: readonly ColumnSeries[] };

/** What a reader can choose to see over time: all requests, what became of them, every step, every other trend. Lets others have the loop between
 *  two views, since a coordinator that makes a report has other things to do. */
export async function buildViews(columns: Columns, summary: Summary): Promise<Views> {
  const requests = columns.series.filter(({ metric }) => isRequestTrend(metric));
  const byStep = groupBy(requests, ({ tags }) => stepId(tags));
  const views: View[] = [];
  for (const { series, ...choice } of [...requestChoices(requests), ...stepChoices(byStep), ...otherChoices(columns, summary)]) {
    views.push({ ...choice, trends: trendsOf(series, columns.count) });
    await setImmediate();
  }
  return { views, steps: stepsOf(byStep, columns.count), lag: views.find(({ id }) => id === LAG)?.id };
}

function requestChoices(series: readonly ColumnSeries[]): Choice[] {
  const base = { group: 'Requests', unit: 'ms' } as const;
  const failed = series.filter(({ tags }) => tags['error'] !== undefined);
  const succeeded = series.filter(({ tags }) => tags['error'] === undefined);
  return [
    ...(series.length === 0 ? [] : [{ ...base, id: 'all', label: 'All requests', series }]),
    // Where nothing failed, those that succeeded are all of them.
    ...(failed.length === 0 || succeeded.length === 0
      ? []
      : [
          { ...base, id: 'succeeded', label: 'Requests that succeeded', series: succeeded },
          { ...base, id: 'failed', label: 'Requests that failed', series: failed },
        ]),
  ];
}

function stepChoices(byStep: ReadonlyMap<string, readonly ColumnSeries[]>): Choice[] {
  return [...byStep].map(([id, series]) => ({ id, label: stepLabel(series[0]?.tags ?? {}), group: 'Steps', unit: 'ms', series }));
}

function otherChoices(columns: Columns, summary: Summary): Choice[] {
  const group = 'Other trends';
  const others = columns.series.filter(({ metric }) => !isRequestTrend(metric));
  const lag = others.filter(({ metric }) => metric === LAG);
  // Of one scenario alone, its lag is the lag.
  const isLagSplit = new Set(lag.map(({ tags }) => tags['scenario'])).size > 1;
  const byTrend = groupBy(isLagSplit ? others : others.filter(({ metric }) => metric !== LAG), otherLabel);
  const choices = [...byTrend].map(
    ([label, series]) => ({ id: `trend:${label}`, label, group, unit: unitOf(summary, series), series }) as const,
  );
  if (lag.length === 0) return choices;
  return [...choices, { id: LAG, label: isLagSplit ? `${LAG}, all scenarios` : LAG, group, unit: 'ms', series: lag }];
}

/** One text for a step: the scenario and the name that its requests are tagged with. */
export function stepId({ scenario = '', name = '' }: Tags): string {
  return `step:${scenario}/${name}`;
}

function stepLabel({ scenario = '', name = '' }: Tags): string {
  return scenario === '' ? name : `${scenario} · ${name}`;
}

function isRequestTrend(metric: string): boolean {
  return REQUEST_TRENDS.some(([name]) => name === metric);
}

function otherLabel({ metric, tags }: ColumnSeries): string {
  const named = NAMING_TAGS.flatMap((name) => (tags[name] === undefined ? [] : [tags[name]]));
  return [metric, ...named].join(' · ');
}

function trendsOf(series: readonly ColumnSeries[], columns: number): TrendLines[] {
  const metrics = groupBy(series, ({ metric }) => metric);
  const order = [...metrics.keys()].sort((a, b) => rank(a) - rank(b));
  return order.map((metric) => {
    const drawn = metrics.get(metric) ?? [];
    const counted = drawn.filter(({ tags }) => isPartOfTotals(tags));
    const label = REQUEST_TRENDS.find(([name]) => name === metric)?.[1] ?? meaningOf(metric);
    return trendLines(label, storesOf(drawn), storesOf(counted), columns);
  });
}

function rank(metric: string): number {
  const at = REQUEST_TRENDS.findIndex(([name]) => name === metric);
  return at < 0 ? REQUEST_TRENDS.length : at;
}

function meaningOf(metric: string): string {
  return Object.hasOwn(METRICS, metric) ? `${metric}: ${METRICS[metric as keyof typeof METRICS].meaning}` : metric;
}

function unitOf(summary: Summary, series: readonly ColumnSeries[]): string {
  const measured = summary.metrics[series[0]?.metric ?? ''];
  return measured?.type === 'trend' ? measured.unit : 'ms';
}

function stepsOf(byStep: ReadonlyMap<string, readonly ColumnSeries[]>, columns: number): Step[] {
  return [...byStep].map(([id, series]) => {
    const counted = series.filter(({ metric, tags }) => metric === 'http_req_response_time' && isPartOfTotals(tags));
    const { scenario = '', name = '' } = series[0]?.tags ?? {};
    return { id, scenario, name, response: mergedTotal(storesOf(counted), columns) };
  });
}

function storesOf(series: readonly ColumnSeries[]): ColumnSeries['store'][] {
  return series.map(({ store }) => store);
}

function groupBy<T>(list: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of list) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return groups;
}
