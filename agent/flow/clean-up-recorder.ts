import { CLEAN_UP_TAGS, type SpanError } from '../../shared/stats/index.ts';
import type { FlowSamples, LiveCounter, LiveRate, Recorder, ScenarioTags, SpanMetric } from '../recorder.ts';
import { spanOf, type SpanRecorder } from '../span-recorder.ts';

/** Counts what the clean-up of a scenario sends, receives, checks and measures, apart from its load. */
export class CleanUpRecorder implements FlowSamples {
  private readonly recorder: Recorder;
  private readonly tags: ScenarioTags;
  private readonly sent: LiveCounter;
  private readonly received: LiveCounter;
  private readonly checks = new Map<string, LiveRate>();
  private readonly spans = new Map<string, SpanRecorder>();

  constructor(recorder: Recorder, scenario: string) {
    this.recorder = recorder;
    this.tags = { scenario, ...CLEAN_UP_TAGS };
    this.sent = recorder.counter('data_sent', this.tags);
    this.received = recorder.counter('data_received', this.tags);
  }

  bytes(sent: number, received: number): void {
    this.sent.count += sent;
    this.received.count += received;
  }

  check(name: string, holds: boolean): void {
    let rate = this.checks.get(name);
    if (rate === undefined) {
      const own = this.recorder.reserveTagSet() ? name : OTHER;
      rate = this.checks.get(own) ?? this.recorder.rate('checks', { ...this.tags, check: own });
      this.checks.set(own, rate);
    }
    if (holds) rate.passes++;
    else rate.fails++;
  }

  span(metric: SpanMetric, name: string, fromUs: number, untilUs: number, error: SpanError | undefined): void {
    spanOf(this.spans, this.recorder, metric, name, this.tags).record(fromUs, untilUs, error);
  }
}

const OTHER = '(other)';
