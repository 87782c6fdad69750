import { SERIES_MAX } from '../../shared/base/index.ts';
import type { Workload } from '../../shared/plan/index.ts';
import type { FlowFunction } from '../../shared/scenario/index.ts';
import type { CustomMetrics } from '../custom-metrics.ts';
import type { HttpContext } from '../protocol/index.ts';
import type { FlowSamples, Recorder, StepRecorder } from '../recorder.ts';
import type { ScriptErrors } from './script-errors.ts';
import type { SetupResult } from './setup-result.ts';

/** Clean-up is counted apart, under the tag `phase`. */
export type Phase = 'flow' | 'finally';

/** What all VUs of one scripted scenario share. */
export interface ScriptContext {
  readonly scenario: string;
  readonly flow: FlowFunction;
  /** Runs after every iteration, however it ended. */
  readonly cleanUp: { readonly run: FlowFunction; readonly limitMs: number; readonly samples: FlowSamples } | undefined;
  readonly workload: Workload;
  readonly seed: number;
  readonly setup: SetupResult;
  readonly recorder: Recorder;
  readonly http: HttpContext;
  readonly scriptErrors: ScriptErrors;
  readonly metrics: CustomMetrics;
  /** By name and method; bounded, see `stepRecorder`. */
  readonly steps: Map<string, StepRecorder>;
}

/** The recorder for a name the script chose; past the bound all new names share one. */
export function stepRecorder({ steps, recorder, scenario }: ScriptContext, phase: Phase, name: string, method: string): StepRecorder {
  const known = steps.get(`${phase} ${method} ${name}`);
  if (known !== undefined) return known;
  const own = steps.size < SERIES_MAX ? name : '(other)';
  const key = `${phase} ${method} ${own}`;
  const shared = steps.get(key);
  if (shared !== undefined) return shared;
  const created = recorder.step(scenario, own, method, phase === 'finally' ? { phase } : {});
  steps.set(key, created);
  return created;
}
