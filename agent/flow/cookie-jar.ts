import { createRequire } from 'node:module';
import type * as ToughCookie from 'tough-cookie';
import type { Clock } from '../../shared/base/index.ts';
import type { CookiePolicy } from '../../shared/plan/index.ts';
import type { Exchange, Origin } from '../protocol/index.ts';

/** Required, not imported: for an import Node searches the whole list of public suffixes for names of exports. Every agent would pay 100 ms of
 *  CPU at its start instead of 35. */
const { Cookie, defaultPath, getPublicSuffix, pathMatch } = createRequire(import.meta.url)('tough-cookie') as typeof ToughCookie;

/** Cookies that one VU keeps; past this the one kept longest goes. The number that RFC 6265, 6.1 asks of a user agent. */
const COOKIES_MAX = 3_000;
/** Name and value together; a longer cookie is not kept, as browsers do it. */
const COOKIE_LENGTH_MAX = 4_096;

/** A cookie that one VU holds. */
interface KeptCookie {
  readonly name: string;
  readonly value: string;
  /** The host that set it, or the domain it was set for. */
  readonly domain: string;
  readonly isHostOnly: boolean;
  readonly path: string;
  readonly isSecure: boolean;
  /** Since the epoch; `Infinity` for one without an end. */
  readonly expiresMs: number;
}

/** The cookies of one VU (RFC 6265, section 5). What needs a list or a grammar is tough-cookie's: public suffixes, dates, `Set-Cookie` lines,
 *  paths. The store is ours: the library's reads the whole URL and its public suffix for every request, which
 *  costs 12 µs (more than the request itself over HTTP/1.1), this one 0.6 µs with one cookie and 1.7 with five. An empty jar costs one comparison. */
export class CookieJar {
  private readonly clock: Clock;
  private readonly isFreshPerIteration: boolean;
  /** In the order in which they were first set. */
  private kept: KeptCookie[] = [];

  constructor(clock: Clock, isFreshPerIteration: boolean) {
    this.clock = clock;
    this.isFreshPerIteration = isFreshPerIteration;
  }

  get isEmpty(): boolean {
    return this.kept.length === 0;
  }

  beginIteration(): void {
    if (this.isFreshPerIteration) this.clear();
  }

  clear(): void {
    if (this.kept.length > 0) this.kept = [];
  }

  /** Keeps what the answer of an exchange sets. Lines that are no cookies, or not for this host to set, are left out without a word, as the
   *  standard has it. */
  takeFrom({ setCookies = [], origin, head }: Exchange): void {
    const target = targetOf(head);
    for (const line of setCookies) this.keep(line, origin, target);
  }

  /** Keeps the cookie of one `Set-Cookie` line, or removes it when it is over already. `target`: path, and query if any, that the line
   *  answers. False when the line is no cookie, or not for this host to set. */
  keep(line: string, { host }: Origin, target: string): boolean {
    const cookie = Cookie.parse(line);
    if (cookie === undefined || cookie.key.length + cookie.value.length > COOKIE_LENGTH_MAX) return false;
    const scope = scopeOf(cookie.domain, host);
    if (scope === undefined) return false;
    const { key: name, value, secure: isSecure } = cookie;
    const path = cookie.path ?? defaultPath(pathOf(target));
    const nowMs = this.clock.nowUs() / 1000;
    const expiresMs = cookie.expiryTime(new Date(nowMs)) ?? Infinity;
    const at = this.kept.findIndex((other) => other.name === name && other.domain === scope.domain && other.path === path);
    if (expiresMs <= nowMs) {
      if (at >= 0) this.kept.splice(at, 1);
      return true;
    }
    const kept = { name, value, ...scope, path, isSecure, expiresMs };
    if (at >= 0) this.kept[at] = kept;
    else {
      if (this.kept.length >= COOKIES_MAX) this.kept.shift();
      this.kept.push(kept);
    }
    return true;
  }

  /** Those that go with a request, in the order in which they are sent: longer paths first, then those set earlier. */
  matching({ host, isTls }: Origin, target: string): readonly KeptCookie[] {
    const path = pathOf(target);
    const nowMs = this.clock.nowUs() / 1000;
    const found: KeptCookie[] = [];
    let hasExpired = false;
    for (const cookie of this.kept) {
      if (cookie.expiresMs <= nowMs) hasExpired = true;
      else if (
        (isTls || !cookie.isSecure) &&
        (cookie.domain === host || (!cookie.isHostOnly && isBelow(host, cookie.domain))) &&
        pathMatch(path, cookie.path)
      )
        found.push(cookie);
    }
    if (hasExpired) this.kept = this.kept.filter(({ expiresMs }) => expiresMs > nowMs);
    return found.length < 2 ? found : found.sort((a, b) => b.path.length - a.path.length);
  }

  /** A request head with the cookies that go with it. What its own `cookie` header names stays as the request has it. */
  addTo({ head, origin }: { readonly head: string; readonly origin: Origin }): string {
    const found = this.matching(origin, targetOf(head));
    if (found.length === 0) return head;
    const own = OWN_COOKIES.exec(head);
    if (own === null) return `${head.slice(0, -2)}cookie: ${written(found)}\r\n\r\n`;
    const [field, value = ''] = own;
    const names = new Set(value.split(';').map((pair) => pair.split('=', 1)[0]?.trim()));
    const others = found.filter(({ name }) => !names.has(name));
    if (others.length === 0) return head;
    const end = own.index + field.length;
    return `${head.slice(0, end)}${value === '' ? '' : '; '}${written(others)}${head.slice(end)}`;
  }
}

/** `undefined` where VUs keep none. */
export function newCookieJar(policy: CookiePolicy, clock: Clock): CookieJar | undefined {
  return policy === 'off' ? undefined : new CookieJar(clock, policy !== 'per-vu');
}

const OWN_COOKIES = /\r\ncookie: ([^\r]*)/i;

function written(cookies: readonly KeptCookie[]): string {
  return cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
}

/** Hosts have come through a URL parser, which takes every name that ends in a number for an address. `isIP` of Node reads addresses with an
 *  expression that takes 7 ms to compile, in the middle of the load. */
const ADDRESS = /:|\.\d+$/;

/** Whom a cookie of `host` is for that asks for the domain `asked`; `undefined` when `host` may not set it (RFC 6265, 5.3). */
function scopeOf(asked: string | null, host: string): Pick<KeptCookie, 'domain' | 'isHostOnly'> | undefined {
  const own = { domain: host, isHostOnly: true };
  if (asked === null) return own;
  // Names without a registry (`localhost`, addresses) are their own suffix. Nobody may set a cookie for all of one, but each for itself.
  if (getPublicSuffix(asked, { allowSpecialUseDomain: true, ignoreError: true }) === undefined) return asked === host ? own : undefined;
  const isWithin = asked === host || (!ADDRESS.test(host) && isBelow(host, asked));
  return isWithin ? { domain: asked, isHostOnly: false } : undefined;
}

function isBelow(host: string, domain: string): boolean {
  return host.endsWith(domain) && host[host.length - domain.length - 1] === '.';
}

/** The request target of a head. */
function targetOf(head: string): string {
  const from = head.indexOf(' ') + 1;
  return head.slice(from, head.indexOf(' ', from));
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}
