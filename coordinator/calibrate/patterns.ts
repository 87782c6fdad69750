import { uniform } from '../../shared/plan/index.ts';

/** A shape of latency that the reference server is built to have: a function of the request's number and of nothing else. */
export interface Pattern {
  readonly name: string;
  readonly meaning: string;
  /** Arrivals of all agents together. */
  readonly ratePerSecond: number;
  /** VUs of all agents together. */
  readonly maxVus: number;
  /** How long request `n` (0, 1, 2, … over all agents) takes at least, microseconds. */
  readonly latencyUs: (n: number) => number;
}

/** Agents that take part. Request n is fired by agent n mod 2, as the plan's stripes say, so a pattern can treat them differently. */
export const AGENTS = 2;

const SEED = 20;
const MS = 1_000;
/** As many as are never all busy: waiting for a VU would be a latency of the plan, not of the server. */
const VUS_ENOUGH = 300;

/** A Pareto distribution (scale 4 ms, shape 1.5) by its inverse CDF, cut at a second: median 6.3 ms, p99 86 ms, p99.9 400 ms. */
const PARETO = { scaleUs: 4 * MS, shape: 1.5, longestUs: 1_000 * MS };

export const PATTERNS: readonly Pattern[] = [
  {
    name: 'constant',
    meaning: 'always 20 ms',
    ratePerSecond: 300,
    maxVus: VUS_ENOUGH,
    latencyUs: () => 20 * MS,
  },
  {
    // One agent meets the slow answers alone. Merged, they are an eighth of all, so p90 is slow; the mean of the agents' own p90 is neither.
    name: 'two-point',
    meaning: '5 ms, and 200 ms for a quarter of the requests of one of the agents',
    ratePerSecond: 300,
    maxVus: VUS_ENOUGH,
    latencyUs: (n) => (n % 8 === 1 ? 200 * MS : 5 * MS),
  },
  {
    name: 'heavy-tail',
    meaning: 'Pareto of scale 4 ms and shape 1.5, at most 1 s',
    ratePerSecond: 300,
    maxVus: VUS_ENOUGH,
    latencyUs: (n) => Math.min(PARETO.longestUs, PARETO.scaleUs * uniform(SEED, n) ** (-1 / PARETO.shape)),
  },
  {
    // One VU an agent: who is planned during a stall waits for it, and only the response time knows.
    name: 'stalls',
    meaning: '2 ms, and every 2 s one request of each agent takes 250 ms while all that follow wait for their VU',
    ratePerSecond: 100,
    maxVus: AGENTS,
    latencyUs: (n) => (n % 200 === 100 || n % 200 === 101 ? 250 * MS : 2 * MS),
  },
];

/** Run-relative instant at which the plan wants request `n` of the pattern, microseconds. */
export function instantUs({ ratePerSecond }: Pattern, n: number): number {
  return (n * 1_000_000) / ratePerSecond;
}

export function patternNamed(name: string): Pattern | undefined {
  return PATTERNS.find((pattern) => pattern.name === name);
}
