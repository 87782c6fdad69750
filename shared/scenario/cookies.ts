import type { Template } from '../plan/index.ts';
import type { Path, Report } from './problems.ts';
import type { Scope } from './scope.ts';
import type { StepDefinition } from './step-schema.ts';
import { compileTemplate, joined } from './template.ts';

/** Value of the `cookie` header that a step's own `cookies` come to; `undefined` without any. */
export function compileCookies(step: StepDefinition, scope: Scope, path: Path, report: Report): Template | undefined {
  const { cookies = {}, headers = {} } = step;
  const own = Object.keys(headers).some((name) => name.toLowerCase() === 'cookie');
  if (own && step.cookies !== undefined) report([...path, 'cookies'], 'the step has a cookie header already: give one of both');
  const pairs = Object.entries(cookies).map(([name, value]) => {
    const say = (message: string): void => {
      report([...path, 'cookies', name], message);
    };
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) say(`"${name}" is no legal name of a cookie`);
    const template = compileTemplate(String(value), 'cookie', scope, say);
    if (template.some((part) => typeof part === 'string' && !/^[\x20-\x7e\x80-\xff]*$/.test(part)))
      say('a cookie holds one line of latin-1 text: no line breaks, no control characters');
    return [`${name}=`, ...template];
  });
  return pairs.length === 0 ? undefined : joined(pairs.flatMap((pair, i) => (i === 0 ? pair : ['; ', ...pair])));
}
