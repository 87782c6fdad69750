import { newExchange, type Exchange } from '../../agent/protocol/index.ts';
import type { SealedInterval } from '../../agent/outbox.ts';
import { Recorder } from '../../agent/recorder.ts';
import { Histogram, sliceOf, type Health, type ScenarioLedger, type TrendSlice } from '../../shared/stats/index.ts';
import { QUIET_HEALTH } from '../support/intervals.ts';

/** Two scenarios of one step: 8 trends a step and 2 a scenario, 20 in all. */
export const SCENARIOS = ['browse', 'buy'];
/** Trends of a batch. */
export const TRENDS = 20;

export const HEALTH: Health = {
  ...QUIET_HEALTH,
  ...{ loopDelayP99Us: 210.4, pacerLagP99Us: 320.7, pacerLagMaxUs: 1_290.2, cpu: 0.31, gcPauseUs: 1_204, rssBytes: 96_468_992 },
  ...{ openSockets: 16, activeVus: 16, outboxBatches: 1 },
};

/** `agent`: what requests of 8 ms measure, so that most trends are narrow (sending, receiving, waiting for a connection). `wide`: every trend
 *  spreads like a response time, which is the most that merging can cost. */
export type Shape = 'agent' | 'wide';

/** What one agent seals, interval by interval, made by the agent's own recorder: `samples` requests a step and interval, each answered
 *  after a time that is drawn anew. */
export class AgentBatches {
  private readonly recorder = new Recorder();
  private readonly scenarios = SCENARIOS.map((name) => ({
    name,
    own: this.recorder.scenario(name),
    step: this.recorder.step(name, `GET /${name}`, 'GET'),
  }));
  private readonly exchange = newExchange();
  private readonly shape: Shape;
  private readonly random: () => number;
  private index = 0;

  constructor(seed: number, shape: Shape) {
    this.shape = shape;
    this.random = lognormal(seed);
  }

  next(samples: number, isFinal: boolean): SealedInterval {
    const startUs = this.index * 1e6;
    for (const scenario of this.scenarios) {
      for (let i = 0; i < samples; i++) {
        const intendedUs = startUs + (i / samples) * 1e6;
        const { exchange } = this;
        this.answer(exchange, intendedUs);
        scenario.own.iterationStarted(exchange.startedUs - intendedUs, 8, intendedUs);
        scenario.step.request(exchange, intendedUs, undefined);
        scenario.own.bytes(180, 900, intendedUs);
        scenario.own.iterationEnded(exchange.endedUs - exchange.startedUs, true, 8, intendedUs);
      }
    }
    const intervalIndex = this.index++;
    const ledgers = sampleLedgers(samples, this.index);
    const measured = this.recorder.seal();
    const trends = this.shape === 'agent' ? measured.trends : measured.trends.map((slice) => this.spread(slice));
    return {
      ...{ intervalIndex, intervalCount: 1, ...measured, trends, ledgers, samplesRecorded: this.recorder.samples },
      ...{ health: HEALTH, epochs: 1, isFinal },
    };
  }

  private answer(exchange: Exchange, intendedUs: number): void {
    const { random } = this;
    exchange.status = 200;
    exchange.startedUs = intendedUs + 80 * random();
    exchange.sentUs = exchange.startedUs + 6 * random();
    exchange.firstByteUs = exchange.sentUs + 8_000 * random();
    exchange.endedUs = exchange.firstByteUs + 25 * random();
  }

  private spread(slice: TrendSlice): TrendSlice {
    const histogram = new Histogram();
    for (let i = 0; i < slice.count; i++) histogram.record(8_000 * this.random());
    return sliceOf(slice.series, histogram);
  }
}

/** What an agent has done after so many intervals. */
export function sampleLedgers(samples: number, intervals: number): ScenarioLedger[] {
  const done = samples * intervals;
  return SCENARIOS.map((scenario) => ({
    scenario,
    ledger: { started: done, dropped: 0, undelivered: 0, completed: done, interrupted: 0 },
    coveredUntilUs: intervals * 1e6,
    waiting: 0,
    firedUntilUs: 0,
  }));
}

/** Draws with the median 1 and a standard deviation of 0.4 in the logarithm (Box and Muller), the same for every seed. */
function lognormal(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    // The constants of Numerical Recipes; far better than these draws need.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.exp(0.4 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}
