import { type Histogram, seriesKey, type Batch, type GaugeSlice, type MergedInterval, type MetricKind, type Tags } from '../stats/index.ts';

/** A line that gives numbers to series; every later line names them so. A number given again means the new series from there on. */
export interface SeriesLine {
  readonly series: readonly (readonly [number: number, metric: string, kind: MetricKind, tags: Tags])[];
}

/** A line about one batch: one agent in one interval, or in several that its outbox added together. Lists are absent when empty. */
export interface AgentLine {
  readonly agent: string;
  readonly incarnation: string;
  readonly sequence: number;
  readonly intervalIndex: number;
  readonly intervalCount: number;
  readonly samplesRecorded: number;
  readonly ledgers: Batch['ledgers'];
  readonly health: Batch['health'];
  readonly isFinal: boolean;
  readonly counters?: readonly (readonly [series: number, count: number])[] | undefined;
  readonly rates?: readonly (readonly [series: number, passes: number, fails: number])[] | undefined;
  /** `atUs` only where the last value in time counts. */
  readonly gauges?: readonly (readonly [series: number, value: number, min: number, max: number, atUs?: number])[] | undefined;
  /** `http_req_response_time` of this agent over all its series that belong to no phase; absent without samples. */
  readonly response?: AgentResponse | undefined;
}

export interface AgentResponse {
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** A line that ends an interval: nothing more belongs to it, unless a late batch opens it once more. Its trends stand in
 *  `intervals.hlog`; here is what an HdrHistogram log does not keep exactly. */
export interface ClosedLine {
  readonly closed: number;
  readonly trends?: readonly (readonly [series: number, count: number, sumUs: number, minUs: number, maxUs: number, overflow: number])[];
}

/** A batch without its histograms, and what the coordinator knows of it. */
export type AgentPart = Omit<Batch, 'defines' | 'trends' | 'epochs'> & { readonly response?: AgentResponse | undefined };

/** What a series number of a batch means. */
export type Defined = (series: number) => { readonly metric: string; readonly tags: Tags };

/** Makes the lines of `intervals.ndjson`. Series are written once and numbered in the order in which they come up. */
export class IntervalLines {
  private readonly byKey = new Map<string, number>();
  /** Tags of totals live as long as the run, so no key has to be built for what came before. */
  private readonly byTags = new WeakMap<Tags, Map<string, number>>();
  private fresh: [number, string, MetricKind, Tags][] = [];

  agentLine(part: AgentPart, defined: Defined): string {
    const { key, intervalIndex, intervalCount, samplesRecorded, ledgers, health, isFinal, response } = part;
    const number = (kind: MetricKind, series: number): number => {
      const { metric, tags } = defined(series);
      return this.number(kind, metric, tags);
    };
    const counters = part.counters.map(({ series, count }) => [number('counter', series), count] as const);
    const rates = part.rates.map(({ series, passes, fails }) => [number('rate', series), passes, fails] as const);
    const gauges = part.gauges.map((slice) => gaugeOf(number('gauge', slice.series), slice));
    // What is undefined is not written.
    const line: AgentLine = {
      agent: key.agent,
      incarnation: key.incarnation,
      sequence: key.sequence,
      intervalIndex,
      intervalCount,
      samplesRecorded,
      ledgers,
      health,
      isFinal,
      counters: counters.length === 0 ? undefined : counters,
      rates: rates.length === 0 ? undefined : rates,
      gauges: gauges.length === 0 ? undefined : gauges,
      response,
    };
    return this.withSeries(line);
  }

  closedLine({ index, series }: MergedInterval): string {
    const trends = series.flatMap(({ metric, tags, value }) => {
      if (value.kind !== 'trend' || value.histogram.count === 0) return [];
      const { count, sumUs, minUs, maxUs, overflow } = value.histogram;
      return [[this.number('trend', metric, tags), count, sumUs, minUs, maxUs, overflow] as const];
    });
    const line: ClosedLine = { closed: index, ...(trends.length === 0 ? {} : { trends }) };
    return this.withSeries(line);
  }

  private number(kind: MetricKind, metric: string, tags: Tags): number {
    let ofTags = this.byTags.get(tags);
    if (ofTags === undefined) {
      ofTags = new Map();
      this.byTags.set(tags, ofTags);
    }
    let number = ofTags.get(metric);
    if (number === undefined) {
      const key = seriesKey(metric, tags);
      number = this.byKey.get(key);
      if (number === undefined) {
        number = this.byKey.size;
        this.byKey.set(key, number);
        this.fresh.push([number, metric, kind, tags]);
      }
      ofTags.set(metric, number);
    }
    return number;
  }

  private withSeries(line: AgentLine | ClosedLine): string {
    const text = `${JSON.stringify(line)}\n`;
    if (this.fresh.length === 0) return text;
    const declared: SeriesLine = { series: this.fresh };
    this.fresh = [];
    return `${JSON.stringify(declared)}\n${text}`;
  }
}

/** Count and percentiles of what one agent's trends hold together. */
export function responseOf(histogram: Histogram): AgentResponse | undefined {
  const { count, maxUs } = histogram;
  if (count === 0) return undefined;
  return { count, p50Us: histogram.percentileUs(50) ?? 0, p99Us: histogram.percentileUs(99) ?? 0, maxUs };
}

function gaugeOf(number: number, { value, min, max, atUs }: GaugeSlice): NonNullable<AgentLine['gauges']>[number] {
  return atUs === undefined ? [number, value, min, max] : [number, value, min, max, atUs];
}
