/** A scenario file with nothing left to decide: what every agent is given, whole and equal. */
export interface Plan {
  readonly name: string;
  /** Seed of every random draw of the run (Poisson gaps, random rows, think times), 0 .. 2^32-1. */
  readonly seed: number;
  /** Length of one result interval, milliseconds. */
  readonly intervalMs: number;
  readonly scenarios: readonly PlannedScenario[];
}

export interface PlannedScenario {
  readonly name: string;
  /** Run-relative instant of the scenario's own zero, microseconds. */
  readonly startUs: number;
  /** How long iterations may go on past the scenario's end before they are interrupted, microseconds. */
  readonly gracefulStopUs: number;
  readonly load: Load;
}

/** An open model plans arrivals; a closed model plans VUs that loop. Names are k6's executor names. */
export type Load = OpenLoad | ClosedLoad;

export interface OpenLoad {
  readonly kind: 'constant-arrival-rate' | 'ramping-arrival-rate';
  readonly arrivals: 'uniform' | 'poisson';
  /** Rates of `segments` are arrivals per this many microseconds. */
  readonly timeUnitUs: number;
  /** Joined end to end from the scenario's zero. At least one. */
  readonly segments: readonly Segment[];
  readonly preAllocatedVus: number;
  /** VUs of the whole cluster, not of each agent. */
  readonly maxVus: number;
}

export interface ClosedLoad {
  readonly kind: 'constant-vus';
  /** VUs of the whole cluster, not of each agent. */
  readonly vus: number;
  readonly durationUs: number;
}

/** A straight line of the arrival rate, in arrivals per `timeUnitUs`. A step is a segment of no duration and needs none: rates may jump between segments. */
export interface Segment {
  readonly durationUs: number;
  readonly startRate: number;
  readonly endRate: number;
}

/** Run-relative end of the scenario's load (without the graceful stop), microseconds. */
export function endUs(scenario: PlannedScenario): number {
  return scenario.startUs + loadDurationUs(scenario.load);
}

export function loadDurationUs(load: Load): number {
  switch (load.kind) {
    case 'constant-vus':
      return load.durationUs;
    case 'constant-arrival-rate':
    case 'ramping-arrival-rate':
      return load.segments.reduce((sum, segment) => sum + segment.durationUs, 0);
  }
}

/** VUs that the scenario may use at once over the whole cluster. */
export function maxVusOf(load: Load): number {
  return load.kind === 'constant-vus' ? load.vus : load.maxVus;
}

/** Run-relative instant by which every scenario has ended, graceful stops included, microseconds. */
export function planEndUs(plan: Plan): number {
  return Math.max(...plan.scenarios.map((scenario) => endUs(scenario) + scenario.gracefulStopUs));
}
