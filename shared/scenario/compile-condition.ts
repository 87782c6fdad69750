import type { Condition, ConditionTerm } from '../plan/index.ts';
import { parseCheck, parseTest } from './check.ts';
import { describe, expected, isMapping } from './describe.ts';
import type { Path, Report } from './problems.ts';
import { resolveExpected } from './request.ts';
import { lookUp, type Scope } from './scope.ts';
import { soleExpression } from './template.ts';

/** A condition is written like a check: a mapping of what to look at to what it must be. It may look at a reference, and at the last
 *  response as a check does. Everything that is wrong is reported, term by term. */
export function compileCondition(written: unknown, scope: Scope, path: Path, report: Report, hasResponse: boolean): Condition {
  if (!isMapping(written) || Object.keys(written).length === 0) {
    // Another shape than a mapping was reported with the step.
    if (isMapping(written)) report(path, expected('a condition such as { "${state}": ACTIVE } or { status: 200 }', written));
    return [];
  }
  return Object.entries(written).flatMap(([key, value]) => {
    const tell = (message: string): void => {
      report([...path, key], message);
    };
    const wanted = resolveExpected(value, scope, tell);
    const term = key.includes('${') ? valueTerm(key, wanted, scope) : responseTerm(key, wanted, hasResponse);
    if (term !== undefined && 'problem' in term) tell(term.problem);
    return term === undefined || 'problem' in term || wanted === undefined ? [] : [term];
  });
}

type Term = ConditionTerm | { readonly problem: string } | undefined;

function valueTerm(key: string, wanted: unknown, scope: Scope): Term {
  const expression = soleExpression(key);
  if (expression === undefined) return { problem: `a condition looks at one reference such as "\${state}", got ${describe(key)}` };
  const found = lookUp(expression, scope);
  if (found.kind === 'problem') return { problem: found.message };
  if (found.kind === 'unknown' || wanted === undefined) return undefined;
  const test = parseTest(wanted, 'json');
  if ('problem' in test) return test;
  if (found.kind === 'value') return { subject: { kind: 'constant', value: found.value }, test };
  return { subject: { kind: 'value', value: { ...found.reference, as: 'text' } }, test };
}

function responseTerm(key: string, wanted: unknown, hasResponse: boolean): Term {
  if (wanted === undefined) return undefined;
  const check = parseCheck(key, wanted);
  if ('problem' in check) return { problem: check.problem.replace(/^a check is about /, 'a condition is about "${name}", ') };
  if (!hasResponse) return { problem: 'no request comes before this condition, so there is no response to look at' };
  return { subject: check.subject, test: check.test };
}
