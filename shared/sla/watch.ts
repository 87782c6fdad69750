import {
  addEncoded,
  addLater,
  addValue,
  emptyValue,
  encodeHistogram,
  matches,
  restoreValue,
  saveValue,
  selectValue,
} from '../stats/index.ts';
import type { HistogramTotals, MergedInterval, SavedValue, Series, SeriesValue } from '../stats/index.ts';
import { countingOf, type Counting } from './counting.ts';
import { isWorse, judge, type Verdict } from './evaluate.ts';
import type { Threshold } from './threshold.ts';

/** Judges thresholds while a run goes on. Without a window, a threshold is judged over the run so far. With one, every full
 *  window is judged, sliding by one interval; one failed window fails the threshold and the worst window is what was observed.
 *  Law: a window is never judged before it is full, and never on nothing.
 *  Memory is bounded by the windows: one encoded histogram per threshold and interval of its window. */
export class ThresholdWatch {
  private readonly plain: readonly Threshold[];
  private readonly order: readonly Threshold[];
  private readonly windows: readonly Window[];
  private readonly counting: Counting;
  private aborting: Threshold | undefined;

  /** `loadEndUs`: counters are not judged over windows that reach past it, because after the last planned arrival fewer
   *  requests are the plan and no failure. `counting`: what belongs to a warm-up is in no total, so windows begin after it and counters are
   *  divided by the time since. */
  constructor(thresholds: readonly Threshold[], intervalUs: number, loadEndUs = Infinity, counting: Counting = WHOLE_RUN) {
    this.order = thresholds;
    this.counting = counting;
    this.plain = thresholds.filter(({ windowUs }) => windowUs === undefined);
    this.windows = thresholds.flatMap((threshold) =>
      threshold.windowUs === undefined
        ? []
        : [new Window(threshold, threshold.windowUs, intervalUs, loadEndUs, counting.fromUs(threshold.tags))],
    );
  }

  /** Takes the next closed interval with the totals of the run so far, and returns the verdict on every threshold as of now.
   *  Intervals come in order; one that was skipped counts as empty, a second line of an old one is added to its window. */
  add(interval: MergedInterval, totals: Iterable<Series>, elapsedUs: number): readonly Verdict[] {
    const all = [...totals];
    const verdicts = new Map<Threshold, Verdict>();
    for (const threshold of this.plain) {
      const countedUs = this.counting.us(threshold.tags, elapsedUs);
      // Counters stand at 0 while nothing counts yet, which says nothing.
      if (countedUs <= 0) continue;
      const verdict = judge(threshold, selectValue(all, threshold.metric, threshold.tags), countedUs, 'run');
      verdicts.set(threshold, verdict);
      if (verdict.kind === 'fail') this.mayAbort(threshold, elapsedUs);
    }
    this.slide(interval, all, elapsedUs);
    for (const { threshold, worst } of this.windows) verdicts.set(threshold, worst ?? { kind: 'no-data', threshold });
    return this.inOrder(verdicts);
  }

  /** Takes the next closed interval as `add` does, into the windows alone: what is judged over the whole run needs no verdict in between
   *  when the run is over. */
  slide(interval: MergedInterval, totals: readonly Series[], elapsedUs: number): void {
    for (const window of this.windows) {
      const newest = window.add(interval, isKnownCounter(totals, window.threshold));
      // Only the newest window: one that failed while the delay lasted must not end the run the moment the delay is over.
      if (newest?.kind === 'fail') this.mayAbort(window.threshold, elapsedUs);
    }
  }

  /** The first threshold with `abortOnFail` that failed after its delay. Once set it stays. */
  get abort(): Threshold | undefined {
    return this.aborting;
  }

  /** The verdicts of the whole run, to be asked when all intervals were added. */
  final(totals: Iterable<Series>, durationUs: number): Verdict[] {
    const all = [...totals];
    const verdicts = new Map<Threshold, Verdict>();
    for (const threshold of this.plain) {
      const countedUs = this.counting.us(threshold.tags, durationUs);
      verdicts.set(threshold, judge(threshold, selectValue(all, threshold.metric, threshold.tags), countedUs, 'run'));
    }
    for (const window of this.windows) {
      const { threshold } = window;
      const countedUs = this.counting.us(threshold.tags, durationUs);
      const whole = judge(threshold, selectValue(all, threshold.metric, threshold.tags), countedUs, 'run-shorter-than-window');
      verdicts.set(threshold, window.wasFull ? (window.worst ?? { kind: 'no-data', threshold }) : whole);
    }
    return this.inOrder(verdicts);
  }

  /** As JSON can hold it. Law: whatever is added after `restore(save())` is judged as it would have been. */
  save(): SavedThresholdWatch {
    const aborting = this.aborting === undefined ? -1 : this.order.indexOf(this.aborting);
    return { aborting, windows: this.windows.map((window) => window.save()) };
  }

  /** Takes up what a watch over the same thresholds saved. */
  restore({ aborting, windows }: SavedThresholdWatch): void {
    this.aborting = this.order[aborting];
    for (const [position, saved] of windows.entries()) this.windows[position]?.restore(saved);
  }

  private mayAbort(threshold: Threshold, elapsedUs: number): void {
    if (threshold.abortOnFail && elapsedUs >= threshold.delayAbortEvalUs) this.aborting ??= threshold;
  }

  private inOrder(verdicts: ReadonlyMap<Threshold, Verdict>): Verdict[] {
    return this.order.map((threshold) => verdicts.get(threshold) ?? { kind: 'no-data', threshold });
  }
}

const WHOLE_RUN = countingOf([]);

/** True when the threshold is about a counter that the run has told, be it at 0. */
function isKnownCounter(totals: readonly Series[], threshold: Threshold): boolean {
  return totals.some(({ metric, tags, value }) => metric === threshold.metric && value.kind === 'counter' && matches(tags, threshold.tags));
}

/** The last intervals of one threshold, and the worst window so far. */
class Window {
  readonly threshold: Threshold;
  worst: (Verdict & { readonly kind: 'pass' | 'fail' }) | undefined;
  wasFull = false;
  private readonly intervals: number;
  private readonly intervalUs: number;
  private readonly loadEndUs: number;
  private readonly countedFromUs: number;
  /** By interval index; intervals without samples are not in it. Holds only the last `intervals` indices. */
  private readonly slots = new Map<number, Slot>();
  private newest = -1;

  constructor(threshold: Threshold, windowUs: number, intervalUs: number, loadEndUs: number, countedFromUs: number) {
    this.threshold = threshold;
    this.intervals = Math.max(1, Math.ceil(windowUs / intervalUs));
    this.intervalUs = intervalUs;
    this.loadEndUs = loadEndUs;
    this.countedFromUs = countedFromUs;
  }

  /** Returns the verdict on the newest window, `undefined` while it is not full. */
  add(interval: MergedInterval, isCounter: boolean): Verdict | undefined {
    const { metric, tags } = this.threshold;
    const value = selectValue(interval.series, metric, tags);
    // Of a long silence only the windows that still hold something, and one empty one, can differ.
    const skippedTo = Math.min(interval.index - 1, this.newest + this.intervals);
    for (let index = this.newest + 1; index <= skippedTo; index++) this.slide(index, isCounter);
    if (value !== undefined && interval.index > this.newest - this.intervals) this.keep(interval.index, value);
    return this.slide(Math.max(interval.index, this.newest), isCounter);
  }

  save(): SavedWindow {
    const { worst, wasFull, newest, slots } = this;
    return {
      worst: worst === undefined ? undefined : { kind: worst.kind, observed: worst.observed, judged: worst.judged },
      wasFull,
      newest,
      slots: [...slots].map(([index, slot]) => [index, saveValue(fromSlot(slot))] as const),
    };
  }

  restore({ worst, wasFull, newest, slots }: SavedWindow): void {
    this.worst = worst === undefined ? undefined : { ...worst, threshold: this.threshold };
    this.wasFull = wasFull;
    this.newest = newest;
    for (const [index, saved] of slots) this.slots.set(index, toSlot(restoreValue(saved)));
  }

  private keep(index: number, value: SeriesValue): void {
    const known = this.slots.get(index);
    if (known === undefined) {
      this.slots.set(index, toSlot(value));
      return;
    }
    const both = emptyValue(value.kind);
    addSlot(both, known);
    addValue(both, value);
    this.slots.set(index, toSlot(both));
  }

  private slide(newest: number, isCounter: boolean): Verdict | undefined {
    this.newest = newest;
    for (const index of this.slots.keys()) if (index <= newest - this.intervals) this.slots.delete(index);
    if ((newest + 1 - this.intervals) * this.intervalUs < this.countedFromUs) return undefined;
    this.wasFull = true;
    if (isCounter && (newest + 1) * this.intervalUs > this.loadEndUs) return undefined;
    const verdict = judge(this.threshold, this.sum(isCounter), this.intervals * this.intervalUs, 'worst-window');
    if (verdict.kind === 'no-data') return verdict;
    if (this.worst === undefined || isWorse(this.threshold, verdict.observed, this.worst.observed)) {
      this.worst = { ...verdict, kind: verdict.kind };
    }
    return verdict;
  }

  /** A counter that the run knows stands at 0 in a window without it; other metrics have no value there. */
  private sum(isCounter: boolean): SeriesValue | undefined {
    if (this.slots.size === 0) return isCounter ? emptyValue('counter') : undefined;
    let sum: SeriesValue | undefined;
    for (const [, slot] of [...this.slots].sort(([a], [b]) => a - b)) {
      sum ??= emptyValue(slot.kind);
      if (slot.kind === 'trend') addSlot(sum, slot);
      else addLater(sum, slot);
    }
    return sum;
  }
}

/** The watch at rest. Windows come in the order of the thresholds that have one. */
export interface SavedThresholdWatch {
  /** Which threshold ended the run, by its place; -1 for none. */
  readonly aborting: number;
  readonly windows: readonly SavedWindow[];
}

interface SavedWindow {
  readonly worst: Omit<Extract<Verdict, { readonly kind: 'pass' | 'fail' }>, 'threshold'> | undefined;
  readonly wasFull: boolean;
  readonly newest: number;
  readonly slots: readonly (readonly [number, SavedValue])[];
}

/** A value at rest. A trend is kept encoded: 48 KiB and more as buckets, a few hundred bytes as the bytes of its batch. */
type Slot =
  | { readonly kind: 'trend'; readonly encoded: Uint8Array; readonly totals: HistogramTotals }
  | Exclude<SeriesValue, { readonly kind: 'trend' }>;

function toSlot(value: SeriesValue): Slot {
  if (value.kind !== 'trend') return { ...value };
  const { count, sumUs, minUs, maxUs, overflow } = value.histogram;
  return { kind: 'trend', encoded: encodeHistogram(value.histogram), totals: { count, sumUs, minUs, maxUs, overflow } };
}

function fromSlot(slot: Slot): SeriesValue {
  if (slot.kind !== 'trend') return { ...slot };
  const value = emptyValue(slot.kind);
  addSlot(value, slot);
  return value;
}

function addSlot(into: SeriesValue, slot: Slot): void {
  if (slot.kind !== 'trend') addValue(into, slot);
  else if (into.kind === 'trend') {
    addEncoded(slot.encoded, into.histogram);
    into.histogram.addTotals(slot.totals);
  }
}
