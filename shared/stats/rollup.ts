import { addEncoded, countEncoded, takeEncoded } from './hdr-codec.ts';
import { Histogram } from './histogram.ts';
import type { Batch, Health, ScenarioLedger, TrendSlice } from './interval.ts';
import { restoreValue, saveValue, type SavedValue } from './saved-value.ts';
import { addLater, addValue, emptyValue, seriesKey, type Series, type SeriesValue, type Tags } from './series.ts';

/** One interval with the batches of all agents added together. */
export interface MergedInterval {
  readonly index: number;
  readonly series: readonly Series[];
}

export type AddResult =
  /** `defined`: the run's series behind a number of this batch. */
  | { readonly kind: 'added'; readonly samples: number; readonly defined: (series: number) => Series }
  /** The key was added before; nothing changed. */
  | { readonly kind: 'duplicate'; readonly samples: number };

/** Intervals kept open for late agents; past it the oldest is closed and latecomers make a second line for it. */
const OPEN_INTERVALS_MAX = 300;

/** Spare histograms of one series: as many as intervals are usually open at once. */
const SPARE_MAX = 2;

/** Batches that may be missing below a new one: over a day of one-second intervals. A larger gap is no loss but a broken sender. */
const SEQUENCE_GAP_MAX = 100_000;

/** Adds batches of many agents into intervals, and intervals, when they are closed, into run totals: every payload is added once, and
 *  once a second there is one more addition a series, whatever the number of agents.
 *  Laws: adding the same key twice changes nothing; order between agents does not matter; the total of a series is the sum over
 *  its closed intervals, and an interval that over its agents. */
export class Rollup {
  private readonly totals = new Map<string, Series>();
  private readonly incarnations = new Map<string, Incarnation>();
  private readonly open = new Map<number, OpenInterval>();
  /** Empty histograms of intervals that nobody looks at any more, by the total of their series: a new one is some 30 KB of zeros. */
  private readonly spare = new Map<Series, Histogram[]>();
  merged = 0;
  duplicates = 0;

  /** Adds one batch. Throws `RangeError` on a batch that no agent of ours sends, and then nothing has changed. */
  add(batch: Batch): AddResult {
    checkNumbers(batch);
    const incarnation = this.incarnationOf(batch);
    const samples = batch.trends.reduce((sum, trend) => sum + trend.count, 0);
    if (incarnation.has(batch.key.sequence)) {
      this.duplicates += samples;
      return { kind: 'duplicate', samples };
    }
    this.checkSeries(batch, incarnation);
    const index = batch.intervalIndex + batch.intervalCount - 1;
    const present = this.histogramsOf(batch, incarnation, this.open.get(index));
    if (present !== undefined) addBuckets(batch.trends, present);
    else for (const slice of batch.trends) mustHold(slice, countEncoded(slice.histogram));

    // From here on nothing throws: a batch is in as a whole or not at all.
    incarnation.take(batch.key.sequence);
    for (const { number, metric, kind, tags } of batch.defines) incarnation.series.set(number, this.total(metric, kind, tags));
    const interval = this.interval(index);
    for (const slice of batch.trends) {
      const value = this.valueIn(interval, incarnation.definition(slice.series));
      if (value.kind !== 'trend') continue;
      if (present === undefined) addEncoded(slice.histogram, value.histogram);
      value.histogram.addTotals(slice);
    }
    for (const { series, count } of batch.counters) {
      addValue(this.valueIn(interval, incarnation.definition(series)), { kind: 'counter', count });
    }
    for (const { series, passes, fails } of batch.rates) {
      addValue(this.valueIn(interval, incarnation.definition(series)), { kind: 'rate', passes, fails });
    }
    for (const { series, ...gauge } of batch.gauges) {
      addValue(this.valueIn(interval, incarnation.definition(series)), { kind: 'gauge', ...gauge });
    }
    incarnation.see({
      intervalEnd: batch.intervalIndex + batch.intervalCount,
      ledgers: batch.ledgers,
      samplesRecorded: batch.samplesRecorded,
      health: batch.health,
      epochs: batch.epochs,
      isFinal: batch.isFinal,
    });
    this.merged += samples;
    return { kind: 'added', samples, defined: (series) => incarnation.definition(series) };
  }

  /** Totals of all intervals that were closed. */
  series(): Series[] {
    return [...this.totals.values()];
  }

  /** What the last batch of every incarnation said. */
  agents(): { readonly agent: string; readonly incarnation: string; readonly last: AgentState }[] {
    return [...this.incarnations.values()].flatMap(({ agent, id, last }) => (last === undefined ? [] : [{ agent, incarnation: id, last }]));
  }

  /** Batches below the highest sequence seen that never came. */
  gaps(): { readonly agent: string; readonly incarnation: string; readonly batches: number }[] {
    return [...this.incarnations.values()].flatMap(({ agent, id, missing }) =>
      missing.size === 0 ? [] : [{ agent, incarnation: id, batches: missing.size }],
    );
  }

  /** The last batch of an incarnation is in, and every batch before it. */
  isWhole(agent: string, id: string): boolean {
    const incarnation = this.incarnations.get(incarnationKey(agent, id));
    return incarnation?.last?.isFinal === true && incarnation.missing.size === 0;
  }

  /** Closes and returns, in order, the intervals before `before` (and the oldest ones past the bound). */
  close(before: number): MergedInterval[] {
    const indices = [...this.open.keys()].sort((a, b) => a - b);
    const forced = indices.length - OPEN_INTERVALS_MAX;
    const closing = indices.filter((index, position) => index < before || position < forced);
    const closed = closing.map((index) => {
      const interval: OpenInterval = this.open.get(index) ?? new Map<Series, Series>();
      this.open.delete(index);
      for (const [total, { value }] of interval) addLater(total.value, value);
      return { index, series: [...interval.values()] };
    });
    return closed;
  }

  /** Takes back an interval that was closed: nobody looks at it any more. */
  recycle({ series }: MergedInterval): void {
    for (const { metric, tags, value } of series) {
      const total = value.kind === 'trend' ? this.totals.get(seriesKey(metric, tags)) : undefined;
      if (total === undefined || value.kind !== 'trend') continue;
      value.histogram.reset();
      const spare = this.spare.get(total);
      if (spare === undefined) this.spare.set(total, [value.histogram]);
      else if (spare.length < SPARE_MAX) spare.push(value.histogram);
    }
  }

  /** Everything there is to know, as JSON can hold it. Law: whatever is added after `restore(save())` leads where it would have led. */
  save(): SavedRollup {
    const places = new Map([...this.totals.values()].map((series, place) => [series, place]));
    const placeOf = (series: Series): number => places.get(series) ?? -1;
    return {
      totals: [...this.totals.values()].map(({ metric, tags, value }) => ({ metric, tags, value: saveValue(value) })),
      incarnations: [...this.incarnations.values()].map((incarnation) => incarnation.save(placeOf)),
      open: [...this.open].map(([index, interval]) => ({
        index,
        series: [...interval].map(([total, { value }]) => [placeOf(total), saveValue(value)] as const),
      })),
      merged: this.merged,
      duplicates: this.duplicates,
    };
  }

  static restore({ totals, incarnations, open, merged, duplicates }: SavedRollup): Rollup {
    const rollup = new Rollup();
    const series = totals.map(({ metric, tags, value }) => ({ metric, tags, value: restoreValue(value) }));
    for (const one of series) rollup.totals.set(seriesKey(one.metric, one.tags), one);
    const at = (place: number): Series => {
      const one = series[place];
      if (one === undefined) throw new RangeError(`a saved rollup of ${series.length} series refers to number ${place}`);
      return one;
    };
    for (const saved of incarnations) {
      rollup.incarnations.set(incarnationKey(saved.agent, saved.id), Incarnation.restore(saved, at));
    }
    for (const { index, series: values } of open) {
      const interval = rollup.interval(index);
      for (const [place, value] of values) {
        const total = at(place);
        interval.set(total, { metric: total.metric, tags: total.tags, value: restoreValue(value) });
      }
    }
    rollup.merged = merged;
    rollup.duplicates = duplicates;
    return rollup;
  }

  /** What the trends of a batch are added to, where all of that is there already; otherwise `undefined`. */
  private histogramsOf({ defines, trends }: Batch, incarnation: Incarnation, interval: OpenInterval | undefined): Histogram[] | undefined {
    if (interval === undefined || defines.length > 0) return undefined;
    const histograms: Histogram[] = [];
    for (const { series } of trends) {
      const value = interval.get(incarnation.definition(series))?.value;
      if (value?.kind !== 'trend') return undefined;
      histograms.push(value.histogram);
    }
    return histograms;
  }

  /** Every slice names a series that is defined, here or before, and is of its kind. */
  private checkSeries(batch: Batch, incarnation: Incarnation): void {
    const defined = batch.defines.length === 0 ? undefined : this.checkDefinitions(batch, incarnation);
    const check = (number: number, kind: SeriesValue['kind']): void => {
      const known = defined?.get(number) ?? incarnation.definition(number).value.kind;
      if (known !== kind) throw new RangeError(`agent ${incarnation.agent} sent a ${kind} for series ${number}, which is a ${known}`);
    };
    for (const { series } of batch.trends) check(series, 'trend');
    for (const { series } of batch.counters) check(series, 'counter');
    for (const { series } of batch.rates) check(series, 'rate');
    for (const { series } of batch.gauges) check(series, 'gauge');
  }

  /** The kinds of the numbers that a batch defines. */
  private checkDefinitions(batch: Batch, incarnation: Incarnation): ReadonlyMap<number, SeriesValue['kind']> {
    const defined = new Map<number, SeriesValue['kind']>();
    const kinds = new Map<string, SeriesValue['kind']>();
    for (const { number, metric, kind, tags } of batch.defines) {
      const key = seriesKey(metric, tags);
      const known = this.totals.get(key)?.value.kind ?? kinds.get(key) ?? kind;
      if (known !== kind)
        throw new RangeError(`agent ${incarnation.agent} defines ${metric} as a ${kind}, which is a ${known} in this run`);
      kinds.set(key, kind);
      defined.set(number, kind);
    }
    return defined;
  }

  private incarnationOf(batch: Batch): Incarnation {
    const key = incarnationKey(batch.key.agent, batch.key.incarnation);
    let incarnation = this.incarnations.get(key);
    if (incarnation === undefined) {
      incarnation = new Incarnation(batch.key.agent, batch.key.incarnation);
      this.incarnations.set(key, incarnation);
    }
    return incarnation;
  }

  private total(metric: string, kind: SeriesValue['kind'], tags: Tags): Series {
    const key = seriesKey(metric, tags);
    let series = this.totals.get(key);
    if (series === undefined) {
      series = { metric, tags, value: emptyValue(kind) };
      this.totals.set(key, series);
    }
    return series;
  }

  private valueIn(interval: OpenInterval, total: Series): SeriesValue {
    let series = interval.get(total);
    if (series === undefined) {
      const { metric, tags, value } = total;
      // An interval reaches about as far as those before it did.
      const empty: SeriesValue =
        value.kind === 'trend'
          ? { kind: 'trend', histogram: this.spare.get(total)?.pop() ?? new Histogram(value.histogram.counts.length) }
          : emptyValue(value.kind);
      series = { metric, tags, value: empty };
      interval.set(total, series);
    }
    return series.value;
  }

  private interval(index: number): OpenInterval {
    let interval = this.open.get(index);
    if (interval === undefined) {
      interval = new Map();
      this.open.set(index, interval);
    }
    return interval;
  }
}

export interface AgentState {
  /** Intervals `[0, intervalEnd)` of this agent are in. */
  readonly intervalEnd: number;
  readonly ledgers: readonly ScenarioLedger[];
  readonly samplesRecorded: number;
  readonly health: Health;
  readonly epochs: number;
  readonly isFinal: boolean;
}

/** A rollup at rest. Series are referred to by their place in `totals`. */
export interface SavedRollup {
  readonly totals: readonly { readonly metric: string; readonly tags: Tags; readonly value: SavedValue }[];
  readonly incarnations: readonly SavedIncarnation[];
  readonly open: readonly { readonly index: number; readonly series: readonly (readonly [number, SavedValue])[] }[];
  readonly merged: number;
  readonly duplicates: number;
}

interface SavedIncarnation {
  readonly agent: string;
  readonly id: string;
  /** Number and place, one after the other. */
  readonly series: readonly number[];
  readonly missing: readonly number[];
  readonly next: number;
  readonly last: AgentState | undefined;
}

function incarnationKey(agent: string, incarnation: string): string {
  return `${agent}\u0000${incarnation}`;
}

/** What is known of one agent process: its series numbers and which sequences are in. */
class Incarnation {
  readonly agent: string;
  readonly id: string;
  readonly series = new Map<number, Series>();
  /** Sequences below `next` that have not come. */
  readonly missing = new Set<number>();
  last: AgentState | undefined;
  private next = 0;

  constructor(agent: string, id: string) {
    this.agent = agent;
    this.id = id;
  }

  save(placeOf: (series: Series) => number): SavedIncarnation {
    const { agent, id, series, missing, next, last } = this;
    return { agent, id, series: [...series].flatMap(([number, one]) => [number, placeOf(one)]), missing: [...missing], next, last };
  }

  static restore({ agent, id, series, missing, next, last }: SavedIncarnation, at: (place: number) => Series): Incarnation {
    const incarnation = new Incarnation(agent, id);
    for (let i = 0; i < series.length; i += 2) incarnation.series.set(series[i] ?? -1, at(series[i + 1] ?? -1));
    for (const sequence of missing) incarnation.missing.add(sequence);
    incarnation.next = next;
    incarnation.last = last;
    return incarnation;
  }

  has(sequence: number): boolean {
    if (sequence - this.next > SEQUENCE_GAP_MAX)
      throw new RangeError(`agent ${this.agent} skipped to batch ${sequence} after ${this.next - 1}`);
    return sequence < this.next && !this.missing.has(sequence);
  }

  take(sequence: number): void {
    if (sequence < this.next) {
      this.missing.delete(sequence);
      return;
    }
    for (let skipped = this.next; skipped < sequence; skipped++) this.missing.add(skipped);
    this.next = sequence + 1;
  }

  /** Ledgers are cumulative, so only the latest interval's counts, in whatever order batches come. */
  see(state: AgentState): void {
    if (this.last === undefined || state.intervalEnd > this.last.intervalEnd || state.isFinal) this.last = state;
  }

  definition(number: number): Series {
    const series = this.series.get(number);
    if (series === undefined) throw new RangeError(`agent ${this.agent} sent series ${number}, which it never defined`);
    return series;
  }
}

/** By the run's own total of the series: no key has to be built for a sample's way into its interval. */
type OpenInterval = Map<Series, Series>;

/** Adds the buckets of all slices, each to its histogram; throws `RangeError` and has added nothing where one is not to be added. Thus every
 *  payload is walked once: to look at all of them first would take nearly as long as adding them. */
function addBuckets(trends: readonly TrendSlice[], into: readonly Histogram[]): void {
  let added = 0;
  try {
    for (const [place, slice] of trends.entries()) {
      const histogram = into[place];
      if (histogram === undefined) throw new RangeError('a slice without a histogram');
      const inBuckets = addEncoded(slice.histogram, histogram);
      added++;
      mustHold(slice, inBuckets);
    }
  } catch (thrown) {
    for (let place = 0; place < added; place++) {
      const [slice, histogram] = [trends[place], into[place]];
      if (slice !== undefined && histogram !== undefined) takeEncoded(slice.histogram, histogram);
    }
    throw thrown;
  }
}

function mustHold({ count, overflow }: TrendSlice, inBuckets: number): void {
  if (inBuckets + overflow !== count) throw new RangeError(`a histogram of ${inBuckets} samples says it holds ${count - overflow}`);
}

function checkNumbers(batch: Batch): void {
  const { key, intervalIndex, intervalCount } = batch;
  for (const number of [key.sequence, intervalIndex, intervalCount - 1]) {
    if (!Number.isSafeInteger(number) || number < 0)
      throw new RangeError(`agent ${key.agent} sent a batch with the impossible number ${number}`);
  }
}
