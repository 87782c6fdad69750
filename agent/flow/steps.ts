import type { Method, RequestStep, Step } from '../../shared/plan/index.ts';
import { buildHead, type HttpContext, type WireRequest } from '../protocol/index.ts';
import type { Recorder, StepRecorder } from '../recorder.ts';
import { basicAuthorization, readyDigest, type ReadyDigest } from './auth.ts';
import { readyCapture, type Finder } from './captures.ts';
import { readyCheck, type ReadyCheck } from './checks.ts';
import { readyUpload, type ReadyUpload, type WorkloadFiles } from './upload.ts';
import { readyTemplate, type ReadyTemplate, type TemplateSources, type Values } from './template.ts';

/** A flow of steps made ready once per scenario and shared by its VUs: everything constant is computed here, not per request. */
export type ReadyStep = ReadyRequest | { readonly kind: 'think'; readonly minUs: number; readonly maxUs: number };

export interface ReadyRequest {
  readonly kind: 'request';
  readonly recorder: StepRecorder;
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
  /** The bytes to send when no part depends on the iteration. */
  readonly constant: WireRequest | undefined;
  /** The bytes to send for `values`; `undefined` when interpolation made something that cannot be sent. Throws `MissingValue`. */
  render(values: Values): WireRequest | undefined;
}

export function readySteps(
  steps: readonly Step[],
  scenario: string,
  recorder: Recorder,
  http: HttpContext,
  files: WorkloadFiles,
  sources: TemplateSources,
): ReadyStep[] {
  return steps.map((step) => {
    switch (step.kind) {
      case 'think':
        return step;
      case 'request':
        return readyRequest(step, recorder.step(scenario, step.name, step.method), http, files, sources);
    }
  });
}

function readyRequest(
  step: RequestStep,
  recorder: StepRecorder,
  http: HttpContext,
  files: WorkloadFiles,
  sources: TemplateSources,
): ReadyRequest {
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
    kind: 'request',
    recorder,
    isHead: step.method === 'HEAD',
    redirects: step.redirects,
    digest: step.auth?.kind === 'digest' ? readyDigest(step.auth, sources) : undefined,
    timeoutMs: step.timeoutMs,
    checks,
    captures: step.captures.map((capture) => ({ slot: sources.slots.slot(capture.name), find: readyCapture(capture) })),
    checksStatus: checks.some((check) => check.isOnStatus),
    keepHeaders:
      step.checks.some((check) => check.subject.kind === 'header') || step.captures.some((capture) => capture.from.kind === 'header'),
    keepBody:
      step.checks.some((check) => check.subject.kind === 'body' || check.subject.kind === 'json') ||
      step.captures.some((capture) => capture.from.kind !== 'header'),
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
