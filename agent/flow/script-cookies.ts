import type { Workload } from '../../shared/plan/index.ts';
import type { CookieOptions, Cookies, Scalar } from '../../shared/scenario/index.ts';
import type { HttpContext, Origin } from '../protocol/index.ts';
import type { CookieJar } from './cookie-jar.ts';
import type { ScriptIteration } from './script-iteration.ts';
import { msOf } from './ms-of.ts';

/** What a function may do with its VU's cookies, as long as its iteration lasts. There is no jar where VUs keep none. */
export function scriptCookies(jar: CookieJar | undefined, iteration: ScriptIteration, workload: Workload, http: HttpContext): Cookies {
  const targetOf = (url: string): { readonly origin: Origin; readonly path: string } => {
    const target = http.parseUrl(url.startsWith('/') ? workload.target + url : url);
    if (target === undefined) throw new TypeError(`cookies of ${JSON.stringify(url)}: expected a path or an http(s) URL`);
    return target;
  };
  return {
    get: (url) => {
      iteration.mustGoOn();
      const { origin, path } = targetOf(url);
      const found = jar?.matching(origin, path) ?? [];
      // Of one name, the one that is sent first counts.
      return Object.fromEntries(found.toReversed().map(({ name, value }) => [name, value]));
    },
    set: (url, name, value, options = {}) => {
      iteration.mustGoOn();
      const { origin, path } = targetOf(url);
      if (jar === undefined) throw new TypeError(`cookie "${name}": http.cookies is off, so that VUs keep none`);
      if (!jar.keep(setCookie(name, value, options), origin, path))
        throw new TypeError(`cookie "${name}": ${origin.host} may not set it for the domain ${JSON.stringify(options.domain)}`);
    },
    clear: () => {
      iteration.mustGoOn();
      jar?.clear();
    },
  };
}

/** Value of a `cookie` header. Throws `TypeError` on what cannot stand in one. */
export function cookieHeader(cookies: Readonly<Record<string, Scalar>>): string {
  return Object.entries(cookies)
    .map(([name, value]) => pairOf(name, value))
    .join('; ');
}

function setCookie(name: string, value: Scalar, { domain, path, secure = false, expiresIn }: CookieOptions): string {
  const parts = [pairOf(name, value)];
  for (const [attribute, text] of [
    ['domain', domain],
    ['path', path],
  ] as const) {
    if (text === undefined) continue;
    if (!TEXT.test(text)) throw new TypeError(`cookie "${name}": illegal ${attribute} ${JSON.stringify(text)}`);
    parts.push(`${attribute}=${text}`);
  }
  if (secure) parts.push('secure');
  if (expiresIn !== undefined) parts.push(`max-age=${Math.ceil(msOf(expiresIn, 'expiresIn ') / 1000)}`);
  return parts.join('; ');
}

function pairOf(name: string, value: Scalar): string {
  const text = String(value);
  if (!NAME.test(name)) throw new TypeError(`cookie ${JSON.stringify(name)}: illegal name`);
  if (!TEXT.test(text))
    throw new TypeError(`cookie "${name}": expected one line of latin-1 text without a semicolon, got ${JSON.stringify(text)}`);
  return `${name}=${text}`;
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TEXT = /^[\x20-\x3a\x3c-\x7e\x80-\xff]*$/;
