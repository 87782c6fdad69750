import { SERIES_MAX } from '../shared/base/index.ts';
import {
  Histogram,
  sliceOf,
  type MetricKind,
  type Batch,
  type CounterSlice,
  type GaugeSlice,
  type RateSlice,
  type RequestError,
  type SeriesDefinition,
  type SpanError,
  type Tags,
  type TrendSlice,
} from '../shared/stats/index.ts';
import type { Exchange } from './protocol/index.ts';
import { spanOf, type SpanRecorder } from './span-recorder.ts';

/** What an interval measured, before the outbox gives it a sequence. */
export type Measured = Pick<Batch, 'defines' | 'trends' | 'counters' | 'rates' | 'gauges'>;

/** Records what one agent measures, by series, and hands it over interval by interval.
 *  The hot path is `request`: about 150 ns, no allocation once a series exists. */
export class Recorder {
  /** Trend samples recorded since the start of the run: counted one by one, beside the histograms, so that a merge can be checked against it. */
  samples = 0;
  /** Samples whose own series did not fit under the cap. */
  cappedSamples = 0;
  /** The run's zero on the agent's clock. */
  zeroUs = 0;
  private readonly series: LiveSeries[] = [];
  private undeclared: SeriesDefinition[] = [];
  private tagSets = 0;

  /** Everything one scenario records that is not a request. Call once per scenario. */
  scenario(scenario: string): ScenarioSamples {
    return new ScenarioRecorder(this, { scenario });
  }

  /** The place where requests of one step are recorded, under these `more` tags beside their own. */
  step(scenario: string, name: string, method: string, more: Tags = {}): StepRecorder {
    return new StepRecorder(this, scenario, name, method, more);
  }

  /** What tells samples of a scenario apart that are about something begun at `startUs` (agent clock). */
  readonly phaseOf: (scenario: string, startUs: number) => Tags | undefined = () => undefined;

  /** Ends the interval: returns what it measured and starts the next one empty. */
  seal(): Measured {
    const trends: TrendSlice[] = [];
    const counters: CounterSlice[] = [];
    const rates: RateSlice[] = [];
    const gauges: GaugeSlice[] = [];
    for (const one of this.series) {
      switch (one.kind) {
        case 'trend': {
          const { histogram } = one;
          histogram.recordZeros(one.zeros);
          one.zeros = 0;
          if (histogram.count === 0) break;
          trends.push(sliceOf(one.number, histogram));
          histogram.reset();
          break;
        }
        case 'counter':
          // A counter that stands at nothing is still told once, with its definition: "none" is an answer, "unknown" is not.
          if (one.count > 0 || !one.isTold) counters.push({ series: one.number, count: one.count });
          one.isTold = true;
          one.count = 0;
          break;
        case 'rate':
          if (one.passes + one.fails > 0) rates.push({ series: one.number, passes: one.passes, fails: one.fails });
          one.passes = 0;
          one.fails = 0;
          break;
        case 'gauge':
          if (!one.isFresh) break;
          gauges.push({ series: one.number, value: one.value, min: one.min, max: one.max, atUs: one.atUs });
          // What stands for itself at any time is told again; a value of one instant only when it was set anew.
          one.isFresh = one.atUs === undefined;
          one.min = one.value;
          one.max = one.value;
          break;
      }
    }
    const defines = this.undeclared;
    this.undeclared = [];
    return { defines, trends, counters, rates, gauges };
  }

  /** True when another set of tags still fits under the cap. */
  reserveTagSet(): boolean {
    if (this.tagSets >= SERIES_MAX) return false;
    this.tagSets++;
    return true;
  }

  trend(metric: string, tags: Tags): LiveTrend {
    return this.register({ kind: 'trend', number: this.series.length, histogram: new Histogram(), zeros: 0 }, metric, tags);
  }

  counter(metric: string, tags: Tags): LiveCounter {
    return this.register({ kind: 'counter', number: this.series.length, count: 0, isTold: false }, metric, tags);
  }

  rate(metric: string, tags: Tags): LiveRate {
    return this.register({ kind: 'rate', number: this.series.length, passes: 0, fails: 0 }, metric, tags);
  }

  gauge(metric: string, tags: Tags): LiveGauge {
    return this.register(
      { kind: 'gauge', number: this.series.length, value: 0, min: 0, max: 0, isFresh: true, atUs: undefined },
      metric,
      tags,
    );
  }

  private register<S extends LiveSeries>(series: S, metric: string, tags: Tags): S {
    this.series.push(series);
    this.undeclared.push({ number: series.number, metric, kind: series.kind satisfies MetricKind, tags });
    return series;
  }
}

type LiveSeries = LiveTrend | LiveCounter | LiveRate | LiveGauge;
export interface LiveTrend {
  readonly kind: 'trend';
  readonly number: number;
  readonly histogram: Histogram;
  /** Samples of 0 that are in the histogram only once it is sealed: on a connection that stands, half of a request's phases are. */
  zeros: number;
}
export interface LiveCounter {
  readonly kind: 'counter';
  readonly number: number;
  count: number;
  isTold: boolean;
}
export interface LiveRate {
  readonly kind: 'rate';
  readonly number: number;
  passes: number;
  fails: number;
}
export interface LiveGauge {
  readonly kind: 'gauge';
  readonly number: number;
  value: number;
  min: number;
  max: number;
  /** There is something to tell with the next seal. */
  isFresh: boolean;
  /** Run-relative instant of a value that counts by time; see `GaugeSlice`. */
  atUs: number | undefined;
}

/** What a scenario records beside its requests. `startUs` (agent clock) is when that began which a sample is about. */
export interface ScenarioSamples extends FlowSamples {
  iterationStarted(lagUs: number, activeVus: number, startUs: number): void;
  iterationEnded(durationUs: number, isCompleted: boolean, activeVus: number, startUs: number): void;
  iterationsDropped(count: number, startUs: number): void;
}

/** What one pass of a flow or of its clean-up records beside its requests. */
export interface FlowSamples {
  bytes(sent: number, received: number, startUs: number): void;
  check(name: string, holds: boolean, startUs: number): void;
  /** A part of the flow as a whole. `error` keeps those that failed apart. */
  span(metric: SpanMetric, name: string, fromUs: number, untilUs: number, error: SpanError | undefined): void;
}

export type ScenarioTags = Tags & { readonly scenario: string };
export type SpanMetric = 'transaction_duration' | 'group_duration';

/** Records them all in one place, whenever they began. */
export class ScenarioRecorder implements ScenarioSamples {
  /** VUs are busy now, whatever phase their iterations belong to. */
  readonly vus: LiveGauge;
  private readonly recorder: Recorder;
  private readonly tags: ScenarioTags;
  private readonly lag: LiveTrend;
  private readonly duration: LiveTrend;
  private readonly iterations: LiveCounter;
  private readonly dropped: LiveCounter;
  private readonly sent: LiveCounter;
  private readonly received: LiveCounter;
  private readonly checks = new Map<string, LiveRate>();
  private readonly spans = new Map<string, SpanRecorder>();

  constructor(recorder: Recorder, tags: ScenarioTags, vus: LiveGauge = recorder.gauge('vus', tags)) {
    this.recorder = recorder;
    this.tags = tags;
    this.lag = recorder.trend('schedule_lag', tags);
    this.duration = recorder.trend('iteration_duration', tags);
    this.iterations = recorder.counter('iterations', tags);
    this.dropped = recorder.counter('dropped_iterations', tags);
    this.vus = vus;
    this.sent = recorder.counter('data_sent', tags);
    this.received = recorder.counter('data_received', tags);
  }

  iterationStarted(lagUs: number, activeVus: number): void {
    this.recorder.samples++;
    this.lag.histogram.record(lagUs);
    this.activeVus(activeVus);
  }

  iterationEnded(durationUs: number, isCompleted: boolean, activeVus: number): void {
    if (isCompleted) {
      this.recorder.samples++;
      this.duration.histogram.record(durationUs);
      this.iterations.count++;
    }
    this.activeVus(activeVus);
  }

  iterationsDropped(count: number): void {
    this.dropped.count += count;
  }

  bytes(sent: number, received: number): void {
    this.sent.count += sent;
    this.received.count += received;
  }

  check(name: string, holds: boolean): void {
    let rate = this.checks.get(name);
    if (rate === undefined) {
      const own = this.checks.size < SERIES_MAX && this.recorder.reserveTagSet() ? name : OTHER;
      rate = this.checks.get(own) ?? this.recorder.rate('checks', { ...this.tags, check: own });
      this.checks.set(own, rate);
    }
    if (holds) rate.passes++;
    else rate.fails++;
  }

  span(metric: SpanMetric, name: string, fromUs: number, untilUs: number, error: SpanError | undefined): void {
    spanOf(this.spans, this.recorder, metric, name, this.tags).record(fromUs, untilUs, error);
  }

  private activeVus(count: number): void {
    this.vus.value = count;
    if (count > this.vus.max) this.vus.max = count;
    if (count < this.vus.min) this.vus.min = count;
  }
}

const OTHER = '(other)';

/** Requests of one step, by how they ended. */
export class StepRecorder {
  private readonly recorder: Recorder;
  private readonly scenario: string;
  private readonly name: string;
  private readonly method: string;
  private readonly more: Tags;
  private readonly outcomes: Outcome[] = [];
  private last: Outcome | undefined;

  constructor(recorder: Recorder, scenario: string, name: string, method: string, more: Tags = {}) {
    this.recorder = recorder;
    this.scenario = scenario;
    this.name = name;
    this.method = method;
    this.more = more;
  }

  /** Records one request, however it ended. `intendedUs`: when it was wanted, on the exchange's clock. */
  request(exchange: Exchange, intendedUs: number, error: RequestError | undefined): void {
    const { status } = exchange;
    let outcome = this.last;
    if (outcome?.status !== status || outcome.error !== error) {
      outcome = this.outcomes.find((known) => known.status === status && known.error === error) ?? this.open(status, error);
      this.last = outcome;
    }
    outcome.responseTime.record(exchange.endedUs - intendedUs);
    this.recorder.samples += 1 + recordPhases(outcome, exchange);
    outcome.requests.count++;
    if (error === undefined) outcome.failed.fails++;
    else outcome.failed.passes++;
    if (outcome.isOther) this.recorder.cappedSamples++;
  }

  private open(status: number, error: RequestError | undefined): Outcome {
    const isOther = !this.recorder.reserveTagSet();
    const tags: Tags = {
      scenario: this.scenario,
      name: isOther ? OTHER : this.name,
      method: this.method,
      status: String(status),
      ...this.more,
      ...(error === undefined ? {} : { error }),
    };
    const { recorder } = this;
    const outcome: Outcome = {
      status,
      error,
      isOther,
      responseTime: recorder.trend('http_req_response_time', tags).histogram,
      duration: recorder.trend('http_req_duration', tags).histogram,
      sending: recorder.trend('http_req_sending', tags),
      waiting: recorder.trend('http_req_waiting', tags).histogram,
      receiving: recorder.trend('http_req_receiving', tags).histogram,
      blocked: recorder.trend('http_req_blocked', tags),
      connecting: recorder.trend('http_req_connecting', tags),
      tls: recorder.trend('http_req_tls_handshaking', tags),
      requests: recorder.counter('http_reqs', tags),
      failed: recorder.rate('http_req_failed', tags),
    };
    this.outcomes.push(outcome);
    return outcome;
  }
}

/** Records the phases that the request came through, and returns how many: a phase that never happened, or never ended, has no duration.
 *  What never reached a connection was blocked until it failed; 0 for connecting and TLS of a sent request says that the connection stood. */
function recordPhases(outcome: Outcome, exchange: Exchange): number {
  const { startedUs, sentUs, firstByteUs, endedUs, connectingUs, tlsUs, sendingUs } = exchange;
  if (sentUs === 0) {
    outcome.blocked.histogram.record(endedUs - startedUs);
    if (connectingUs > 0) outcome.connecting.histogram.record(connectingUs);
    if (tlsUs > 0) outcome.tls.histogram.record(tlsUs);
    return 1 + Number(connectingUs > 0) + Number(tlsUs > 0);
  }
  recordOftenZero(outcome.blocked, sentUs - startedUs);
  recordOftenZero(outcome.connecting, connectingUs);
  recordOftenZero(outcome.tls, tlsUs);
  outcome.duration.record(endedUs - sentUs);
  recordOftenZero(outcome.sending, sendingUs);
  if (firstByteUs === 0) return 5;
  // An answer may overtake a long body; nobody waited then.
  outcome.waiting.record(Math.max(0, firstByteUs - sentUs - sendingUs));
  outcome.receiving.record(endedUs - firstByteUs);
  return 7;
}

function recordOftenZero(trend: LiveTrend, durationUs: number): void {
  if (durationUs === 0) trend.zeros++;
  else trend.histogram.record(durationUs);
}

interface Outcome {
  readonly status: number;
  readonly error: RequestError | undefined;
  readonly isOther: boolean;
  readonly responseTime: Histogram;
  readonly duration: Histogram;
  readonly sending: LiveTrend;
  readonly waiting: Histogram;
  readonly receiving: Histogram;
  readonly blocked: LiveTrend;
  readonly connecting: LiveTrend;
  readonly tls: LiveTrend;
  readonly requests: LiveCounter;
  readonly failed: LiveRate;
}
