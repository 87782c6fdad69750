import { AppError } from '../base/index.ts';
import type { Epoch, Load, Plan, PlannedScenario } from '../plan/index.ts';
import type * as proto from '../../proto/gen/muster/v1/plan.ts';

export function planToWire(plan: Plan): proto.Plan {
  return { name: plan.name, seed: plan.seed, intervalMs: plan.intervalMs, scenarios: plan.scenarios.map(scenarioToWire) };
}

/** Throws `AppError('SCENARIO_INVALID')` on a load model this build does not know. */
export function planFromWire(plan: proto.Plan): Plan {
  return { name: plan.name, seed: plan.seed, intervalMs: plan.intervalMs, scenarios: plan.scenarios.map(scenarioFromWire) };
}

export function epochToWire(epoch: Epoch): proto.Epoch {
  return { number: epoch.number, fromUs: epoch.fromUs, owners: [...epoch.owners] };
}

export function epochFromWire(epoch: proto.Epoch): Epoch {
  return { number: epoch.number, fromUs: epoch.fromUs, owners: epoch.owners };
}

function scenarioToWire(scenario: PlannedScenario): proto.Scenario {
  return { name: scenario.name, startUs: scenario.startUs, gracefulStopUs: scenario.gracefulStopUs, load: loadToWire(scenario.load) };
}

function scenarioFromWire(scenario: proto.Scenario): PlannedScenario {
  return { name: scenario.name, startUs: scenario.startUs, gracefulStopUs: scenario.gracefulStopUs, load: loadFromWire(scenario) };
}

function loadToWire(load: Load): NonNullable<proto.Scenario['load']> {
  switch (load.kind) {
    case 'constant-vus':
      return { $case: 'closed', value: { executor: load.kind, vus: load.vus, durationUs: load.durationUs } };
    case 'constant-arrival-rate':
    case 'ramping-arrival-rate':
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
}

function loadFromWire(scenario: proto.Scenario): Load {
  const { load } = scenario;
  if (load?.$case === 'closed' && load.value.executor === 'constant-vus') {
    return { kind: 'constant-vus', vus: load.value.vus, durationUs: load.value.durationUs };
  }
  if (load?.$case === 'open') {
    const { executor, arrivals, timeUnitUs, segments, preAllocatedVus, maxVus } = load.value;
    if (
      (executor === 'constant-arrival-rate' || executor === 'ramping-arrival-rate') &&
      (arrivals === 'uniform' || arrivals === 'poisson')
    ) {
      return { kind: executor, arrivals, timeUnitUs, segments, preAllocatedVus, maxVus };
    }
  }
  throw new AppError('SCENARIO_INVALID', `scenario ${scenario.name}: a load model this version does not know`);
}
