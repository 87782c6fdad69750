import { parseDurationUs } from '../base/index.ts';
import type { Capture, Check, Method, RequestStep, Template } from '../plan/index.ts';
import { compileBody } from './body.ts';
import { parseCapture } from './capture.ts';
import { parseCheck } from './check.ts';
import { compileCookies } from './cookies.ts';
import { isMapping } from './describe.ts';
import type { Path, Report } from './problems.ts';
import type { Scope } from './scope.ts';
import { compileAuth } from './auth.ts';
import type { AuthDefinition, StepDefinition } from './step-schema.ts';
import { compileTemplate, resolveNow } from './template.ts';
import { compileUrl, type Target } from './url.ts';

/** What every request of the file shares. */
export interface RequestDefaults {
  readonly target: Target;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly redirects: number;
  readonly auth: AuthDefinition | undefined;
}

/** A request that waits longer than this was given up by whoever sent it. */
export const TIMEOUT_MS_DEFAULT = 30_000;

export function compileRequest(
  step: StepDefinition,
  verb: Lowercase<Method>,
  defaults: RequestDefaults,
  scope: Scope,
  path: Path,
  report: Report,
): RequestStep {
  const say = (below: Path, message: string): void => {
    report([...path, ...below], message);
  };
  const written = step[verb] ?? '';
  const method = verb.toUpperCase() as Method;
  const url = compileUrl(written, step.query, defaults.target, scope, (message, key) => {
    say(key === undefined ? [verb] : ['query', key], message);
  });
  const { body, upload, contentType } = compileBody(step, scope, say);
  const cookies = compileCookies(step, scope, path, report);
  const headers = compileHeaders(step, defaults, contentType, scope, path, report).filter(
    ([name]) => cookies === undefined || name.toLowerCase() !== 'cookie',
  );
  if (cookies !== undefined) headers.push(['cookie', cookies]);
  const { auth, bearer } = compileAuth(step, defaults.auth, headers, scope, path, report);
  if (bearer !== undefined) headers.push(['authorization', bearer]);
  const timeoutUs = step.timeout === undefined ? undefined : parseDurationUs(step.timeout);
  return {
    kind: 'request',
    name: step.name ?? `${method} ${written}`.slice(0, NAME_LENGTH_MAX),
    method,
    url,
    headers,
    body,
    upload,
    timeoutMs: timeoutUs === undefined ? defaults.timeoutMs : timeoutUs / 1_000,
    redirects: step.redirects ?? defaults.redirects,
    auth,
    checks: compileChecks(step.check, method, scope, say),
    captures: compileCaptures(step.capture, method, say),
  };
}

/** Names are series tags; a URL of kilobytes would travel with every batch. */
const NAME_LENGTH_MAX = 200;

/** Defaults first, then the step's own, which replace defaults of the same name in any case. */
export function compileHeaders(
  step: StepDefinition,
  defaults: RequestDefaults,
  contentType: string | undefined,
  scope: Scope,
  path: Path,
  report: Report,
): (readonly [string, Template])[] {
  const given = new Map<string, { readonly name: string; readonly value: unknown; readonly path: Path }>();
  if (contentType !== undefined) given.set('content-type', { name: 'content-type', value: contentType, path });
  const sources = [
    [defaults.headers, ['defaults', 'headers']],
    [step.headers ?? {}, [...path, 'headers']],
  ] as const;
  for (const [headers, where] of sources) {
    const names = new Set<string>();
    for (const [name, value] of Object.entries(headers)) {
      const key = name.toLowerCase();
      const problem = whyNotHeaderName(name) ?? (names.has(key) ? `the header "${name}" stands twice, in another case` : undefined);
      if (problem !== undefined) report([...where, name], problem);
      names.add(key);
      given.set(key, { name, value, path: [...where, name] });
    }
  }
  return [...given.values()].map((header) => {
    const say = (message: string): void => {
      report(header.path, message);
    };
    const value = compileTemplate(String(header.value), 'header', scope, say);
    if (value.some((part) => typeof part === 'string' && !/^[\t\x20-\x7e\x80-\xff]*$/.test(part))) {
      say('a header holds one line of latin-1 text: no line breaks, no control characters');
    }
    return [header.name, value];
  });
}

function whyNotHeaderName(name: string): string | undefined {
  if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) return `"${name}" is no legal header name`;
  if (/^(transfer-encoding|content-length)$/i.test(name)) return `"${name}" is written by Muster itself, from the body`;
  return undefined;
}

function compileChecks(checks: unknown, method: Method, scope: Scope, say: (below: Path, message: string) => void): Check[] {
  if (!isMapping(checks)) return [];
  return Object.entries(checks).flatMap(([key, value]) => {
    const tell = (message: string): void => {
      say(['check', key], message);
    };
    const resolved = resolveExpected(value, scope, tell);
    if (resolved === undefined) return [];
    const check = parseCheck(key, resolved);
    if ('problem' in check) tell(check.problem);
    else if (method === 'HEAD' && needsBody(check.subject.kind)) tell('the response to HEAD has no body to check');
    else return [check];
    return [];
  });
}

/** What a check or condition expects, with `env` and `vars` filled in; `undefined` after a problem. */
export function resolveExpected(value: unknown, scope: Scope, tell: (message: string) => void): unknown {
  if (typeof value === 'string') return resolveNow(value, scope, tell);
  if (!Array.isArray(value)) return value ?? null;
  const items: readonly unknown[] = value;
  return items.map((item) => (typeof item === 'string' ? (resolveNow(item, scope, tell) ?? '') : item));
}

function compileCaptures(captures: StepDefinition['capture'], method: Method, say: (below: Path, message: string) => void): Capture[] {
  return Object.entries(captures ?? {}).flatMap(([name, source]) => {
    const capture = parseCapture(name, source);
    if ('problem' in capture) say(['capture', name], capture.problem);
    else if (method === 'HEAD' && capture.from.kind !== 'header')
      say(['capture', name], 'the response to HEAD has no body to capture from');
    else return [capture];
    return [];
  });
}

function needsBody(subject: Check['subject']['kind']): boolean {
  return subject === 'body' || subject === 'json' || subject === 'size';
}
