import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newExchange, type Exchange } from '../../agent/protocol/index.ts';
import { Recorder, type StepRecorder } from '../../agent/recorder.ts';
import { Histogram, Rollup, selectValue, type RequestError, type SeriesValue } from '../../shared/stats/index.ts';
import { decodeBatch, encodeBatch } from '../../shared/wire/index.ts';

const AGENTS = 7;
const HOUR_US = 3_600_000_000;

/** One request as an agent might see it, times in microseconds from its intended start. */
interface Sample {
  readonly agent: number;
  /** In which interval of the agent it ended. */
  readonly interval: number;
  readonly step: number;
  readonly status: number;
  readonly error: RequestError | undefined;
  readonly lagUs: number;
  readonly blockedUs: number;
  readonly waitingUs: number;
  readonly downloadUs: number;
}

/** Mostly what requests take, sometimes nothing, sometimes more than the histograms' hour. Fractions too: clocks have them. */
const us = fc.oneof(
  { arbitrary: fc.double({ min: 0, max: 2_000_000, noNaN: true }), weight: 8 },
  { arbitrary: fc.integer({ min: 0, max: 2_048 }), weight: 4 },
  { arbitrary: fc.constant(0), weight: 1 },
  { arbitrary: fc.double({ min: 0, max: 2 * HOUR_US, noNaN: true }), weight: 1 },
);
const samples: fc.Arbitrary<readonly Sample[]> = fc.array(
  fc
    .record({
      agent: fc.nat({ max: AGENTS - 1 }),
      interval: fc.nat({ max: 3 }),
      step: fc.nat({ max: 1 }),
      outcome: fc.constantFrom<readonly [number, RequestError | undefined]>([200, undefined], [500, 'status'], [0, 'timeout']),
      lagUs: us,
      blockedUs: us,
      waitingUs: us,
      downloadUs: us,
    })
    .map(({ outcome: [status, error], ...times }) => ({ ...times, status, error })),
  { maxLength: 400, size: 'max' },
);

/** The trends of a request, each with what it takes of it. The whole is summed in the order in which the instants below are made. */
const TRENDS = {
  http_req_response_time: ({ endedUs }: Exchange) => endedUs - INTENDED_US,
  http_req_duration: ({ endedUs, sentUs }: Exchange) => endedUs - sentUs,
  http_req_waiting: ({ firstByteUs, sentUs }: Exchange) => firstByteUs - sentUs,
  http_req_blocked: ({ sentUs, startedUs }: Exchange) => sentUs - startedUs,
} as const;
/** An instant as clocks give them. */
const INTENDED_US = 1_700_000_000_000_000;

describe('seven agents, merged', () => {
  test('are bucket for bucket one histogram that was fed with every sample', () => {
    fc.assert(
      fc.property(samples, (drawn) => {
        const rollup = merged(drawn);
        for (const [metric, take] of Object.entries(TRENDS)) {
          const whole = new Histogram();
          for (const sample of drawn) whole.record(take(exchangeOf(sample)));
          expect(contentOf(selectValue(rollup.series(), metric))).toEqual(contentOf({ kind: 'trend', histogram: whole }));
        }
        expect(rollup.merged).toBe(drawn.length * 8);
      }),
      { numRuns: 60 },
    );
  });

  test('are so for every series by itself: what one step and one outcome recorded stays with it', () => {
    fc.assert(
      fc.property(samples, (drawn) => {
        const series = merged(drawn).series();
        for (const step of [0, 1]) {
          for (const status of [200, 500, 0]) {
            const own = drawn.filter((sample) => sample.step === step && sample.status === status);
            const whole = new Histogram();
            for (const sample of own) whole.record(TRENDS.http_req_duration(exchangeOf(sample)));
            const tags = { name: `step ${step}`, status: String(status) };
            expect(contentOf(selectValue(series, 'http_req_duration', tags) ?? EMPTY)).toEqual(
              contentOf({ kind: 'trend', histogram: whole }),
            );
            expect(selectValue(series, 'http_reqs', tags) ?? { kind: 'counter', count: 0 }).toEqual({ kind: 'counter', count: own.length });
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  test('have the percentiles of the whole, which no average of theirs is', () => {
    // Six agents see 1 ms, one sees 1 s: p99 of all is 1 s, and the mean of seven p99s would be 143.7 ms.
    const quick = Array.from({ length: 600 }, (_, i) => sampleOf(i % 6, 1_000));
    const slow = Array.from({ length: 100 }, () => sampleOf(6, 1_000_000));
    const value = selectValue(merged([...quick, ...slow]).series(), 'http_req_duration');
    const histogram = value?.kind === 'trend' ? value.histogram : new Histogram();
    expect([histogram.percentileUs(50), histogram.percentileUs(99)]).toEqual([1_000, 1_000_000]);
  });
});

const EMPTY: SeriesValue = { kind: 'trend', histogram: new Histogram() };

/** The way of every sample: recorder, sealed interval, bytes, batch, rollup. Agents arrive one after the other, the last first. */
function merged(drawn: readonly Sample[]): Rollup {
  const rollup = new Rollup();
  for (let agent = AGENTS - 1; agent >= 0; agent--) {
    const recorder = new Recorder();
    const steps: readonly StepRecorder[] = [0, 1].map((step) => recorder.step('browse', `step ${step}`, 'GET'));
    for (let interval = 0; interval <= 3; interval++) {
      for (const sample of drawn) {
        if (sample.agent !== agent || sample.interval !== interval) continue;
        steps[sample.step]?.request(exchangeOf(sample), INTENDED_US, sample.error);
      }
      const batch = {
        key: { agent: `agent-${agent}`, incarnation: 'i', sequence: interval },
        intervalIndex: interval,
        intervalCount: 1,
        ...recorder.seal(),
        ledgers: [],
        samplesRecorded: recorder.samples,
        health: HEALTH,
        epochs: 1,
        isFinal: interval === 3,
      };
      rollup.add(decodeBatch(encodeBatch(batch)));
    }
  }
  rollup.close(Infinity);
  return rollup;
}

function exchangeOf({ status, lagUs, blockedUs, waitingUs, downloadUs }: Sample): Exchange {
  const exchange = newExchange();
  exchange.status = status;
  exchange.startedUs = INTENDED_US + lagUs;
  exchange.sentUs = exchange.startedUs + blockedUs;
  exchange.firstByteUs = exchange.sentUs + waitingUs;
  exchange.endedUs = exchange.firstByteUs + downloadUs;
  return exchange;
}

function sampleOf(agent: number, serviceUs: number): Sample {
  const times = { lagUs: 0, blockedUs: 0, waitingUs: serviceUs, downloadUs: 0 };
  return { agent, interval: 0, step: 0, status: 200, error: undefined, ...times };
}

/** All that a histogram holds: its buckets, and the exact numbers beside them. */
function contentOf(value: SeriesValue | undefined): object {
  if (value?.kind !== 'trend') return { buckets: [], count: 0, sumUs: 0, minUs: Infinity, maxUs: 0, overflow: 0 };
  const { histogram } = value;
  const { count, sumUs, minUs, maxUs, overflow } = histogram;
  return { buckets: [...histogram.buckets()].map(({ index, samples: n }) => [index, n]), count, sumUs, minUs, maxUs, overflow };
}

const HEALTH = {
  loopDelayP99Us: 0,
  loopDelayMaxUs: 0,
  pacerLagP99Us: 0,
  pacerLagMaxUs: 0,
  cpu: 0,
  gcPauseUs: 0,
  rssBytes: 0,
  openSockets: 0,
  activeVus: 0,
  outboxBatches: 0,
};
