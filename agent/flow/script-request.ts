import type { Workload } from '../../shared/plan/index.ts';
import type { HttpMethod, RequestBody, RequestOptions } from '../../shared/scenario/index.ts';
import { buildHead, newExchange, type Exchange, type HttpContext } from '../protocol/index.ts';
import { msOf } from './ms-of.ts';
import { cookieHeader } from './script-cookies.ts';

/** One request as a script asked for it. */
export interface ScriptRequest {
  /** Filled in, but for the answer; with the error `bad-url` when no request can be made of what was asked. */
  readonly exchange: Exchange;
  /** Tag `name` of the results. */
  readonly name: string;
  readonly method: HttpMethod;
  readonly redirects: number;
}

/** Throws `TypeError` on options that mean nothing: a mistake of the author, not of the network. */
export function readRequest(
  workload: Workload,
  http: HttpContext,
  method: HttpMethod,
  url: string,
  body: RequestBody | undefined,
  options: RequestOptions,
): ScriptRequest {
  const exchange = newExchange();
  exchange.isHead = method === 'HEAD';
  exchange.keepHeaders = true;
  exchange.keepBody = true;
  exchange.timeoutMs = options.timeout === undefined ? workload.defaults.timeoutMs : msOf(options.timeout, 'timeout ');
  const target = http.parseUrl(url.startsWith('/') ? workload.target + url : url);
  const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const head =
    target === undefined ? undefined : buildHead(method, target.path, target.origin, headersOf(workload, body, options), bytes?.length);
  if (target === undefined || head === undefined) exchange.error = 'bad-url';
  else {
    exchange.origin = target.origin;
    exchange.head = head;
    exchange.body = bytes;
  }
  const name = options.name ?? `${method} ${url.split('?', 1)[0] ?? url}`;
  return { exchange, name, method, redirects: options.redirects ?? workload.http.redirects };
}

function headersOf(workload: Workload, body: RequestBody | undefined, options: RequestOptions): (readonly [string, string])[] {
  const headers = new Map<string, readonly [string, string]>();
  for (const [name, value] of workload.defaults.headers) headers.set(name.toLowerCase(), [name, value]);
  if (body !== undefined && typeof body !== 'string') headers.set('content-type', ['content-type', 'application/json']);
  for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name.toLowerCase(), [name, String(value)]);
  if (options.cookies !== undefined) {
    if (Object.keys(options.headers ?? {}).some((name) => name.toLowerCase() === 'cookie'))
      throw new TypeError('the request has a cookie header already: give it or cookies');
    const value = cookieHeader(options.cookies);
    if (value !== '') headers.set('cookie', ['cookie', value]);
  }
  return [...headers.values()];
}
