/** A scenario file with nothing left to decide: what every agent is given, whole and equal. */
export interface Plan {
  readonly name: string;
  /** Seed of every random draw of the run (Poisson gaps, random rows, think times), 0 .. 2^32-1. */
  readonly seed: number;
  /** Length of one result interval, milliseconds. */
  readonly intervalMs: number;
  /** How agents wait for what is due; absent: `precise`. */
  readonly pacing?: Pacing;
  readonly scenarios: readonly PlannedScenario[];
  /** How long the run's setup and teardown may take, milliseconds; absent when it has none. */
  readonly setupLimitMs?: number | undefined;
  readonly teardownLimitMs?: number | undefined;
  /** Metrics of the scenario's own, by name. */
  readonly metrics?: Readonly<Record<string, PlannedMetric>>;
}

export interface PlannedMetric {
  readonly kind: 'trend' | 'counter' | 'rate' | 'gauge';
  /** For people; empty for none. */
  readonly unit: string;
}

/** `precise`: a helper thread wakes the loop, about 0.1 ms late. `relaxed`: Node's timers do, 0.5 to 0.8 ms late, for a
 *  tenth to a sixth less CPU (`npm run bench:pacing`). */
export type Pacing = 'precise' | 'relaxed';

export interface PlannedScenario {
  readonly name: string;
  /** Run-relative instant of the scenario's own zero, microseconds. */
  readonly startUs: number;
  /** How long iterations may go on past the scenario's end before they are interrupted, microseconds. */
  readonly gracefulStopUs: number;
  /** What begins earlier than this after the scenario's zero is measured apart: it is in no total. Microseconds; absent: none. */
  readonly warmupUs?: number;
  readonly load: Load;
}

/** An open model plans arrivals; a closed model plans VUs that loop. Names are k6's executor names. */
export type Load = OpenLoad | ClosedLoad;

export interface OpenLoad extends Limited {
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

/** A load that ends early because each of its iterations uses up a row of data. */
export interface Limited {
  /** Iterations from this index on are not planned; absent: no limit. Shared iterations need none: their count is the limit. */
  readonly indexLimit?: number;
}

/** VUs are those of the whole cluster, not of each agent. */
export type ClosedLoad = ConstantVusLoad | RampingVusLoad | PerVuIterationsLoad | SharedIterationsLoad;

export interface ConstantVusLoad extends Limited {
  readonly kind: 'constant-vus';
  readonly vus: number;
  readonly durationUs: number;
}

export interface RampingVusLoad extends Limited {
  readonly kind: 'ramping-vus';
  readonly startVus: number;
  /** Joined end to end; within one, the number of VUs follows a straight line, rounded to whole VUs. */
  readonly stages: readonly VuStage[];
  /** How long an iteration may go on after its VU was ramped down. */
  readonly gracefulRampDownUs: number;
}

export interface VuStage {
  readonly durationUs: number;
  readonly targetVus: number;
}

/** Every VU runs `iterations` iterations; what is not begun after `maxDurationUs` is dropped. */
export interface PerVuIterationsLoad extends Limited {
  readonly kind: 'per-vu-iterations';
  readonly vus: number;
  readonly iterations: number;
  readonly maxDurationUs: number;
}

/** The VUs share `iterations` iterations; what is not begun after `maxDurationUs` is dropped. */
export interface SharedIterationsLoad {
  readonly kind: 'shared-iterations';
  readonly vus: number;
  readonly iterations: number;
  readonly maxDurationUs: number;
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
    case 'ramping-vus':
      return load.stages.reduce((sum, stage) => sum + stage.durationUs, 0);
    case 'per-vu-iterations':
    case 'shared-iterations':
      return load.maxDurationUs;
    case 'constant-arrival-rate':
    case 'ramping-arrival-rate':
      return load.segments.reduce((sum, segment) => sum + segment.durationUs, 0);
  }
}

/** VUs that the scenario may use at once over the whole cluster. */
export function maxVusOf(load: Load): number {
  switch (load.kind) {
    case 'constant-vus':
    case 'per-vu-iterations':
    case 'shared-iterations':
      return load.vus;
    case 'ramping-vus':
      return load.stages.reduce((most, stage) => Math.max(most, stage.targetVus), load.startVus);
    case 'constant-arrival-rate':
    case 'ramping-arrival-rate':
      return load.maxVus;
  }
}

export function isOpen(load: Load): load is OpenLoad {
  return load.kind === 'constant-arrival-rate' || load.kind === 'ramping-arrival-rate';
}

/** Iterations that a closed load plans; `undefined` where it plans VUs and time, and every iteration begun was planned. */
export function plannedIterations(load: ClosedLoad): number | undefined {
  switch (load.kind) {
    case 'per-vu-iterations':
      return Math.min(load.vus * load.iterations, load.indexLimit ?? Infinity);
    case 'shared-iterations':
      return load.iterations;
    case 'constant-vus':
    case 'ramping-vus':
      return undefined;
  }
}

/** Run-relative instant by which every scenario has ended, graceful stops included, microseconds. */
export function planEndUs(plan: Plan): number {
  return Math.max(...plan.scenarios.map((scenario) => endUs(scenario) + scenario.gracefulStopUs));
}

/** Run-relative instant before which an iteration or request of the scenario belongs to its warm-up; `-Infinity` when it has none. */
export function warmupEndUs({ startUs, warmupUs }: PlannedScenario): number {
  return warmupUs === undefined ? -Infinity : startUs + warmupUs;
}

/** Tags that say which part of a run is meant. */
interface PartOfRun {
  readonly scenario?: string;
  readonly phase?: string;
}

/** Run-relative instant from which samples with these tags count, microseconds: the end of the first warm-up when all scenarios that
 *  they may be of have one, else 0; also for a phase that is asked for by name. */
export function countedFromUs(plan: Plan, part: PartOfRun = {}): number {
  return part.phase === undefined ? Math.max(0, Math.min(...scenariosOf(plan, part).map(warmupEndUs))) : 0;
}

/** How long samples with these tags have been counted at run-relative `untilUs`: what a rate per second is divided by. */
export function countedUs(plan: Plan, part: PartOfRun, untilUs: number): number {
  if (part.phase !== 'warmup') return untilUs - countedFromUs(plan, part);
  const warming = scenariosOf(plan, part).filter(({ warmupUs }) => warmupUs !== undefined);
  const toUs = Math.min(untilUs, Math.max(0, ...warming.map(warmupEndUs)));
  return Math.max(0, toUs - Math.min(untilUs, ...warming.map(({ startUs }) => startUs)));
}

function scenariosOf({ scenarios }: Plan, { scenario }: PartOfRun): readonly PlannedScenario[] {
  const named = scenarios.filter(({ name }) => name === scenario);
  return named.length > 0 ? named : scenarios;
}

/** The highest rate of iterations a plan asks for, a second; `undefined` when no scenario has a rate. Scenarios that follow each other are
 *  added up as well, so it is at least what is due at any instant. */
export function peakRatePerSecond({ scenarios }: Plan): number | undefined {
  const rates = scenarios.flatMap(({ load }) =>
    isOpen(load) ? [(Math.max(...load.segments.flatMap(({ startRate, endRate }) => [startRate, endRate])) / load.timeUnitUs) * 1e6] : [],
  );
  return rates.length === 0 ? undefined : rates.reduce((sum, rate) => sum + rate, 0);
}
