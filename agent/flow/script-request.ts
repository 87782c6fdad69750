import { SERIES_MAX } from '../../shared/base/index.ts';
import type { Workload } from '../../shared/plan/index.ts';
import type { HttpMethod, RequestBody, RequestOptions } from '../../shared/scenario/index.ts';
import { CLEAN_UP_TAGS } from '../../shared/stats/index.ts';
import { buildHead, HeadMemo, type HttpContext, type WireRequest } from '../protocol/index.ts';
import type { FlowSamples, Recorder, StepRecorder } from '../recorder.ts';
import { msOf } from './ms-of.ts';
import { cookieHeader } from './script-cookies.ts';
import type { ReadyRequest } from './steps.ts';

/** One request as a script asked for it. */
export interface ScriptRequest extends ReadyRequest {
  /** Tag `name` of the results. */
  readonly name: string;
}

/** What the requests of one scenario's functions are made ready with. */
export interface ScriptRequestSources {
  readonly scenario: string;
  readonly workload: Workload;
  readonly http: HttpContext;
  readonly recorder: Recorder;
  /** Where the bytes of clean-up are counted; its requests are then tagged as clean-up too. */
  readonly apart: FlowSamples | undefined;
}

/** Requests without body and options are made ready once. Past this many they are forgotten and made again: scripts may make URLs up. */
const PLAIN_MAX = 1_024;

/** Makes ready what the functions of one scenario ask for. */
export class ScriptRequests {
  private readonly sources: ScriptRequestSources;
  private readonly plain = new Map<HttpMethod, Map<string, ScriptRequest>>();
  /** By method and name; bounded, see `recorderFor`. */
  private readonly recorders = new Map<string, StepRecorder>();

  constructor(sources: ScriptRequestSources) {
    this.sources = sources;
  }

  /** Throws `TypeError` on options that mean nothing: a mistake of the author, not of the network. */
  request(method: HttpMethod, url: string, body?: RequestBody, options?: RequestOptions): ScriptRequest {
    if (body !== undefined || options !== undefined) return this.make(method, url, body, options ?? {});
    let ofMethod = this.plain.get(method);
    if (ofMethod === undefined) {
      ofMethod = new Map<string, ScriptRequest>();
      this.plain.set(method, ofMethod);
    }
    const known = ofMethod.get(url);
    if (known !== undefined) return known;
    if (ofMethod.size >= PLAIN_MAX) ofMethod.clear();
    const kept = copyOf(url);
    const made = this.make(method, kept, undefined, {}, new HeadMemo());
    ofMethod.set(kept, made);
    return made;
  }

  private make(
    method: HttpMethod,
    url: string,
    body: RequestBody | undefined,
    options: RequestOptions,
    headMemo?: HeadMemo,
  ): ScriptRequest {
    const { workload, http, apart } = this.sources;
    const name = options.name ?? `${method} ${url.split('?', 1)[0] ?? url}`;
    const wire = wireRequest(workload, http, method, url, body, options);
    return {
      name,
      recorder: this.recorderFor(name, method),
      apart,
      isHead: method === 'HEAD',
      redirects: options.redirects ?? workload.http.redirects,
      digest: undefined,
      timeoutMs: options.timeout === undefined ? workload.defaults.timeoutMs : msOf(options.timeout, 'timeout '),
      checks: [],
      captures: [],
      checksStatus: false,
      keepHeaders: true,
      keepBody: true,
      headMemo,
      isLookedAt: false,
      constant: wire,
      render: () => wire,
    };
  }

  /** The recorder for a name that the script chose; past the bound all new names share one. */
  private recorderFor(name: string, method: HttpMethod): StepRecorder {
    const { recorders } = this;
    const known = recorders.get(`${method} ${name}`);
    if (known !== undefined) return known;
    const own = recorders.size < SERIES_MAX ? name : '(other)';
    const key = `${method} ${own}`;
    const shared = recorders.get(key);
    if (shared !== undefined) return shared;
    const { recorder, scenario, apart } = this.sources;
    const created = recorder.step(scenario, own, method, apart === undefined ? {} : CLEAN_UP_TAGS);
    recorders.set(key, created);
    return created;
  }
}

/** A string of its own: a URL that was cut out of a page would hold the whole page. */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}

/** `undefined` when no request can be made of what was asked. */
function wireRequest(
  workload: Workload,
  http: HttpContext,
  method: HttpMethod,
  url: string,
  body: RequestBody | undefined,
  options: RequestOptions,
): WireRequest | undefined {
  const headers = headersOf(workload, body, options);
  const target = http.parseUrl(url.startsWith('/') ? workload.target + url : url);
  if (target === undefined) return undefined;
  const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const head = buildHead(method, target.path, target.origin, headers, bytes?.length);
  return head === undefined ? undefined : { origin: target.origin, head, body: bytes, isHead: method === 'HEAD' };
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
