import type { Auth, Template } from '../plan/index.ts';
import type { Path, Report } from './problems.ts';
import type { AuthDefinition, StepDefinition } from './step-schema.ts';
import type { Scope } from './scope.ts';
import { compileTemplate } from './template.ts';

export interface CompiledAuth {
  readonly auth: Auth | undefined;
  /** Value of `authorization`, which needs nothing but its text. */
  readonly bearer: Template | undefined;
}

/** Who a step says it is: its own `auth`, else the file's. A step that sets the header itself needs none of it. */
export function compileAuth(
  step: StepDefinition,
  ofFile: AuthDefinition | undefined,
  headers: readonly (readonly [name: string, value: Template])[],
  scope: Scope,
  path: Path,
  report: Report,
): CompiledAuth {
  const nobody: CompiledAuth = { auth: undefined, bearer: undefined };
  if (step.auth === 'none') return nobody;
  const hasHeader = headers.some(([name]) => name.toLowerCase() === 'authorization');
  if (hasHeader && step.auth !== undefined) report([...path, 'auth'], 'the step has an authorization header already: give one of both');
  const given = step.auth ?? ofFile;
  if (hasHeader || given === undefined) return nobody;
  const where: Path = step.auth === undefined ? ['http', 'auth'] : [...path, 'auth'];
  const kinds = (['basic', 'digest', 'bearer'] as const).filter((kind) => given[kind] !== undefined);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    report(where, `expected one of basic, digest and bearer, got ${kind === undefined ? 'none of them' : kinds.join(' and ')}`);
    return nobody;
  }
  const say = (message: string): void => {
    report(where, message);
  };
  if (kind === 'bearer') return { auth: undefined, bearer: ['Bearer ', ...compileTemplate(given.bearer ?? '', 'header', scope, say)] };
  const { user = '', password = '' } = given[kind] ?? {};
  // RFC 7617, 2: the first colon is where the password begins.
  if (user.includes(':')) say('a user name holds no colon');
  return {
    auth: { kind, user: compileTemplate(user, 'text', scope, say), password: compileTemplate(password, 'text', scope, say) },
    bearer: undefined,
  };
}
