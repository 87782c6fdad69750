import { formatDurationUs, ITERATIONS_MAX, parseDurationUs, parseRate, VUS_MAX } from '../base/index.ts';
import { loadDurationUs, maxVusOf, type Load, type OpenLoad, type PlannedScenario, type Segment } from '../plan/index.ts';
import { describe } from './describe.ts';
import type { Path, Report } from './problems.ts';
import type { ScenarioDefinition } from './schema.ts';

/** The load of one scenario. `iterationUs` is the longest that one iteration is expected to hold its VU.
 *  `undefined` after a problem. */
export function compileScenario(
  name: string,
  definition: ScenarioDefinition,
  iterationUs: number,
  report: Report,
): PlannedScenario | undefined {
  const path: Path = ['scenarios', name];
  const load = isOpenDefinition(definition) ? openLoad(definition, iterationUs, path, report) : closedLoad(definition, path, report);
  if (load === undefined) return undefined;
  const warmupUs = durationUs(definition.warmup, 0);
  if (warmupUs >= loadDurationUs(load)) {
    report([...path, 'warmup'], `expected less than the load lasts (${formatDurationUs(loadDurationUs(load))}): nothing would be measured`);
    return undefined;
  }
  return {
    name,
    startUs: durationUs(definition.startTime, 0),
    gracefulStopUs: durationUs(definition.gracefulStop, GRACEFUL_STOP_US_DEFAULT),
    ...(warmupUs > 0 ? { warmupUs } : {}),
    load,
  };
}

type Open = Extract<ScenarioDefinition, { executor: 'constant-arrival-rate' | 'ramping-arrival-rate' }>;
type Closed = Exclude<ScenarioDefinition, Open>;

function isOpenDefinition(definition: ScenarioDefinition): definition is Open {
  return definition.executor === 'constant-arrival-rate' || definition.executor === 'ramping-arrival-rate';
}

/** As in k6. */
const GRACEFUL_STOP_US_DEFAULT = 30_000_000;
const TIME_UNIT_US_DEFAULT = 1_000_000;
/** Poisson instants are a running sum, walked once by every agent at its start: 40 ns each, so this many cost 40 s. */
const POISSON_ITERATIONS_MAX = 1e9;
/** Nobody means this many VUs without saying so. */
const DEFAULT_VUS_MAX = 10_000;

/** As in k6. */
const GRACEFUL_RAMP_DOWN_US_DEFAULT = 30_000_000;
const MAX_DURATION_US_DEFAULT = 600_000_000;

function closedLoad(definition: Closed, path: Path, report: Report): Load | undefined {
  switch (definition.executor) {
    case 'constant-vus':
      return { kind: definition.executor, vus: definition.vus, durationUs: durationUs(definition.duration, 0) };
    case 'ramping-vus': {
      const stages = definition.stages.map(({ duration, target }) => ({ durationUs: durationUs(duration, 0), targetVus: target }));
      // k6 starts with one VU where nothing is said.
      const load: Load = {
        kind: definition.executor,
        startVus: definition.startVUs ?? 1,
        stages,
        gracefulRampDownUs: durationUs(definition.gracefulRampDown, GRACEFUL_RAMP_DOWN_US_DEFAULT),
      };
      if (loadDurationUs(load) > 0 && maxVusOf(load) > 0) return load;
      report([...path, 'stages'], 'expected at least one stage with a duration and a target above zero');
      return undefined;
    }
    case 'per-vu-iterations':
    case 'shared-iterations': {
      const vus = definition.vus ?? 1;
      const iterations = definition.iterations ?? 1;
      const load: Load = {
        kind: definition.executor,
        vus,
        iterations,
        maxDurationUs: durationUs(definition.maxDuration, MAX_DURATION_US_DEFAULT),
      };
      if (load.kind === 'shared-iterations' && iterations < vus) {
        report([...path, 'iterations'], `expected at least as many iterations as VUs (${String(vus)}), got ${String(iterations)}`);
        return undefined;
      }
      if (vus * iterations > ITERATIONS_MAX) {
        report([...path, 'iterations'], `this plans ${String(vus * iterations)} iterations; at most ${String(ITERATIONS_MAX)} are planned`);
        return undefined;
      }
      return load;
    }
  }
}

function openLoad(definition: Open, iterationUs: number, path: Path, report: Report): Load | undefined {
  const timeUnitUs = commonTimeUnit(definition, path, report);
  if (timeUnitUs === undefined) return undefined;
  const segments = definition.executor === 'constant-arrival-rate' ? constantSegments(definition) : rampSegments(definition);
  const arrivals = definition.arrivals ?? 'uniform';
  const problem = whyNotPlannable(segments, timeUnitUs, arrivals);
  if (problem !== undefined) {
    report([...path, definition.executor === 'constant-arrival-rate' ? 'rate' : 'stages'], problem);
    return undefined;
  }
  const vus = compileVus(definition, segments, timeUnitUs, iterationUs);
  if (vus.maxVus < vus.preAllocatedVus) {
    report([...path, 'maxVUs'], `expected at least preAllocatedVUs (${String(vus.preAllocatedVus)}), got ${String(vus.maxVus)}`);
    return undefined;
  }
  return { kind: definition.executor, arrivals, timeUnitUs, segments, ...vus };
}

/** Rates with a unit of their own (`"2k/s"`) must agree with each other and with `timeUnit`. */
function commonTimeUnit(definition: Open, path: Path, report: Report): number | undefined {
  const rates: (readonly [Path, string | number])[] =
    definition.executor === 'constant-arrival-rate'
      ? [[['rate'], definition.rate]]
      : [
          ...(definition.startRate === undefined ? [] : [[['startRate'], definition.startRate] as const]),
          ...definition.stages.map((stage, i) => [['stages', i, 'target'], stage.target] as const),
        ];
  let unitUs = definition.timeUnit === undefined ? undefined : parseDurationUs(definition.timeUnit);
  let agree = true;
  for (const [below, rate] of rates) {
    const own = parseRate(rate)?.unitUs;
    if (own === undefined) continue;
    unitUs ??= own;
    if (own === unitUs) continue;
    agree = false;
    report(
      [...path, ...below],
      `${describe(rate)} is counted over another time than ${definition.timeUnit === undefined ? 'the rate before it' : 'timeUnit'}; expected one time unit`,
    );
  }
  return agree ? (unitUs ?? TIME_UNIT_US_DEFAULT) : undefined;
}

function constantSegments(definition: Extract<Open, { executor: 'constant-arrival-rate' }>): Segment[] {
  const rate = events(definition.rate);
  return [{ durationUs: durationUs(definition.duration, 0), startRate: rate, endRate: rate }];
}

/** Stages joined end to end. A stage of no duration is a jump, and leaves no segment. */
function rampSegments(definition: Extract<Open, { executor: 'ramping-arrival-rate' }>): Segment[] {
  const segments: Segment[] = [];
  let startRate = definition.startRate === undefined ? 0 : events(definition.startRate);
  for (const stage of definition.stages) {
    const endRate = events(stage.target);
    const length = durationUs(stage.duration, 0);
    if (length > 0) segments.push({ durationUs: length, startRate, endRate });
    startRate = endRate;
  }
  return segments;
}

function whyNotPlannable(segments: readonly Segment[], timeUnitUs: number, arrivals: OpenLoad['arrivals']): string | undefined {
  if (segments.length === 0) return 'expected at least one stage with a duration above zero';
  const total = segments.reduce((sum, segment) => sum + ((segment.startRate + segment.endRate) / 2) * (segment.durationUs / timeUnitUs), 0);
  if (total === 0) return 'expected a rate above zero, got 0 for all the time';
  const most = arrivals === 'poisson' ? POISSON_ITERATIONS_MAX : ITERATIONS_MAX;
  // Written so that a sum that overflowed is refused as well.
  if (!(total <= most))
    return `this plans ${total.toPrecision(3)} iterations; at most ${String(most)} are planned${arrivals === 'poisson' ? ' with poisson arrivals' : ''}`;
  return undefined;
}

/** By default as many VUs as are busy when every request waits for its timeout, within reason, and a tenth of a second's worth ahead. */
function compileVus(
  definition: Open,
  segments: readonly Segment[],
  timeUnitUs: number,
  iterationUs: number,
): Pick<OpenLoad, 'preAllocatedVus' | 'maxVus'> {
  const peakRate = segments.reduce((peak, segment) => Math.max(peak, segment.startRate, segment.endRate), 0);
  const perSecond = (peakRate * 1_000_000) / timeUnitUs;
  const ample = Math.min(Math.ceil((perSecond * iterationUs) / 1_000_000), Math.max(DEFAULT_VUS_MAX, Math.ceil(perSecond)));
  const maxVus = definition.maxVUs ?? Math.min(VUS_MAX, Math.max(1, definition.preAllocatedVUs ?? 1, ample));
  const ahead = Math.min(maxVus, Math.max(1, Math.ceil(perSecond / 10)));
  return { preAllocatedVus: definition.preAllocatedVUs ?? ahead, maxVus };
}

function events(rate: string | number): number {
  return parseRate(rate)?.events ?? 0;
}

function durationUs(text: string | number | undefined, byDefault: number): number {
  return text === undefined ? byDefault : (parseDurationUs(text) ?? byDefault);
}
