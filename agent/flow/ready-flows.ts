import { seedFor, type Plan, type Workload } from '../../shared/plan/index.ts';
import type { HttpContext } from '../protocol/index.ts';
import type { Recorder } from '../recorder.ts';
import type { Actor, Surroundings } from './actor.ts';
import { ScriptActor } from './script-actor.ts';
import { ScriptErrors } from './script-errors.ts';
import { loadScript } from './script-module.ts';
import { StepActor } from './step-actor.ts';
import { readySteps } from './steps.ts';
import { Slots } from './template.ts';
import { WorkloadFiles, type FindStored } from './upload.ts';

/** Every scenario's flow, ready to be run by any number of VUs. */
export interface ReadyFlows {
  createActor(scenario: string, vu: number, around: Surroundings): Actor;
  readonly scriptErrors: ScriptErrors;
}

type MakeActor = (vu: number, around: Surroundings) => Actor;

/** Throws `AppError('SCRIPT_THREW')` when the workload's script cannot be loaded. */
export async function readyFlows(
  workload: Workload,
  plan: Plan,
  recorder: Recorder,
  http: HttpContext,
  findStored: FindStored = () => undefined,
): Promise<ReadyFlows> {
  const scriptErrors = new ScriptErrors();
  const script = workload.script === undefined ? undefined : await loadScript(workload.script);
  const files = new WorkloadFiles(workload.files, findStored);
  const makers = new Map<string, MakeActor>();
  for (const [scenario, flow] of Object.entries(workload.flows)) {
    const seed = seedFor(plan.seed, scenario);
    if (flow.kind === 'steps') {
      const slots = new Slots();
      const steps = readySteps(flow.steps, scenario, recorder, http, files, { slots, rows: workload.rows, seed });
      makers.set(scenario, (vu, around) => new StepActor(vu, steps, slots.count, around, http, seed));
    } else {
      const run = script?.get(flow.scenario);
      if (run === undefined) throw new Error(`the workload's script has no flow for scenario ${scenario}`);
      const context = { scenario, flow: run, workload, seed, recorder, http, scriptErrors, steps: new Map() };
      makers.set(scenario, (vu, around) => new ScriptActor(vu, context, around));
    }
  }
  return {
    scriptErrors,
    createActor(scenario, vu, around) {
      const make = makers.get(scenario);
      if (make === undefined) throw new Error(`no flow for scenario ${scenario}`);
      return make(vu, around);
    },
  };
}
