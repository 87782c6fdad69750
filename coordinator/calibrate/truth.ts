import { AGENTS, instantUs, PATTERNS, type Pattern } from './patterns.ts';
import type { PatternLog, ReferenceLog } from './reference-server.ts';

/** Times of one pattern as the server saw them, microseconds, ascending. */
export interface TrueTimes {
  /** Request read to answer written. A client sends earlier and reads later, so what it measures is never less. */
  readonly service: readonly number[];
  /** Intended instant to answer written. Never more than what an agent must measure either: see `zeroUs`. */
  readonly response: readonly number[];
  /** Intended instant to request read: the agent's lateness, and the way to the server. */
  readonly lag: readonly number[];
}

/** What really happened to one pattern, from the plan and the server's log alone. */
export interface Truth extends TrueTimes {
  readonly pattern: Pattern;
  /** Requests that the plan has. */
  readonly planned: number;
  /** Requests that arrived, repeated ones included. */
  readonly received: number;
  /** Planned numbers that never arrived, and arrivals beyond the first of a number. */
  readonly missing: number;
  readonly repeated: number;
  /** The same times, of what each agent fired. */
  readonly byAgent: readonly TrueTimes[];
}

export interface Reference {
  readonly truths: readonly Truth[];
  /** How late requests of patterns with VUs enough reached the server: the disquiet of agents, machine and server together, in
   *  microseconds, ascending. It comes from the server's clock alone, whatever a recorder makes of it. */
  readonly jitterUs: readonly number[];
  /** How far apart the agents' zeros were, by the server's clock, microseconds. */
  readonly startSpreadUs: number;
}

/** Adds the log up. `seconds`: length of the plan. */
export function referenceOf(log: ReferenceLog, seconds: number): Reference {
  const zerosUs = Array.from({ length: AGENTS }, (_, agent) => zeroUs(log, agent));
  const truths = PATTERNS.map((pattern) => truthOf(pattern, log[pattern.name] ?? EMPTY, seconds, zerosUs));
  const undelayed = truths.filter(({ pattern }) => pattern.maxVus > AGENTS);
  return {
    truths,
    jitterUs: ascending(undelayed.flatMap(({ lag }) => lag)),
    startSpreadUs: Math.max(...zerosUs) - Math.min(...zerosUs),
  };
}

/** The value below or at which `percentile` per cent of ascending values lie (nearest rank, as histograms take it). */
export function quantile(values: readonly number[], percentile: number): number {
  const product = (Math.min(100, percentile) / 100) * values.length;
  const rank = Math.max(1, Math.ceil(product - product * Number.EPSILON));
  return values[rank - 1] ?? NaN;
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

const EMPTY: PatternLog = { numbers: [], arrivedUs: [], answeredUs: [] };

/** The run's zero of one agent on the server's clock: the latest that no arrival contradicts. The agent's own zero was earlier by what the
 *  quickest of its requests needed from the plan to the server, so a time counted from here is never longer than the agent's. */
function zeroUs(log: ReferenceLog, agent: number): number {
  let zero = Infinity;
  for (const pattern of PATTERNS) {
    const { numbers, arrivedUs } = log[pattern.name] ?? EMPTY;
    numbers.forEach((n, i) => {
      if (n % AGENTS === agent) zero = Math.min(zero, (arrivedUs[i] ?? NaN) - instantUs(pattern, n));
    });
  }
  return zero;
}

function truthOf(pattern: Pattern, log: PatternLog, seconds: number, zerosUs: readonly number[]): Truth {
  const planned = pattern.ratePerSecond * seconds;
  const distinct = new Set(log.numbers.filter((n) => n < planned));
  const byAgent = zerosUs.map((zero, agent) => timesOf(pattern, log, zero, agent));
  return {
    pattern,
    planned,
    received: log.numbers.length,
    missing: planned - distinct.size,
    repeated: log.numbers.length - distinct.size,
    service: ascending(byAgent.flatMap(({ service }) => service)),
    response: ascending(byAgent.flatMap(({ response }) => response)),
    lag: ascending(byAgent.flatMap(({ lag }) => lag)),
    byAgent,
  };
}

function timesOf(pattern: Pattern, { numbers, arrivedUs, answeredUs }: PatternLog, zero: number, agent: number): TrueTimes {
  const service: number[] = [];
  const response: number[] = [];
  const lag: number[] = [];
  numbers.forEach((n, i) => {
    if (n % AGENTS !== agent) return;
    const [arrived = NaN, answered = NaN] = [arrivedUs[i], answeredUs[i]];
    const intended = zero + instantUs(pattern, n);
    service.push(answered - arrived);
    response.push(answered - intended);
    lag.push(arrived - intended);
  });
  return { service: ascending(service), response: ascending(response), lag: ascending(lag) };
}
