import type { RequestBody } from './body.ts';
import type { HttpContext } from './context.ts';
import type { Exchange, Origin } from './exchange.ts';
import { buildHead } from './http1/request-head.ts';

/** A request as it goes into an exchange. */
export interface WireRequest {
  readonly origin: Origin;
  readonly head: string;
  readonly body: RequestBody | undefined;
  readonly isHead: boolean;
}

type Field = readonly [name: string, value: string];

/** The request that a redirect leads to; `undefined` when the answer is none, or leads to nothing that can be requested.
 *  RFC 9110, 15.4: 303 makes everything a GET, 301 and 302 do so to POST as all browsers do, 307 and 308 repeat the request as it was.
 *  What belongs to one origin, credentials above all, is not told to another. */
export function followRedirect(exchange: Exchange, http: HttpContext): WireRequest | undefined {
  const { status, location, origin, body } = exchange;
  if (location === '' || !REDIRECTS.has(status)) return undefined;
  const { method, path, fields } = parseHead(exchange.head);
  const url = resolve(location, `${origin.isTls ? 'https' : 'http'}://${origin.authority}${path}`);
  const target = url === undefined ? undefined : http.parseUrl(url);
  if (target === undefined) return undefined;
  const isSameOrigin = target.origin === origin;
  const becomesGet = (status === 303 && method !== 'HEAD') || ((status === 301 || status === 302) && method === 'POST');
  const kept = fields.filter(([name, value]) => {
    const lowerCase = name.toLowerCase();
    if (lowerCase === 'content-length' || (becomesGet && lowerCase.startsWith('content-'))) return false;
    if (lowerCase === 'host') return isSameOrigin && value !== origin.authority;
    // An answer to a digest challenge is for one path only.
    if (lowerCase === 'authorization' && /^digest /i.test(value)) return false;
    return isSameOrigin || !CREDENTIALS.has(lowerCase);
  });
  const nextMethod = becomesGet ? 'GET' : method;
  const nextBody = becomesGet ? undefined : body;
  const head = buildHead(nextMethod, target.path, target.origin, kept, nextBody?.length);
  return head === undefined ? undefined : { origin: target.origin, head, body: nextBody, isHead: nextMethod === 'HEAD' };
}

/** The same request once more, with one more field. */
export function withHeader(exchange: Exchange, name: string, value: string): WireRequest | undefined {
  const { method, path, fields } = parseHead(exchange.head);
  const head = buildHead(method, path, exchange.origin, [...fields, [name, value]], exchange.body?.length);
  return head === undefined ? undefined : { origin: exchange.origin, head, body: exchange.body, isHead: exchange.isHead };
}

function requestLine(head: string): { readonly method: string; readonly path: string } {
  const [method = '', path = ''] = head.slice(0, head.indexOf('\r\n')).split(' ');
  return { method, path };
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization']);

/** Reads back a head that `buildHead` wrote. */
function parseHead(head: string): { readonly method: string; readonly path: string; readonly fields: readonly Field[] } {
  const fields = head
    .split('\r\n')
    .slice(1, -2)
    .map((line): Field => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
  return { ...requestLine(head), fields };
}

/** Relative to where it was said; `undefined` for no URL at all. */
function resolve(location: string, base: string): string | undefined {
  return URL.canParse(location, base) ? new URL(location, base).href : undefined;
}
