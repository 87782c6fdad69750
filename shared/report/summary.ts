import {
  addValue,
  CLEAN_UP_TAGS,
  emptyValue,
  isPartOfTotals,
  selectValue,
  type CustomMetrics,
  type Ledger,
  type Series,
  type SeriesValue,
  type Tags,
} from '../stats/index.ts';
import type { AgentHealth, Grade, Validity, Verdict } from '../sla/index.ts';
import { summariseWarmUps, type WarmUp, type WarmUpSummary } from './warm-up.ts';

/** `summary.json`: one run in numbers. Times are milliseconds with three decimals, that is whole microseconds. */
export interface Summary {
  readonly schemaVersion: 1;
  readonly run: SummaryRun;
  readonly ledger: Ledger;
  readonly validity: { readonly grade: Grade; readonly reasons: readonly SummaryReason[] };
  /** What began while scenarios warmed up: in no metric and no threshold, but in the ledger and, by the tag `phase`, in `series`.
   *  Absent when no scenario has a warm-up. */
  readonly warmUps?: readonly WarmUpSummary[];
  /** By metric, over all its series that belong to no phase. */
  readonly metrics: Readonly<Record<string, MetricSummary>>;
  /** By selector, as thresholds write it (`http_req_duration{expected_response:true}`): the part of a metric whose tags match. */
  readonly submetrics: Readonly<Record<string, MetricSummary>>;
  readonly series: readonly SeriesSummary[];
  readonly thresholds: readonly ThresholdSummary[];
  /** How every agent was doing, worst values of the run. */
  readonly agents: readonly AgentSummary[];
}

export interface SummaryRun {
  readonly id: string;
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly agents: { readonly planned: number; readonly reported: number; readonly lost: number };
  readonly seed?: number;
  readonly target?: string;
  /** How far apart the agents noticed the run's zero. */
  readonly startSpreadMs?: number;
  /** Present when the run ended before its plan did: who or what stopped it, in words. */
  readonly stopped?: string;
}

export interface SummaryReason {
  readonly code: string;
  readonly detail: string;
  readonly grade?: 'degraded' | 'invalid';
  readonly agent?: string;
}

export type MetricSummary = TrendSummary | CounterSummary | RateSummary | GaugeSummary;

export interface TrendSummary {
  readonly type: 'trend';
  /** `ms`, or what the scenario says of a trend of its own. */
  readonly unit: string;
  readonly count: number;
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly stdDev: number;
  readonly percentiles: Readonly<Record<PercentileName, number>>;
  /** Samples above one hour: in count, mean and max, above every percentile. Absent when there are none. */
  readonly overflow?: number;
}

/** Percentiles of every trend, by the names they have in `summary.json`. */
export const PERCENTILES = ['50', '90', '95', '99', '99.9', '99.99'] as const;
export type PercentileName = (typeof PERCENTILES)[number];

export interface CounterSummary {
  readonly type: 'counter';
  readonly count: number;
  /** Per second of the time in which such samples count: of the run, without the warm-up when every scenario concerned has one. */
  readonly rate: number;
}

export interface RateSummary {
  readonly type: 'rate';
  /** `passes / (passes + fails)`; 0 when there are none. */
  readonly rate: number;
  readonly passes: number;
  readonly fails: number;
}

export interface GaugeSummary {
  readonly type: 'gauge';
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Of a gauge of the scenario's own, where it gave one. */
  readonly unit?: string;
}

export type SeriesSummary = MetricSummary & { readonly metric: string; readonly tags: Tags };

export interface ThresholdSummary {
  readonly metric: string;
  readonly tags: Tags;
  readonly expression: string;
  readonly verdict: Verdict['kind'];
  /** `null` when there was no data. */
  readonly observed: number | null;
  /** Present when windows were judged, or should have been and the run was too short. */
  readonly judged?: 'worst-window' | 'run-shorter-than-window';
  readonly windowSeconds?: number;
}

export interface AgentSummary {
  readonly agent: string;
  readonly isLost: boolean;
  readonly pacerLagP99WorstMs: number;
  readonly pacerLagMaxMs: number;
  readonly loopDelayMaxMs: number;
  readonly cpuMean: number;
  readonly cpuWorst: number;
  readonly rssMaxBytes: number;
}

export interface SummaryInput {
  readonly run: Omit<SummaryRun, 'durationSeconds'>;
  /** Measured length of the run. */
  readonly durationUs: number;
  /** How much of it samples with these tags count in: what their counters are divided by. All of it by default. */
  readonly countedUs?: (tags: Tags) => number;
  /** Scenarios that warm up. */
  readonly warmUps?: readonly WarmUp[];
  readonly ledger: Ledger;
  readonly validity: Validity;
  readonly totals: Iterable<Series>;
  /** Metrics of the scenario's own. */
  readonly metrics?: CustomMetrics | undefined;
  readonly verdicts: readonly Verdict[];
  readonly health: readonly AgentHealth[];
  readonly agentsLost: readonly string[];
}

/** Sums up a run. Everything a report says is computable from the result alone. */
export function summarise(input: SummaryInput): Summary {
  const { run, durationUs, ledger, validity, verdicts, metrics } = input;
  const totals = [...input.totals].sort(bySeries);
  const warmUps = summariseWarmUps(input.warmUps ?? [], totals);
  const countedUs = input.countedUs ?? ((): number => durationUs);
  return {
    schemaVersion: 1,
    run: { ...run, durationSeconds: rounded(durationUs / 1_000_000, 6) },
    ledger,
    validity: { grade: validity.grade, reasons: validity.reasons },
    ...(warmUps.length === 0 ? {} : { warmUps }),
    metrics: summariseMetrics(totals, countedUs({}), metrics),
    submetrics: summariseSubmetrics(totals, countedUs, verdicts, metrics),
    series: totals.map(({ metric, tags, value }) => ({ metric, tags, ...summariseValue(value, countedUs(tags), metrics?.[metric]?.unit) })),
    thresholds: verdicts.map(summariseVerdict),
    agents: summariseAgents(input.health, input.agentsLost),
  };
}

/** One value as `summary.json` shows it. Percentiles come from the buckets, the rest is exact. `unit`: of a metric of the scenario's own. */
export function summariseValue(value: SeriesValue, durationUs: number, unit?: string): MetricSummary {
  switch (value.kind) {
    case 'trend': {
      const { histogram } = value;
      const percentiles = Object.fromEntries(PERCENTILES.map((name) => [name, toMs(histogram.percentileUs(Number(name)))]));
      return {
        type: 'trend',
        unit: unit ?? 'ms',
        count: histogram.count,
        min: histogram.count === 0 ? 0 : toMs(histogram.minUs),
        mean: toMs(histogram.meanUs),
        max: toMs(histogram.maxUs),
        stdDev: toMs(histogram.stdDevUs),
        percentiles: percentiles as Record<PercentileName, number>,
        ...(histogram.overflow === 0 ? {} : { overflow: histogram.overflow }),
      };
    }
    case 'counter':
      return { type: 'counter', count: value.count, rate: durationUs > 0 ? rounded((value.count * 1_000_000) / durationUs, 6) : 0 };
    case 'rate': {
      const total = value.passes + value.fails;
      return { type: 'rate', rate: total === 0 ? 0 : value.passes / total, passes: value.passes, fails: value.fails };
    }
    case 'gauge':
      return {
        type: 'gauge',
        value: value.value,
        min: Number.isFinite(value.min) ? value.min : 0,
        max: value.max,
        ...(unit === undefined || unit === '' ? {} : { unit }),
      };
  }
}

/** `http_req_failed{scenario:browse}`: how thresholds and reports write a metric and the tags its series must carry. */
export function selectorText(metric: string, tags: Tags): string {
  const pairs = Object.entries(tags).map(([name, value]) => `${quoted(name, ENDS_NAME)}:${quoted(value, ENDS_VALUE)}`);
  return pairs.length === 0 ? metric : `${metric}{${pairs.join(',')}}`;
}

/** `p(99)<250 in every 10 s`: two thresholds may differ in their window alone. */
export function conditionText({ expression, windowSeconds }: Pick<ThresholdSummary, 'expression' | 'windowSeconds'>): string {
  return windowSeconds === undefined ? expression : `${expression} in every ${windowSeconds} s`;
}

/** What would end the name or the value of a tag stands in quotes. */
function quoted(text: string, ends: RegExp): string {
  if (!ends.test(text)) return text;
  return text.includes('"') ? `'${text}'` : `"${text}"`;
}

const ENDS_NAME = /[:,{}]|^["'\s]|\s$/;
const ENDS_VALUE = /[,{}]|^["'\s]|\s$/;

/** By metric, over all its series that belong to no phase. */
export function summariseMetrics(
  totals: readonly Series[],
  durationUs: number,
  custom: CustomMetrics | undefined,
): Record<string, MetricSummary> {
  const sums = new Map<string, SeriesValue>();
  for (const { metric, tags, value } of totals) {
    if (!isPartOfTotals(tags)) continue;
    let sum = sums.get(metric);
    if (sum === undefined) {
      sum = emptyValue(value.kind);
      sums.set(metric, sum);
    }
    addValue(sum, value);
  }
  return Object.fromEntries([...sums].map(([metric, value]) => [metric, summariseValue(value, durationUs, custom?.[metric]?.unit)]));
}

/** k6 shows the times of successful requests beside those of all; thresholds on tags show what they judged. */
const SUCCESSES: readonly { readonly metric: string; readonly tags: Tags }[] = [
  { metric: 'http_req_response_time', tags: { expected_response: 'true' } },
  { metric: 'http_req_duration', tags: { expected_response: 'true' } },
];

/** Clean-up stands beside the totals that leave it out. */
const CLEAN_UPS: readonly { readonly metric: string; readonly tags: Tags }[] = [
  { metric: 'http_reqs', tags: CLEAN_UP_TAGS },
  { metric: 'http_req_failed', tags: CLEAN_UP_TAGS },
];

function summariseSubmetrics(
  totals: readonly Series[],
  countedUs: (tags: Tags) => number,
  verdicts: readonly Verdict[],
  custom: CustomMetrics | undefined,
): Record<string, MetricSummary> {
  const selectors = [
    ...SUCCESSES,
    ...CLEAN_UPS,
    ...verdicts.map(({ threshold }) => threshold).filter(({ tags }) => Object.keys(tags).length > 0),
  ];
  const found = new Map<string, MetricSummary>();
  for (const { metric, tags } of selectors) {
    const text = selectorText(metric, tags);
    if (found.has(text)) continue;
    const value = selectValue(totals, metric, tags);
    if (value !== undefined) found.set(text, summariseValue(value, countedUs(tags), custom?.[metric]?.unit));
  }
  return Object.fromEntries(found);
}

export function summariseVerdict(verdict: Verdict): ThresholdSummary {
  const { metric, tags, expression, windowUs } = verdict.threshold;
  return {
    metric,
    tags,
    expression,
    verdict: verdict.kind,
    observed: verdict.kind === 'no-data' ? null : rounded(verdict.observed, 6),
    ...(verdict.kind === 'no-data' || verdict.judged === 'run' ? {} : { judged: verdict.judged }),
    ...(windowUs === undefined ? {} : { windowSeconds: windowUs / 1_000_000 }),
  };
}

function summariseAgents(health: readonly AgentHealth[], agentsLost: readonly string[]): AgentSummary[] {
  const lost = new Set(agentsLost);
  return health
    .map((one) => ({
      agent: one.agent,
      isLost: lost.has(one.agent),
      pacerLagP99WorstMs: toMs(one.pacerLagP99WorstUs),
      pacerLagMaxMs: toMs(one.pacerLagMaxUs),
      loopDelayMaxMs: toMs(one.loopDelayMaxUs),
      cpuMean: rounded(one.cpuMean, 3),
      cpuWorst: rounded(one.cpuWorst, 3),
      rssMaxBytes: one.rssMaxBytes,
    }))
    .sort((a, b) => (a.agent < b.agent ? -1 : 1));
}

function bySeries(a: Series, b: Series): number {
  if (a.metric !== b.metric) return a.metric < b.metric ? -1 : 1;
  return selectorText('', a.tags) < selectorText('', b.tags) ? -1 : 1;
}

function toMs(us: number | undefined): number {
  return rounded((us ?? 0) / 1_000, 3);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
