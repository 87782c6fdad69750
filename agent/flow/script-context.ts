import type { Workload } from '../../shared/plan/index.ts';
import type { FlowFunction } from '../../shared/scenario/index.ts';
import type { CustomMetrics } from '../custom-metrics.ts';
import type { HttpContext } from '../protocol/index.ts';
import type { FlowSamples } from '../recorder.ts';
import type { ScriptErrors } from './script-errors.ts';
import type { ScriptRequests } from './script-request.ts';
import type { SetupResult } from './setup-result.ts';

/** Clean-up is counted apart, under the tag `phase`. */
export type Phase = 'flow' | 'finally';

/** What all VUs of one scripted scenario share. */
export interface ScriptContext {
  readonly scenario: string;
  readonly flow: ScriptPart;
  /** Runs after every iteration, however it ended. */
  readonly cleanUp: CleanUpPart | undefined;
  readonly workload: Workload;
  readonly seed: number;
  readonly setup: SetupResult;
  readonly http: HttpContext;
  readonly scriptErrors: ScriptErrors;
  readonly metrics: CustomMetrics;
}

/** A function of the author's, and what it may ask for. */
export interface ScriptPart {
  readonly run: FlowFunction;
  readonly requests: ScriptRequests;
}

export interface CleanUpPart extends ScriptPart {
  readonly limitMs: number;
  readonly samples: FlowSamples;
}
