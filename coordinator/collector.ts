import { reasonOf, type Log } from '../shared/base/index.ts';
import { countedFromUs, countedUs, endUs, type Plan } from '../shared/plan/index.ts';
import type { BundleWriter } from '../shared/report/index.ts';
import {
  HealthWatch,
  ThresholdWatch,
  type SavedHealth,
  type SavedThresholdWatch,
  type Threshold,
  type Verdict,
} from '../shared/sla/index.ts';
import { Histogram, Rollup, selectValue, type Batch, type MergedInterval, type SavedRollup } from '../shared/stats/index.ts';

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
  /** Agents whose intervals are waited for before an interval is closed. */
  private expected: ReadonlySet<string> = new Set();
  private closedBefore = 0;
  verdicts: readonly Verdict[] = [];
  /** Batches that could not be added, in words; each one's samples will be missing. */
  readonly refused: string[] = [];

  /** `saved`: what another collector of the same plan and thresholds came to. Law: from there on it is as if it had taken everything itself. */
  constructor(plan: Plan, thresholds: readonly Threshold[], bundle: BundleWriter, log: Log, saved?: SavedCollector) {
    this.intervalUs = plan.intervalMs * 1000;
    this.thresholds = new ThresholdWatch(thresholds, this.intervalUs, Math.max(...plan.scenarios.map(endUs)), {
      fromUs: (tags) => countedFromUs(plan, tags),
      us: (tags, untilUs) => countedUs(plan, tags, untilUs),
    });
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
    this.closeComplete();
  }

  add(batch: Batch): void {
    try {
      if (this.rollup.add(batch).kind === 'duplicate') return;
    } catch (thrown) {
      // A batch that contradicts itself or its sender: counted as missing rather than merged half.
      this.refuse(reasonOf(thrown));
      return;
    }
    const { key, intervalIndex, intervalCount, ledgers, health, samplesRecorded, isFinal } = batch;
    this.health.add(key.agent, health);
    void this.bundle.appendAgentLine({ ...key, intervalIndex, intervalCount, samplesRecorded, ledgers, health, isFinal });
    this.closeComplete();
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

  /** Agents whose last batch is in, and all before it: a batch that had to be sent again may come after the last. */
  get complete(): ReadonlySet<string> {
    const withGaps = new Set(this.rollup.gaps().map(({ agent, incarnation }) => `${agent}/${incarnation}`));
    const complete = this.rollup
      .agents()
      .filter(({ agent, incarnation, last }) => last.isFinal && !withGaps.has(`${agent}/${incarnation}`));
    return new Set(complete.map(({ agent }) => agent));
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

  private completeBefore(): number {
    let before = Infinity;
    const ends = new Map(this.rollup.agents().map(({ agent, last }) => [agent, last.isFinal ? Infinity : last.intervalEnd]));
    for (const agent of this.expected) before = Math.min(before, ends.get(agent) ?? 0);
    return before;
  }

  private closeComplete(): void {
    // While nobody is waited for, somebody may come back.
    if (this.expected.size === 0) return;
    const before = this.completeBefore();
    if (before <= this.closedBefore) return;
    this.closedBefore = before;
    this.close(before);
  }

  private close(before: number): void {
    for (const interval of this.rollup.close(before)) {
      void this.bundle.appendInterval(interval, interval.index * this.intervalUs, this.intervalUs);
      this.verdicts = this.thresholds.add(interval, this.rollup.series(), (interval.index + 1) * this.intervalUs);
      this.latest.push(interval);
      if (this.latest.length > LIVE_INTERVALS) this.latest.shift();
    }
  }
}
