import { reasonOf, type Log } from '../shared/base/index.ts';
import { loadEndUs, type Plan } from '../shared/plan/index.ts';
import { responseOf, type BundleWriter } from '../shared/report/index.ts';
import {
  countingOf,
  HealthWatch,
  ThresholdWatch,
  type SavedHealth,
  type SavedThresholdWatch,
  type Threshold,
  type Verdict,
} from '../shared/sla/index.ts';
import {
  addEncoded,
  Histogram,
  isPartOfTotals,
  Rollup,
  selectValue,
  type AddResult,
  type Batch,
  type MergedInterval,
  type SavedRollup,
  type Series,
} from '../shared/stats/index.ts';

/** Intervals over which the live percentiles are taken. */
const LIVE_INTERVALS = 3;

/** A collector at rest, as JSON can hold it. What it shows of the last intervals is not in it: the next ones bring that back. */
export interface SavedCollector {
  readonly rollup: SavedRollup;
  readonly thresholds: SavedThresholdWatch;
  readonly health: readonly SavedHealth[];
  /** `null` for all intervals there can be. */
  readonly closedBefore: number | null;
  readonly refused: readonly string[];
}

/** Takes every batch of a run: adds it to the totals, closes intervals that all agents have delivered, writes them to the bundle and
 *  judges the thresholds. Everything here is synchronous, so a batch is acknowledged only when it is in. */
export class Collector {
  readonly health = new HealthWatch();
  private readonly rollup: Rollup;
  private readonly thresholds: ThresholdWatch;
  private readonly bundle: BundleWriter;
  private readonly intervalUs: number;
  private readonly log: Log;
  private readonly latest: MergedInterval[] = [];
  /** Filled and emptied for every batch, so that nothing is allocated. */
  private readonly response = new Histogram();
  /** Agents whose intervals are waited for before an interval is closed. */
  private expected: ReadonlySet<string> = new Set();
  private closedBefore = 0;
  /** Intervals `[0, end)` of an agent are in; `Infinity` once its last batch is. */
  private readonly ends = new Map<string, number>();
  /** How many of `expected` have not delivered interval `closedBefore` yet. */
  private awaited = 0;
  verdicts: readonly Verdict[] = [];
  /** Batches that could not be added, in words; each one's samples will be missing. */
  readonly refused: string[] = [];

  /** `saved`: what another collector of the same plan and thresholds came to. Law: from there on it is as if it had taken everything itself. */
  constructor(plan: Plan, thresholds: readonly Threshold[], bundle: BundleWriter, log: Log, saved?: SavedCollector) {
    this.intervalUs = plan.intervalMs * 1000;
    this.thresholds = new ThresholdWatch(thresholds, this.intervalUs, loadEndUs(plan), countingOf(plan.scenarios));
    this.bundle = bundle;
    this.log = log;
    this.rollup = saved === undefined ? new Rollup() : Rollup.restore(saved.rollup);
    if (saved === undefined) return;
    this.thresholds.restore(saved.thresholds);
    this.health.restore(saved.health);
    this.closedBefore = saved.closedBefore ?? Infinity;
    this.refused.push(...saved.refused);
  }

  save(): SavedCollector {
    const { rollup, thresholds, health, closedBefore, refused } = this;
    return {
      rollup: rollup.save(),
      thresholds: thresholds.save(),
      health: health.save(),
      closedBefore: Number.isFinite(closedBefore) ? closedBefore : null,
      refused: [...refused],
    };
  }

  expect(agents: ReadonlySet<string>): void {
    this.expected = agents;
    for (const { agent, last } of this.rollup.agents()) this.ends.set(agent, last.isFinal ? Infinity : last.intervalEnd);
    this.closeComplete();
  }

  add(batch: Batch): void {
    const added = this.addOrRefuse(batch);
    if (added?.kind !== 'added') return;
    this.health.add(batch.key.agent, batch.health);
    this.addResponse(batch, added.defined);
    void this.bundle.appendBatch({ ...batch, response: responseOf(this.response) }, added.defined);
    const { key, intervalIndex, intervalCount, isFinal } = batch;
    this.delivered(key.agent, isFinal ? Infinity : intervalIndex + intervalCount);
  }

  refuse(reason: string): void {
    this.log.error({ reason }, 'a batch was refused');
    if (this.refused.length < 100) this.refused.push(reason);
  }

  /** Closes what is still open, or was opened again by a batch that came after its agent's last: no further batch will come. */
  finish(): void {
    this.close(Infinity);
  }

  final(durationUs: number): Verdict[] {
    return this.thresholds.final(this.rollup.series(), durationUs);
  }

  get abort(): Threshold | undefined {
    return this.thresholds.abort;
  }

  get totals(): ReturnType<Rollup['series']> {
    return this.rollup.series();
  }

  get samples(): { readonly merged: number; readonly duplicate: number } {
    return { merged: this.rollup.merged, duplicate: this.rollup.duplicates };
  }

  get agents(): ReturnType<Rollup['agents']> {
    return this.rollup.agents();
  }

  /** Whether the last batch of an agent process is in, and all before it: a batch that had to be sent again may come after the last. */
  isComplete({ id, incarnation }: { readonly id: string; readonly incarnation: string }): boolean {
    return this.ends.get(id) === Infinity && this.rollup.isWhole(id, incarnation);
  }

  /** Response times of the last closed intervals. */
  get liveResponse(): Histogram {
    const sum = new Histogram();
    for (const { series } of this.latest) {
      const value = selectValue(series, 'http_req_response_time');
      if (value?.kind === 'trend') sum.add(value.histogram);
    }
    return sum;
  }

  private addOrRefuse(batch: Batch): AddResult | undefined {
    try {
      return this.rollup.add(batch);
    } catch (thrown) {
      // A batch that contradicts itself or its sender: counted as missing rather than merged half.
      this.refuse(reasonOf(thrown));
      return undefined;
    }
  }

  /** Response times of this batch alone: what tells agents apart in a report. */
  private addResponse({ trends }: Batch, defined: (series: number) => Series): void {
    this.response.reset();
    for (const slice of trends) {
      const { metric, tags } = defined(slice.series);
      if (metric !== 'http_req_response_time' || !isPartOfTotals(tags)) continue;
      addEncoded(slice.histogram, this.response);
      this.response.addTotals(slice);
    }
  }

  /** Looks at all agents only when the last one that an interval waited for has delivered it: once an interval, not once a batch. */
  private delivered(agent: string, end: number): void {
    const before = this.ends.get(agent) ?? 0;
    if (end <= before) return;
    this.ends.set(agent, end);
    if (before > this.closedBefore || end <= this.closedBefore || !this.expected.has(agent)) return;
    this.awaited--;
    if (this.awaited === 0) this.closeComplete();
  }

  private closeComplete(): void {
    // While nobody is waited for, somebody may come back.
    if (this.expected.size === 0) return;
    const ends = [...this.expected].map((agent) => this.ends.get(agent) ?? 0);
    const before = ends.reduce((least, end) => Math.min(least, end), Infinity);
    if (before > this.closedBefore) {
      this.closedBefore = before;
      this.close(before);
    }
    this.awaited = ends.filter((end) => end <= this.closedBefore).length;
  }

  private close(before: number): void {
    for (const interval of this.rollup.close(before)) {
      void this.bundle.appendInterval(interval, interval.index * this.intervalUs, this.intervalUs);
      this.verdicts = this.thresholds.add(interval, this.rollup.series(), (interval.index + 1) * this.intervalUs);
      this.latest.push(interval);
      const seen = this.latest.length > LIVE_INTERVALS ? this.latest.shift() : undefined;
      if (seen !== undefined) this.rollup.recycle(seen);
    }
  }
}
