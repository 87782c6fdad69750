import { parseDurationUs } from '../base/index.ts';
import { METHODS, type Flow, type Method, type RowSet, type Step, type ThinkStep } from '../plan/index.ts';
import { describe, expected, isMapping, listed, type Scalar } from './describe.ts';
import type { Path, Report } from './problems.ts';
import { compileRequest, type RequestDefaults } from './request.ts';
import { DURATION_MAX_US, readStep, type StepDefinition } from './schema.ts';
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

/** A list of steps, or in a module a function. Every step is checked even when others are wrong. */
export function compileFlow(scenario: string, flow: unknown, context: FlowContext, path: Path = ['scenarios', scenario, 'flow']): Flow {
  if (typeof flow === 'function' && context.mayBeFunction) return { kind: 'script', scenario };
  if (!Array.isArray(flow)) {
    // That it is missing is said with the scenario's other keys.
    const what = context.mayBeFunction ? 'a list of steps, or an async function' : 'a list of steps';
    if (flow !== undefined) context.report(path, expected(what, flow));
    return { kind: 'steps', steps: [] };
  }
  const written: readonly unknown[] = flow;
  const capturedSomewhere = new Set(written.flatMap(capturedNames));
  const captured = new Set<string>();
  // Grows from step to step: a reference sees what stood in it when its step was compiled.
  const scope: Scope = { env: context.env, vars: context.vars, rows: context.rows, setup: context.setup, captured, capturedSomewhere };
  const steps: Step[] = [];
  for (const [i, raw] of written.entries()) {
    const step = readStep(raw, [...path, i], context.report);
    if (step !== undefined) {
      const compiled = compileStep(step, scope, [...path, i], context);
      if (compiled !== undefined) steps.push(compiled);
    }
    for (const name of capturedNames(raw)) captured.add(name);
  }
  if (written.every((step) => isMapping(step) && step['think'] !== undefined)) {
    context.report(path, 'expected at least one request in the flow');
  }
  return { kind: 'steps', steps };
}

const VERBS = METHODS.map((method) => method.toLowerCase() as Lowercase<Method>);
const KINDS = [...VERBS, 'think'] as const;

function compileStep(step: StepDefinition, scope: Scope, path: Path, context: FlowContext): Step | undefined {
  const kinds = KINDS.filter((kind) => step[kind] !== undefined);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    context.report(
      path,
      `a step is exactly one of ${listed(KINDS, 'or')}, got ${kind === undefined ? 'none of them' : kinds.join(' and ')}`,
    );
    return undefined;
  }
  if (kind !== 'think') return compileRequest(step, kind, context.defaults, scope, path, context.report);
  for (const key of Object.keys(step)) {
    if (key !== 'think') context.report([...path, key], `a think step has nothing but think, got ${describe(key)}`);
  }
  return compileThink(step.think, [...path, 'think'], context.report);
}

function compileThink(text: unknown, path: Path, report: Report): ThinkStep | undefined {
  const parts = typeof text === 'string' ? text.split('..') : [text];
  const bounds = parts.map((part) => (typeof part === 'string' || typeof part === 'number' ? parseDurationUs(part) : undefined));
  const [minUs, maxUs = minUs] = bounds;
  if (parts.length > 2 || minUs === undefined || maxUs === undefined || bounds.includes(undefined) || maxUs > DURATION_MAX_US) {
    report(path, expected('a pause such as 1s, or a span such as 1s..3s', text));
    return undefined;
  }
  if (maxUs < minUs) {
    report(path, `the span ${describe(text)} ends before it begins`);
    return undefined;
  }
  return { kind: 'think', minUs, maxUs };
}

function capturedNames(step: unknown): string[] {
  return isMapping(step) && isMapping(step['capture']) ? Object.keys(step['capture']) : [];
}
