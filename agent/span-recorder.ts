import { SERIES_MAX } from '../shared/base/index.ts';
import type { SpanError } from '../shared/stats/index.ts';
import type { LiveTrend, Recorder, ScenarioTags, SpanMetric } from './recorder.ts';

/** Durations of one group or transaction, by phase and by how it ended: what failed is never mixed with what did not. */
export class SpanRecorder {
  private readonly recorder: Recorder;
  private readonly metric: SpanMetric;
  private readonly tags: ScenarioTags;
  private readonly outcomes = new Map<SpanError | undefined, LiveTrend>();
  /** The same for what began while its scenario warmed up. */
  private readonly warm = new Map<SpanError | undefined, LiveTrend>();

  constructor(recorder: Recorder, metric: SpanMetric, tags: ScenarioTags) {
    this.recorder = recorder;
    this.metric = metric;
    this.tags = tags;
  }

  /** Both on the agent's clock. */
  record(fromUs: number, untilUs: number, error: SpanError | undefined): void {
    const phase = this.recorder.phaseOf(this.tags.scenario, fromUs);
    const outcomes = phase === undefined ? this.outcomes : this.warm;
    let trend = outcomes.get(error);
    if (trend === undefined) {
      const isOther = !this.recorder.reserveTagSet();
      const name = isOther && this.metric === 'transaction_duration' ? { name: '(other)' } : {};
      // Clean-up stays clean-up, also of a scenario that warms up.
      trend = this.recorder.trend(this.metric, { ...phase, ...this.tags, ...name, ...(error === undefined ? {} : { error }) });
      outcomes.set(error, trend);
    }
    this.recorder.samples++;
    trend.histogram.record(untilUs - fromUs);
  }
}

/** The recorder of a name that a function chose; past the bound new names share one. */
export function spanOf(
  spans: Map<string, SpanRecorder>,
  recorder: Recorder,
  metric: SpanMetric,
  name: string,
  tags: ScenarioTags,
): SpanRecorder {
  const known = spans.get(`${metric} ${name}`);
  if (known !== undefined) return known;
  const own = spans.size < SERIES_MAX ? name : '(other)';
  const key = `${metric} ${own}`;
  const span = spans.get(key) ?? new SpanRecorder(recorder, metric, { ...tags, [metric === 'group_duration' ? 'group' : 'name']: own });
  spans.set(key, span);
  return span;
}
