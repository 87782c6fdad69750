import { AppError } from '../base/index.ts';
import {
  isOpen,
  slotsByOwner,
  SOMEBODY_ELSE,
  type Amendment,
  type ClosedLoad,
  type Epoch,
  type Load,
  type Plan,
  type PlannedMetric,
  type PlannedScenario,
} from '../plan/index.ts';
import type * as proto from '../../proto/gen/muster/v1/plan.ts';

export function planToWire(plan: Plan): proto.Plan {
  const { name, seed, intervalMs, pacing = '', setupLimitMs, teardownLimitMs, metrics } = plan;
  const scenarios = plan.scenarios.map(scenarioToWire);
  return { name, seed, intervalMs, pacing, setupLimitMs, teardownLimitMs, metrics: { ...metrics }, scenarios };
}

/** Throws `AppError('SCENARIO_INVALID')` on a load model this build does not know. */
export function planFromWire(plan: proto.Plan): Plan {
  const { name, seed, intervalMs, pacing, setupLimitMs, teardownLimitMs } = plan;
  const metrics = Object.entries(plan.metrics).map(([metric, definition]) => [metric, metricFromWire(metric, definition)] as const);
  const scenarios = plan.scenarios.map(scenarioFromWire);
  const own = metrics.length === 0 ? {} : { metrics: Object.fromEntries(metrics) };
  const paced = pacing === 'relaxed' || pacing === 'precise' ? ({ pacing } as const) : {};
  return { name, seed, intervalMs, ...paced, setupLimitMs, teardownLimitMs, ...own, scenarios };
}

/** Tells each agent of an epoch what is its own. */
export type EpochTeller = (agentId: string) => proto.Epoch;

export function epochToWire({ number, fromUs, owners, amendments = [] }: Epoch): EpochTeller {
  const slotsOf = slotsByOwner(owners);
  const changes = amendments.map(amendmentToWire);
  return (agentId) => ({ number, fromUs, slots: owners.length, ownSlots: [...(slotsOf.get(agentId) ?? [])], amendments: changes });
}

/** The epoch as the agent `agentId` was told it. Throws `AppError('SCENARIO_INVALID')` on an amendment this build does not know, or slots that
 *  cannot be. */
export function epochFromWire({ number, fromUs, slots, ownSlots, amendments }: proto.Epoch, agentId: string): Epoch {
  if (slots < 1) throw new AppError('SCENARIO_INVALID', `epoch ${number} has no slots: is the coordinator of another version?`);
  if (ownSlots.some((slot) => slot >= slots))
    throw new AppError('SCENARIO_INVALID', `epoch ${number}: expected own slots below ${slots}, found ${ownSlots.join(', ')}`);
  const owners = new Array<string>(slots).fill(SOMEBODY_ELSE);
  for (const slot of ownSlots) owners[slot] = agentId;
  return { number, fromUs, owners, ...(amendments.length === 0 ? {} : { amendments: amendments.map(amendmentFromWire) }) };
}

function amendmentToWire(amendment: Amendment): proto.Amendment {
  switch (amendment.kind) {
    case 'rate': {
      const { scenario, ratePerSecond, maxVus } = amendment;
      return { kind: { $case: 'rate', value: { scenario, ratePerSecond, maxVus } } };
    }
    case 'vus':
      return { kind: { $case: 'vus', value: { scenario: amendment.scenario, vus: amendment.vus } } };
    case 'pause':
      return { kind: { $case: 'pause', value: {} } };
    case 'resume':
      return { kind: { $case: 'resume', value: {} } };
  }
}

function amendmentFromWire({ kind }: proto.Amendment): Amendment {
  switch (kind?.$case) {
    case 'rate':
      return { kind: 'rate', ...kind.value };
    case 'vus':
      return { kind: 'vus', ...kind.value };
    case 'pause':
    case 'resume':
      return { kind: kind.$case };
    case undefined:
      throw new AppError('SCENARIO_INVALID', 'an amendment this version does not know');
  }
}

function metricFromWire(name: string, { kind, unit }: proto.CustomMetric): PlannedMetric {
  if (kind === 'trend' || kind === 'counter' || kind === 'rate' || kind === 'gauge') return { kind, unit };
  throw new AppError('SCENARIO_INVALID', `metric ${name}: a kind this version does not know`);
}

function scenarioToWire(scenario: PlannedScenario): proto.Scenario {
  const { name, startUs, gracefulStopUs, warmupUs = 0, load } = scenario;
  const indexLimit = load.kind === 'shared-iterations' ? undefined : load.indexLimit;
  return { name, startUs, gracefulStopUs, warmupUs, indexLimit, load: loadToWire(load) };
}

function scenarioFromWire(scenario: proto.Scenario): PlannedScenario {
  const { name, startUs, gracefulStopUs, warmupUs, indexLimit } = scenario;
  const load = loadFromWire(scenario);
  return {
    name,
    startUs,
    gracefulStopUs,
    ...(warmupUs > 0 ? { warmupUs } : {}),
    load: indexLimit === undefined || load.kind === 'shared-iterations' ? load : { ...load, indexLimit },
  };
}

function loadToWire(load: Load): NonNullable<proto.Scenario['load']> {
  if (isOpen(load)) {
    return {
      $case: 'open',
      value: {
        executor: load.kind,
        arrivals: load.arrivals,
        timeUnitUs: load.timeUnitUs,
        segments: load.segments.map((segment) => ({ ...segment })),
        preAllocatedVus: load.preAllocatedVus,
        maxVus: load.maxVus,
      },
    };
  }
  return { $case: 'closed', value: { ...EMPTY_CLOSED, ...closedToWire(load) } };
}

const EMPTY_CLOSED: proto.ClosedLoad = {
  executor: '',
  vus: 0,
  durationUs: 0,
  iterations: 0,
  startVus: 0,
  stages: [],
  gracefulRampDownUs: 0,
};

function closedToWire(load: ClosedLoad): Partial<proto.ClosedLoad> {
  switch (load.kind) {
    case 'constant-vus':
      return { executor: load.kind, vus: load.vus, durationUs: load.durationUs };
    case 'ramping-vus':
      return {
        executor: load.kind,
        startVus: load.startVus,
        stages: load.stages.map((stage) => ({ ...stage })),
        gracefulRampDownUs: load.gracefulRampDownUs,
      };
    case 'per-vu-iterations':
    case 'shared-iterations':
      return { executor: load.kind, vus: load.vus, iterations: load.iterations, durationUs: load.maxDurationUs };
  }
}

function loadFromWire(scenario: proto.Scenario): Load {
  const { load } = scenario;
  const read = load?.$case === 'closed' ? closedFromWire(load.value) : load?.$case === 'open' ? openFromWire(load.value) : undefined;
  if (read === undefined) throw new AppError('SCENARIO_INVALID', `scenario ${scenario.name}: a load model this version does not know`);
  return read;
}

function closedFromWire({
  executor,
  vus,
  durationUs,
  iterations,
  startVus,
  stages,
  gracefulRampDownUs,
}: proto.ClosedLoad): Load | undefined {
  switch (executor) {
    case 'constant-vus':
      return { kind: executor, vus, durationUs };
    case 'ramping-vus':
      return { kind: executor, startVus, stages, gracefulRampDownUs };
    case 'per-vu-iterations':
    case 'shared-iterations':
      return { kind: executor, vus, iterations, maxDurationUs: durationUs };
    default:
      return undefined;
  }
}

function openFromWire({ executor, arrivals, ...rest }: proto.OpenLoad): Load | undefined {
  if (executor !== 'constant-arrival-rate' && executor !== 'ramping-arrival-rate') return undefined;
  return arrivals === 'uniform' || arrivals === 'poisson' ? { kind: executor, arrivals, ...rest } : undefined;
}
