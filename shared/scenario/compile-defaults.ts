import { parseDurationUs } from '../base/index.ts';
import { HTTP_DEFAULTS } from '../plan/index.ts';
import type { ScenarioOverrides } from './overrides.ts';
import type { ProblemList, Report } from './problems.ts';
import { compileHeaders, TIMEOUT_MS_DEFAULT, type RequestDefaults } from './request.ts';
import { defaultsSchema, httpSchema } from './schema.ts';
import type { Scope } from './scope.ts';
import { literalOf } from './template.ts';
import { compileTarget } from './url.ts';

/** `target` and `defaults`. Headers stay as they were written: what they may refer to depends on the step that sends them. */
export function compileDefaults(
  document: Readonly<Record<string, unknown>>,
  overrides: ScenarioOverrides,
  scope: Scope,
  problems: ProblemList,
): RequestDefaults {
  const target =
    overrides.target === undefined
      ? compileTarget(document['target'], scope, (message) => {
          problems.report(['target'], message);
        })
      : compileTarget(overrides.target, scope, (message) => {
          problems.reportFlag('--target', message);
        });
  const shape = defaultsSchema.safeParse(document['defaults'] ?? {});
  const { timeout, headers } = shape.success ? shape.data : {};
  const http = httpSchema.safeParse(document['http'] ?? {});
  return {
    target,
    timeoutMs: durationOr(timeout, TIMEOUT_MS_DEFAULT * 1_000) / 1_000,
    headers: headers ?? {},
    redirects: (http.success ? http.data.redirects : undefined) ?? HTTP_DEFAULTS.redirects,
    auth: http.success ? http.data.auth : undefined,
  };
}

/** The default headers for requests of functions. Captures and rows belong to steps, so here only `env` and `vars` can stand. */
export function functionDefaults(defaults: RequestDefaults, scope: Scope, report: Report): (readonly [name: string, value: string])[] {
  return compileHeaders({}, defaults, undefined, scope, [], report).flatMap(([name, value]) => {
    const literal = literalOf(value);
    if (literal !== undefined) return [[name, literal]];
    report(['defaults', 'headers', name], 'functions send it too, so only ${env.NAME} and ${vars.name} may stand here');
    return [];
  });
}

export function durationOr(text: unknown, byDefaultUs: number): number {
  return (typeof text === 'string' || typeof text === 'number' ? parseDurationUs(text) : undefined) ?? byDefaultUs;
}
