import { AppError } from '../base/index.ts';
import { addValue, emptyValue, Histogram, seriesKey, type MetricKind, type Series, type SeriesValue, type Tags } from '../stats/index.ts';
import type { BundleFiles } from './bundle.ts';
import { bucketsUpTo, type HlogLine, type SeriesFilter } from './hlog.ts';
import type { AgentLine, ClosedLine, Defined } from './interval-lines.ts';

/** One interval of all agents together. */
export interface Interval {
  /** Counted from the start of the run. */
  readonly index: number;
  /** The first interval whose samples are in here: `index`, or less when an outbox had to add intervals of its agent together. */
  readonly fromIndex: number;
  /** From the start of the run. */
  readonly startUs: number;
  readonly lengthUs: number;
  /** What was measured in it, by series; series without samples are absent. The caller may keep or change the values. */
  readonly series: readonly Series[];
}

/** The intervals of a bundle in the order in which they were closed: trends, counters, rates and gauges, exact in every number.
 *  Indices ascend, but for an interval that a late batch opened once more: it comes a second time, with what was late alone. Intervals
 *  in which nothing was measured may be absent. Holds one interval at a time, and what agents sent ahead of it.
 *  Trends that are not wanted are passed over, which saves nearly all that they cost.
 *  Throws `BUNDLE_INVALID` with the line number, and when the two growing files do not belong together. */
export async function* readIntervals(bundle: BundleFiles, isWanted?: SeriesFilter): AsyncGenerator<Interval> {
  for await (const part of replayBundle(bundle, isWanted)) if ('index' in part) yield part;
}

/** A line of an agent, and what its numbers of series mean. */
export interface ReplayedLine {
  readonly line: AgentLine;
  readonly defined: Defined;
}

/** A bundle as it was written: lines of agents as they came in, and every interval where it ended. Throws as `readIntervals` does. */
export async function* replayBundle(bundle: BundleFiles, isWanted?: SeriesFilter): AsyncGenerator<ReplayedLine | Interval> {
  const lengthUs = bundle.manifest.intervalMs * 1_000;
  const log = bundle.intervals(isWanted);
  const opened = new OpenedIntervals();
  let closed = 0;
  for await (const line of bundle.resultLines()) {
    if ('series' in line) opened.define(line.series);
    else if ('agent' in line) {
      opened.add(line);
      yield { line, defined: opened.defined };
    } else {
      closed++;
      const startUs = line.closed * lengthUs;
      const expected = opened.trends(line).filter(({ metric, tags }) => isWanted?.(metric, tags) ?? true);
      const trends = await takeTrends(log, expected, startUs, bundle.dir);
      if (trends === 'log ended') {
        if (bundle.isComplete) throw torn(bundle.dir, `ends before the interval at ${startUs / 1_000_000} s`);
        return;
      }
      const { fromIndex, series } = opened.take(line.closed);
      yield { index: line.closed, fromIndex, startUs, lengthUs, series: [...trends, ...series] };
    }
  }
  if (!bundle.isComplete) return;
  // Bundles of older versions have lines of agents only: then the log alone is there to read.
  if (closed === 0) yield* groupHlog(log);
  else if ((await log.next()).done !== true) throw torn(bundle.dir, 'goes on after the last interval that intervals.ndjson ends');
}

/** Lines of an HdrHistogram log as intervals: neighbours with the same start. Trends only, as nothing else is in such a log; their sums
 *  and minima are those of the buckets. Intervals are numbered by their start and the length of the first one. */
export async function* groupHlog(lines: AsyncIterable<HlogLine>): AsyncGenerator<Interval> {
  let group: HlogLine[] = [];
  let unitUs = 0;
  for await (const line of lines) {
    if (unitUs === 0) unitUs = line.lengthUs;
    if (group.length > 0 && group[0]?.startUs !== line.startUs) {
      yield* asInterval(group, unitUs);
      group = [];
    }
    group.push(line);
  }
  yield* asInterval(group, unitUs);
}

function* asInterval(group: readonly HlogLine[], unitUs: number): Generator<Interval> {
  const [first] = group;
  if (first === undefined) return;
  const series = new Map<string, Series>();
  for (const { metric, tags, histogram } of group) addTo(series, { metric, tags, value: { kind: 'trend', histogram } });
  const index = unitUs > 0 ? Math.round(first.startUs / unitUs) : 0;
  yield { index, fromIndex: index, startUs: first.startUs, lengthUs: first.lengthUs, series: [...series.values()] };
}

/** Numbers beside a trend's buckets, as a closed line has them. */
interface TrendTotals {
  readonly metric: string;
  readonly tags: Tags;
  readonly count: number;
  readonly sumUs: number;
  readonly minUs: number;
  readonly maxUs: number;
  readonly overflow: number;
}

/** The next lines of the log, which must be these trends in this order, with the exact numbers put in place of those of the buckets. */
async function takeTrends(
  log: AsyncGenerator<HlogLine>,
  expected: readonly TrendTotals[],
  startUs: number,
  dir: string,
): Promise<readonly Series[] | 'log ended'> {
  const series: Series[] = [];
  for (const { metric, tags, count, ...totals } of expected) {
    const next = await log.next();
    if (next.done === true) return 'log ended';
    if (next.value.startUs !== startUs || seriesKey(next.value.metric, next.value.tags) !== seriesKey(metric, tags)) {
      const found = `${next.value.metric} at ${next.value.startUs / 1_000_000} s`;
      throw torn(dir, `has ${found} where ${metric} at ${startUs / 1_000_000} s is expected`);
    }
    const histogram = new Histogram(bucketsUpTo(totals.maxUs));
    const samples = next.value.addTo(histogram);
    if (samples !== count - totals.overflow) {
      throw torn(dir, `has ${samples} samples of ${metric} at ${startUs / 1_000_000} s, expected ${count - totals.overflow}`);
    }
    histogram.addTotals({ count, ...totals });
    series.push({ metric, tags, value: { kind: 'trend', histogram } });
  }
  return series;
}

function torn(dir: string, what: string): AppError {
  return new AppError('BUNDLE_INVALID', `${dir}: intervals.hlog and intervals.ndjson do not belong together: the log ${what}`);
}

interface Definition {
  readonly metric: string;
  readonly kind: MetricKind;
  readonly tags: Tags;
  /** The same for the same series, under whatever number it stands. */
  readonly key: string;
}

/** What agents sent into intervals that are not closed yet, added as the coordinator added it. */
class OpenedIntervals {
  private readonly definitions = new Map<number, Definition>();
  private readonly open = new Map<number, { fromIndex: number; readonly series: Map<string, Series> }>();

  readonly defined: Defined = (number) => {
    const definition = this.definitions.get(number);
    if (definition === undefined) throw undeclared(number);
    return definition;
  };

  define(series: readonly (readonly [number, string, MetricKind, Tags])[]): void {
    for (const [number, metric, kind, tags] of series) {
      this.definitions.set(number, { metric, kind, tags, key: seriesKey(metric, tags) });
    }
  }

  /** A batch over several intervals counts in the last of them, as its trends do. */
  add(line: AgentLine): void {
    const index = line.intervalIndex + line.intervalCount - 1;
    let interval = this.open.get(index);
    if (interval === undefined) {
      interval = { fromIndex: index, series: new Map() };
      this.open.set(index, interval);
    }
    interval.fromIndex = Math.min(interval.fromIndex, line.intervalIndex);
    for (const [number, count] of line.counters ?? []) this.addValue(interval.series, number, { kind: 'counter', count });
    for (const [number, passes, fails] of line.rates ?? []) this.addValue(interval.series, number, { kind: 'rate', passes, fails });
    for (const [number, value, min, max, atUs] of line.gauges ?? [])
      this.addValue(interval.series, number, { kind: 'gauge', value, min, max, atUs });
  }

  take(index: number): { readonly fromIndex: number; readonly series: readonly Series[] } {
    const interval = this.open.get(index);
    this.open.delete(index);
    return { fromIndex: interval?.fromIndex ?? index, series: [...(interval?.series.values() ?? [])] };
  }

  trends({ trends = [] }: ClosedLine): TrendTotals[] {
    return trends.map(([number, count, sumUs, minUs, maxUs, overflow]) => {
      const { metric, tags } = this.definition(number, 'trend');
      return { metric, tags, count, sumUs, minUs, maxUs, overflow };
    });
  }

  private addValue(into: Map<string, Series>, number: number, value: SeriesValue): void {
    const { metric, tags, key } = this.definition(number, value.kind);
    let series = into.get(key);
    if (series === undefined) {
      series = { metric, tags, value: emptyValue(value.kind) };
      into.set(key, series);
    }
    addValue(series.value, value);
  }

  private definition(number: number, kind: MetricKind): Definition {
    const definition = this.definitions.get(number);
    if (definition?.kind !== kind) throw undeclared(number, kind);
    return definition;
  }
}

function undeclared(number: number, kind = 'series'): AppError {
  return new AppError('BUNDLE_INVALID', `intervals.ndjson: series ${number} is used as a ${kind} and was not declared as one`);
}

function addTo(all: Map<string, Series>, one: Series): void {
  const key = seriesKey(one.metric, one.tags);
  const known = all.get(key);
  if (known === undefined) all.set(key, one);
  else addValue(known.value, one.value);
}
