import type { Template, TemplatePart } from '../plan/index.ts';
import { describe, isMapping } from './describe.ts';
import type { Scope } from './scope.ts';
import { compileTemplate, encode, joined, literalOf, resolveNow } from './template.ts';

/** The base URL for paths: `undefined` when there is none, `broken` when there is one that cannot be used (said already). */
export type Target = { readonly kind: 'url'; readonly url: string } | { readonly kind: 'none' } | { readonly kind: 'broken' };

/** Reads `target`: an http(s) URL without query or fragment. A slash at its end is dropped, since paths begin with one. */
export function compileTarget(text: unknown, scope: Scope, say: (message: string) => void): Target {
  if (text === undefined) return { kind: 'none' };
  const resolved = typeof text === 'string' ? resolveNow(text, scope, say) : undefined;
  if (resolved === undefined) return { kind: 'broken' };
  const problem = whyNotUrl(resolved) ?? (/[?#]/.test(resolved) ? 'a target has no query and no fragment' : undefined);
  if (problem === undefined) return { kind: 'url', url: resolved.replace(/\/+$/, '') };
  say(problem);
  return { kind: 'broken' };
}

/** The whole URL of a step: target joined, query appended, everything percent-encoded for its place. */
export function compileUrl(
  text: string,
  query: unknown,
  target: Target,
  scope: Scope,
  say: (message: string, key?: string) => void,
): Template {
  const url = compileTemplate(text, 'url-text', scope, say);
  const parts = [...withTarget(url, text, target, say), ...compilePairs(query, '&', hasQuery(url) ? '&' : '?', scope, say)];
  if (url.some((part) => typeof part === 'string' && part.includes('#'))) say('a fragment (#…) is never sent to a server');
  const whole = joined(parts);
  const literal = literalOf(whole);
  if (literal !== undefined && /^https?:/i.test(literal)) {
    const problem = whyNotUrl(literal);
    if (problem !== undefined) say(problem);
  }
  return whole;
}

/** `a=1&b=2` with percent-encoded names and values: a query, or a form body. A list repeats its name. */
export function compilePairs(
  pairs: unknown,
  between: string,
  before: string,
  scope: Scope,
  say: (message: string, key?: string) => void,
): TemplatePart[] {
  if (!isMapping(pairs)) return [];
  const parts: TemplatePart[] = [];
  for (const [key, value] of Object.entries(pairs)) {
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
      parts.push(parts.length === 0 ? before : between, `${encode(key, 'url')}=`);
      parts.push(
        ...compileTemplate(String(item), 'url', scope, (message) => {
          say(message, key);
        }),
      );
    }
  }
  return parts;
}

function withTarget(url: Template, text: string, target: Target, say: (message: string) => void): Template {
  const [first] = url;
  // Nothing but references that were refused already.
  if (first === '' && text !== '') return url;
  // A captured link is a whole URL; only the run can tell.
  if (typeof first !== 'string' || /^https?:/i.test(first)) return url;
  if (!first.startsWith('/')) {
    say(`expected a path that begins with "/", or a whole http or https URL, got ${describe(text)}`);
    return url;
  }
  if (target.kind === 'none') say('a path needs a target: give one at the top of the file, or --target URL');
  return target.kind === 'url' ? [target.url, ...url] : url;
}

function hasQuery(url: Template): boolean {
  return url.some((part) => typeof part === 'string' && part.includes('?'));
}

function whyNotUrl(text: string): string | undefined {
  const expected = 'expected a URL such as http://127.0.0.1:8080';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // A TypeError without further reason is all that URL throws.
    return `${expected}, got ${describe(text)}`;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return `${expected}: only http and https are spoken, got ${describe(text)}`;
  if (!/^https?:\/\//i.test(text)) return `${expected}, got ${describe(text)}`;
  if (url.username !== '' || url.password !== '') return 'a URL carries no user and password here: send an authorization header';
  if (url.port === '0') return 'port 0 cannot be reached';
  return undefined;
}
