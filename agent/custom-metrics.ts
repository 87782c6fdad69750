import type { PlannedMetric } from '../shared/plan/index.ts';
import type { MetricKind, Tags } from '../shared/stats/index.ts';
import type { LiveCounter, LiveGauge, LiveRate, LiveTrend, Recorder } from './recorder.ts';

interface Live {
  trend: LiveTrend;
  counter: LiveCounter;
  rate: LiveRate;
  gauge: LiveGauge;
}

/** The scenario's own metrics as one scenario records them. `nowUs` is on the agent's clock. Whoever calls has checked names, types and values. */
export class CustomMetrics {
  readonly definitions: Readonly<Record<string, PlannedMetric>>;
  private readonly recorder: Recorder;
  private readonly scenario: string;
  /** By metric and tags. */
  private readonly series = new Map<string, Live[MetricKind]>();
  /** Series that stand for others that did not fit. */
  private readonly capped = new Set<Live[MetricKind]>();

  constructor(recorder: Recorder, scenario: string, definitions: Readonly<Record<string, PlannedMetric>>) {
    this.recorder = recorder;
    this.scenario = scenario;
    this.definitions = definitions;
  }

  count(metric: string, count: number, tags: Tags, nowUs: number): void {
    this.live('counter', metric, tags, nowUs).count += count;
  }

  rate(metric: string, holds: boolean, tags: Tags, nowUs: number): void {
    const rate = this.live('rate', metric, tags, nowUs);
    if (holds) rate.passes++;
    else rate.fails++;
  }

  /** `value` is kept in thousandths. */
  trend(metric: string, value: number, tags: Tags, nowUs: number): void {
    this.live('trend', metric, tags, nowUs).histogram.record(value * 1000);
    this.recorder.samples++;
  }

  gauge(metric: string, value: number, tags: Tags, nowUs: number): void {
    const gauge = this.live('gauge', metric, tags, nowUs);
    if (!gauge.isFresh || gauge.atUs === undefined) gauge.min = gauge.max = value;
    gauge.min = Math.min(gauge.min, value);
    gauge.max = Math.max(gauge.max, value);
    gauge.value = value;
    gauge.atUs = nowUs - this.recorder.zeroUs;
    gauge.isFresh = true;
  }

  private live<Kind extends MetricKind>(kind: Kind, metric: string, given: Tags, nowUs: number): Live[Kind] {
    const phase = this.recorder.phaseOf(this.scenario, nowUs);
    const tags = phase === undefined ? given : { ...given, ...phase };
    const key = keyOf(metric, tags);
    const known = this.series.get(key) ?? this.open(kind, key, metric, tags);
    if (this.capped.has(known)) this.recorder.cappedSamples++;
    // Every name has one kind, which the caller has checked.
    return known as Live[Kind];
  }

  private open(kind: MetricKind, key: string, metric: string, tags: Tags): Live[MetricKind] {
    const fits = this.recorder.reserveTagSet();
    const own = fits ? key : keyOf(metric, OTHER);
    const known = this.series.get(own);
    const live = known ?? this.recorder[kind](metric, { ...(fits ? tags : OTHER), scenario: this.scenario });
    this.series.set(own, live);
    if (!fits) this.capped.add(live);
    return live;
  }
}

/** Where samples go whose own tags did not fit under the cap. */
const OTHER: Tags = { name: '(other)' };

function keyOf(metric: string, tags: Tags): string {
  let key = metric;
  for (const name of Object.keys(tags).sort()) key += `\u0000${name}\u0001${tags[name] ?? ''}`;
  return key;
}
