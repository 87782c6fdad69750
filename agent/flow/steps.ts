import type { Method, RequestStep } from '../../shared/plan/index.ts';
import { buildHead, HeadMemo, type HttpContext, type WireRequest } from '../protocol/index.ts';
import type { FlowSamples, StepRecorder } from '../recorder.ts';
import { basicAuthorization, readyDigest, type ReadyDigest } from './auth.ts';
import { readyCapture, type Finder } from './captures.ts';
import { readyCheck, type ReadyCheck } from './checks.ts';
import { readyUpload, type ReadyUpload, type WorkloadFiles } from './upload.ts';
import { readyTemplate, type ReadyTemplate, type TemplateSources, type Values } from './template.ts';

/** A request step made ready once per scenario and shared by its VUs: everything constant is computed here, not per request. */
export interface ReadyRequest {
  readonly recorder: StepRecorder;
  /** Where its bytes and checks are counted, when not with those of its scenario. */
  readonly apart: FlowSamples | undefined;
  readonly isHead: boolean;
  readonly redirects: number;
  readonly digest: ReadyDigest | undefined;
  readonly timeoutMs: number;
  readonly checks: readonly ReadyCheck[];
  readonly captures: readonly { readonly slot: number; readonly find: Finder }[];
  /** A check on the status decides what is expected; without one, 400 and above are failures. */
  readonly checksStatus: boolean;
  readonly keepHeaders: boolean;
  readonly keepBody: boolean;
  /** What it was answered with last, whoever of its VUs sent it. */
  readonly headMemo: HeadMemo | undefined;
  /** A condition may look at the response after the request is over. */
  readonly isLookedAt: boolean;
  /** The bytes to send when no part depends on the iteration. */
  readonly constant: WireRequest | undefined;
  /** The bytes to send for `values`; `undefined` when interpolation made something that cannot be sent. Throws `MissingValue`. */
  render(values: Values): WireRequest | undefined;
}

/** What the requests of one flow are made ready with. */
export interface RequestSources extends TemplateSources {
  readonly http: HttpContext;
  readonly files: WorkloadFiles;
}

/** What conditions need of the response of a request. */
export interface Looks {
  readonly atHeaders: boolean;
  readonly atBody: boolean;
  /** The condition says which statuses are expected. */
  readonly atStatus: boolean;
  readonly isAny: boolean;
}

export function readyRequest(
  step: RequestStep,
  recorder: StepRecorder,
  apart: FlowSamples | undefined,
  looks: Looks,
  sources: RequestSources,
): ReadyRequest {
  const { http, files } = sources;
  const url = readyTemplate(step.url, sources);
  const headers = step.headers.map(([name, value]) => [name, readyTemplate(value, sources)] as const);
  if (step.auth?.kind === 'basic') headers.push(['authorization', basicAuthorization(step.auth, sources)]);
  const body = step.body === undefined ? undefined : readyTemplate(step.body, sources);
  const upload = step.upload === undefined ? undefined : readyUpload(step.upload, files, sources);
  const checks = step.checks.map(readyCheck);
  const render = (values: Values): WireRequest | undefined => wireRequest(http, step.method, url, headers, body, upload, values);
  const isUploadConstant = upload === undefined || upload.isConstant;
  const isConstant =
    isUploadConstant &&
    [url, body, ...headers.map(([, value]) => value)].every((part) => part === undefined || part.constant !== undefined);
  return {
    recorder,
    apart,
    isHead: step.method === 'HEAD',
    redirects: step.redirects,
    digest: step.auth?.kind === 'digest' ? readyDigest(step.auth, sources) : undefined,
    timeoutMs: step.timeoutMs,
    checks,
    captures: step.captures.map((capture) => ({ slot: sources.slots.slot(capture.name), find: readyCapture(capture) })),
    checksStatus: looks.atStatus || checks.some((check) => check.isOnStatus),
    keepHeaders:
      looks.atHeaders ||
      step.checks.some((check) => check.subject.kind === 'header') ||
      step.captures.some((capture) => capture.from.kind === 'header'),
    keepBody:
      looks.atBody ||
      step.checks.some((check) => check.subject.kind === 'body' || check.subject.kind === 'json') ||
      step.captures.some((capture) => capture.from.kind !== 'header'),
    headMemo: new HeadMemo(),
    isLookedAt: looks.isAny,
    constant: isConstant ? render({ vu: 0, iteration: 0, captured: [] }) : undefined,
    render,
  };
}

function wireRequest(
  http: HttpContext,
  method: Method,
  url: ReadyTemplate,
  headers: readonly (readonly [string, ReadyTemplate])[],
  body: ReadyTemplate | undefined,
  upload: ReadyUpload | undefined,
  values: Values,
): WireRequest | undefined {
  const target = http.parseUrl(url.render(values));
  if (target === undefined) return undefined;
  const bytes = upload !== undefined ? upload.render(values) : body === undefined ? undefined : Buffer.from(body.render(values), 'utf8');
  const lines = headers.map(([name, value]) => [name, value.render(values)] as const);
  const head = buildHead(method, target.path, target.origin, lines, bytes?.length);
  return head === undefined ? undefined : { origin: target.origin, head, body: bytes, isHead: method === 'HEAD' };
}
