import { parseDurationUs } from '../base/index.ts';
import { type CleanUp, type Flow, type RowSet, type Step } from '../plan/index.ts';
import { FINALLY_LIMIT_US_DEFAULT, withCleanUp } from './compile-finally.ts';
import { compileSteps, type Place } from './compile-steps.ts';
import { expected, isMapping, type Scalar } from './describe.ts';
import type { Path, Report } from './problems.ts';
import type { RequestDefaults } from './request.ts';
import type { Scope } from './scope.ts';

/** What a flow is compiled against, the same for every scenario of the file. */
export interface FlowContext {
  readonly env: Readonly<Record<string, string>>;
  readonly vars: ReadonlyMap<string, Scalar | undefined>;
  readonly rows: ReadonlyMap<string, RowSet | undefined>;
  readonly defaults: RequestDefaults;
  readonly mayBeFunction: boolean;
  /** See `Scope.setup`. */
  readonly setup?: Scope['setup'];
  readonly report: Report;
}

/** The flow of one scenario with its clean-up: lists of steps, or in a module functions. `path` is where the definition stands, `flowPath` where
 *  its flow does. */
export function compileFlow(
  scenario: string,
  definition: Readonly<Record<string, unknown>>,
  context: FlowContext,
  path: Path = ['scenarios', scenario],
  flowPath: Path = [...path, 'flow'],
): Flow {
  const { flow } = definition;
  if (typeof flow === 'function' && context.mayBeFunction) {
    if (definition['pacing'] !== undefined) context.report([...path, 'pacing'], 'pacing goes with a flow of steps, not with a function');
    return withCleanUp({ kind: 'script', scenario }, definition, context.report);
  }
  if (!Array.isArray(flow)) {
    // That it is missing is said with the scenario's other keys.
    const what = context.mayBeFunction ? 'a list of steps, or an async function' : 'a list of steps';
    if (flow !== undefined) context.report(flowPath, expected(what, flow));
    return { kind: 'steps', steps: [] };
  }
  const { env, vars, rows, setup, defaults, report } = context;
  const capturedSomewhere = new Set([...capturedNames(flow), ...capturedNames(definition['finally'])]);
  const place: Place = {
    scope: { env, vars, rows, setup, capturedSomewhere },
    defaults,
    report,
    captured: new Set(),
    items: new Set(),
    hasResponse: false,
  };
  const steps = compileSteps(flow, flowPath, place);
  if (!hasRequest(flow)) report(flowPath, 'expected at least one request in the flow');
  const cleanUp = compileCleanUp(definition, [...path, 'finally'], place);
  const pacingUs = durationOf(definition['pacing']);
  return {
    kind: 'steps',
    steps,
    ...(cleanUp === undefined ? {} : { finally: cleanUp }),
    ...(pacingUs === undefined ? {} : { pacingUs }),
  };
}

/** It may use whatever the flow captured: where that did not get so far, the step that needs the value is left out. */
function compileCleanUp(definition: Readonly<Record<string, unknown>>, path: Path, place: Place): CleanUp | undefined {
  const written = definition['finally'];
  if (written === undefined) {
    if (definition['finallyLimit'] !== undefined)
      place.report([...path.slice(0, -1), 'finallyLimit'], 'there is no finally that it could limit');
    return undefined;
  }
  if (!Array.isArray(written) || written.length === 0) {
    place.report(path, Array.isArray(written) ? 'expected at least one step in finally' : expected('a list of steps', written));
    return undefined;
  }
  const steps: readonly Step[] = compileSteps(written, path, place);
  return { steps, limitUs: durationOf(definition['finallyLimit']) ?? FINALLY_LIMIT_US_DEFAULT };
}

/** Anything but pauses counts: what is wrong with it is said elsewhere. */
function hasRequest(flow: readonly unknown[]): boolean {
  return !flow.every((step) => isMapping(step) && step['think'] !== undefined && Object.keys(step).length === 1);
}

/** Names under every `capture` of a tree of steps. */
function capturedNames(written: unknown): string[] {
  if (Array.isArray(written)) return written.flatMap(capturedNames);
  if (!isMapping(written)) return [];
  return Object.entries(written).flatMap(([key, below]) => {
    if (key === 'capture') return isMapping(below) ? Object.keys(below) : [];
    // A body is data: what looks like a step in it is none.
    return key === 'json' ? [] : capturedNames(below);
  });
}

function durationOf(written: unknown): number | undefined {
  return typeof written === 'string' || typeof written === 'number' ? parseDurationUs(written) : undefined;
}
