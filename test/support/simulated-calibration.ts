import { AGENTS, instantUs, PATTERNS, type Pattern } from '../../coordinator/calibrate/patterns.ts';
import type { PatternLog } from '../../coordinator/calibrate/reference-server.ts';
import { referenceOf, type Reference } from '../../coordinator/calibrate/truth.ts';
import { uniform } from '../../shared/plan/index.ts';
import { summarise, type Summary } from '../../shared/report/index.ts';
import { EMPTY_AGENT_LEDGER, emptyValue, Histogram, type Series } from '../../shared/stats/index.ts';

/** One request as its agent saw it, microseconds. */
export interface Seen {
  readonly agent: number;
  readonly intendedUs: number;
  readonly startedUs: number;
  readonly endedUs: number;
}

/** What a recorder makes of a request: one or several durations a metric. Right by default. */
export interface Recording {
  readonly service: (seen: Seen) => readonly number[];
  readonly response: (seen: Seen) => readonly number[];
  /** Percentiles are taken for each agent and averaged, instead of being taken from the merged histogram. */
  readonly averages: boolean;
}

export const TRUE_RECORDING: Recording = {
  service: ({ startedUs, endedUs }) => [endedUs - startedUs],
  response: ({ intendedUs, endedUs }) => [endedUs - intendedUs],
  averages: false,
};

/** The way from socket to socket, once. */
const WAY_US = 60;
/** The run's zero of each agent on the server's clock. */
const ZEROS_US = [1_000_000_000, 1_000_000_400];

/** A calibration run played on paper: agents fire at the plan's instants, the server answers by its patterns, and whoever has to wake up is
 *  late by `delayUs` of a uniform draw. Returns what the server logged and the summary of what was recorded. */
export function simulateCalibration(
  seconds: number,
  delayUs: (draw: number) => number,
  seed: number,
  recording: Recording = TRUE_RECORDING,
): { readonly reference: Reference; readonly summary: Summary } {
  let draws = 0;
  const late = (): number => delayUs(uniform(seed, draws++));
  const totals: Series[] = [];
  const logs: Record<string, PatternLog> = {};
  for (const pattern of PATTERNS) {
    const { log, seen } = play(pattern, seconds, late);
    logs[pattern.name] = log;
    const tags = { scenario: pattern.name };
    const ofSteps = { ...tags, name: pattern.name, method: 'GET', status: '200' };
    const response = seen.map((one) => recording.response(one));
    totals.push(
      trend('http_req_duration', ofSteps, seen, seen.map((one) => recording.service(one)), recording.averages),
      trend('http_req_response_time', ofSteps, seen, response, recording.averages),
      trend('schedule_lag', tags, seen, seen.map(({ startedUs, intendedUs }) => [startedUs - intendedUs]), false),
      { metric: 'http_reqs', tags: ofSteps, value: { kind: 'counter', count: response.flat().length } },
    ); // prettier-ignore
  }
  const summary = summarise({
    run: { id: 'r', name: 'calibrate', startedAt: '', agents: { planned: AGENTS, reported: AGENTS, lost: 0 } },
    durationUs: seconds * 1_000_000,
    ledger: {
      ...EMPTY_AGENT_LEDGER,
      planned: 0,
      undelivered: 0,
      unknown: 0,
      samples: { recorded: 0, merged: 0, missing: 0, duplicate: 0 },
    },
    validity: { grade: 'valid', reasons: [] },
    totals,
    verdicts: [],
    health: [],
    agentsLost: [],
  });
  return { reference: referenceOf(logs, seconds), summary };
}

function play(pattern: Pattern, seconds: number, late: () => number): { readonly log: PatternLog; readonly seen: readonly Seen[] } {
  const log: PatternLog = { numbers: [], arrivedUs: [], answeredUs: [] };
  const freeAtUs = ZEROS_US.map(() => 0);
  const seen: Seen[] = [];
  for (let n = 0; n < pattern.ratePerSecond * seconds; n++) {
    const agent = n % AGENTS;
    const intendedUs = (ZEROS_US[agent] ?? NaN) + instantUs(pattern, n);
    const isQueueing = pattern.maxVus === AGENTS;
    const startedUs = Math.max(intendedUs + late(), isQueueing ? (freeAtUs[agent] ?? 0) : 0);
    const arrivedUs = startedUs + WAY_US + late();
    const answeredUs = arrivedUs + pattern.latencyUs(n) + 1_000 * late();
    const endedUs = answeredUs + WAY_US + late();
    freeAtUs[agent] = endedUs;
    log.numbers.push(n);
    log.arrivedUs.push(arrivedUs);
    log.answeredUs.push(answeredUs);
    seen.push({ agent, intendedUs, startedUs, endedUs });
  }
  return { log, seen };
}

function trend(
  metric: string,
  tags: Readonly<Record<string, string>>,
  seen: readonly Seen[],
  durations: readonly (readonly number[])[],
  averages: boolean,
): Series {
  const value = emptyValue('trend');
  if (value.kind !== 'trend') throw new Error('a trend has a histogram');
  const byAgent = ZEROS_US.map(() => new Histogram());
  durations.forEach((each, i) => {
    for (const duration of each) byAgent[seen[i]?.agent ?? 0]?.record(duration);
  });
  for (const histogram of byAgent) value.histogram.add(histogram);
  if (averages)
    value.histogram.percentileUs = (percentile) => byAgent.reduce((sum, own) => sum + (own.percentileUs(percentile) ?? 0), 0) / AGENTS;
  return { metric, tags, value };
}
