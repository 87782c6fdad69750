import { seedFor, type Plan, type ScriptFlow, type Workload } from '../../shared/plan/index.ts';
import type { FlowFunction } from '../../shared/scenario/index.ts';
import { CustomMetrics } from '../custom-metrics.ts';
import type { HttpContext } from '../protocol/index.ts';
import type { Recorder } from '../recorder.ts';
import type { Actor, Surroundings } from './actor.ts';
import { CleanUpRecorder } from './clean-up-recorder.ts';
import { compileProgram } from './program.ts';
import { ScriptActor } from './script-actor.ts';
import type { CleanUpPart, ScriptContext } from './script-context.ts';
import { ScriptErrors } from './script-errors.ts';
import { loadScript, type LoadedScript } from './script-module.ts';
import { ScriptRequests, type ScriptRequestSources } from './script-request.ts';
import { SetupResult } from './setup-result.ts';
import { StepActor } from './step-actor.ts';
import { strayThrows } from './stray-throws.ts';
import { Slots } from './template.ts';
import { WorkloadFiles, type FindStored } from './upload.ts';

/** Every scenario's flow, ready to be run by any number of VUs. */
export interface ReadyFlows {
  createActor(scenario: string, vu: number, around: Surroundings): Actor;
  /** What an actor of a flow of steps has captured, by name. */
  captures(scenario: string, actor: Actor): Record<string, unknown>;
  readonly scriptErrors: ScriptErrors;
}

/** What flows are made ready with, beside the workload. */
export interface FlowParts {
  /** The workload's script, where it is loaded already. */
  readonly script?: LoadedScript | undefined;
  readonly setup?: SetupResult | undefined;
  /** Finds the workload's large files; there are none without it. */
  readonly findStored?: FindStored | undefined;
  /** Where throws are counted; strays are the run's, so whoever gives this looks after them. */
  readonly scriptErrors?: ScriptErrors | undefined;
}

type MakeActor = (vu: number, around: Surroundings) => Actor;

/** Throws `AppError('SCRIPT_THREW')` when the workload's script cannot be loaded. */
export async function readyFlows(
  workload: Workload,
  plan: Plan,
  recorder: Recorder,
  http: HttpContext,
  parts: FlowParts = {},
): Promise<ReadyFlows> {
  const script = parts.script ?? (workload.script === undefined ? undefined : await loadScript(workload.script));
  const scriptErrors = parts.scriptErrors ?? new ScriptErrors(script?.origin);
  if (script?.origin !== undefined && parts.scriptErrors === undefined) strayThrows.watch(scriptErrors);
  const setup = parts.setup ?? new SetupResult();
  const files = new WorkloadFiles(workload.files, parts.findStored ?? (() => undefined));
  const makers = new Map<string, MakeActor>();
  const slotsOf = new Map<string, Slots>();
  for (const [scenario, flow] of Object.entries(workload.flows)) {
    const seed = seedFor(plan.seed, scenario);
    if (flow.kind === 'steps') {
      const slots = new Slots();
      slotsOf.set(scenario, slots);
      const program = compileProgram(flow, scenario, recorder, { slots, rows: workload.rows, seed, setup, http, files });
      const context = { program, slots: slots.count, http, cookies: workload.http.cookies, seed, errors: scriptErrors };
      makers.set(scenario, (vu, around) => new StepActor(vu, context, around));
    } else {
      const run = script?.flows.get(flow.scenario);
      if (run === undefined) throw new Error(`the workload's script has no flow for scenario ${scenario}`);
      const sources = { scenario, workload, http, recorder };
      const context: ScriptContext = {
        scenario,
        flow: { run, requests: new ScriptRequests({ ...sources, apart: undefined }) },
        cleanUp: cleanUpPart(script?.cleanUps.get(flow.scenario), flow, sources),
        workload,
        seed,
        setup,
        http,
        scriptErrors,
        metrics: new CustomMetrics(recorder, scenario, plan.metrics ?? {}),
      };
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
    captures: (scenario, actor) => (actor instanceof StepActor ? (slotsOf.get(scenario)?.named(actor.captured) ?? {}) : {}),
  };
}

function cleanUpPart(
  run: FlowFunction | undefined,
  { finallyLimitUs }: ScriptFlow,
  sources: Omit<ScriptRequestSources, 'apart'>,
): CleanUpPart | undefined {
  if (run === undefined) return undefined;
  const samples = new CleanUpRecorder(sources.recorder, sources.scenario);
  return { run, limitMs: (finallyLimitUs ?? 0) / 1000, samples, requests: new ScriptRequests({ ...sources, apart: samples }) };
}
