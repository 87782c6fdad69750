import type { SealedInterval } from '../../agent/outbox.ts';
import { Histogram, sliceOf, type Health, type ScenarioLedger, type SeriesDefinition, type TrendSlice } from '../../shared/stats/index.ts';

/** An agent that had nothing to complain about. */
export const QUIET_HEALTH: Health = {
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

/** Series 0 and 1 of every agent in these tests. */
export const DEFINITIONS: readonly SeriesDefinition[] = [
  { number: 0, metric: 'http_req_response_time', kind: 'trend', tags: { scenario: 'browse' } },
  { number: 1, metric: 'http_reqs', kind: 'counter', tags: { scenario: 'browse' } },
];

/** A sealed interval without anything in it, but for `parts`. */
export function sealedInterval(intervalIndex: number, parts: Partial<SealedInterval> = {}): SealedInterval {
  return {
    intervalIndex,
    intervalCount: 1,
    defines: [],
    trends: [],
    counters: [],
    rates: [],
    gauges: [],
    ledgers: [],
    samplesRecorded: 0,
    health: QUIET_HEALTH,
    epochs: 1,
    isFinal: false,
    ...parts,
  };
}

/** What a recorder makes of these durations. */
export function trendSlice(series: number, durationsUs: readonly number[]): TrendSlice {
  const histogram = new Histogram();
  for (const us of durationsUs) histogram.record(us);
  return sliceOf(series, histogram);
}

export function scenarioLedger(
  scenario: string,
  ledger: Partial<ScenarioLedger['ledger']> = {},
  coveredUntilUs = 0,
  waiting = 0,
  firedUntilUs = 0,
): ScenarioLedger {
  return {
    scenario,
    coveredUntilUs,
    waiting,
    firedUntilUs,
    ledger: { started: 0, dropped: 0, undelivered: 0, completed: 0, interrupted: 0, ...ledger },
  };
}
