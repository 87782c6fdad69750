import type { SpanError, Tags } from '../../shared/stats/index.ts';
import type { Recorder } from '../recorder.ts';

type LiveTrend = ReturnType<Recorder['trend']>;

/** Durations of one group or transaction, by how it ended: what failed is never mixed with what did not. */
export class SpanRecorder {
  private readonly recorder: Recorder;
  private readonly metric: 'group_duration' | 'transaction_duration';
  private readonly tags: Tags;
  private readonly outcomes = new Map<SpanError | undefined, LiveTrend>();

  constructor(recorder: Recorder, metric: 'group_duration' | 'transaction_duration', tags: Tags) {
    this.recorder = recorder;
    this.metric = metric;
    this.tags = tags;
  }

  record(durationUs: number, error: SpanError | undefined): void {
    let trend = this.outcomes.get(error);
    if (trend === undefined) {
      const isOther = !this.recorder.reserveTagSet();
      const name = isOther && this.metric === 'transaction_duration' ? { name: '(other)' } : {};
      trend = this.recorder.trend(this.metric, { ...this.tags, ...name, ...(error === undefined ? {} : { error }) });
      this.outcomes.set(error, trend);
    }
    this.recorder.samples++;
    trend.histogram.record(durationUs);
  }
}
