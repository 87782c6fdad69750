import { BODY_BYTES_MAX, HEAD_BYTES_MAX, reasonOf, SETUP_BYTES_MAX, type Clock } from '../../shared/base/index.ts';
import type { Flow, Plan, Workload } from '../../shared/plan/index.ts';
import type { FlowFunction, Vu } from '../../shared/scenario/index.ts';
import type { AllowList } from '../allow-list.ts';
import { createHttpContext, type HttpContext } from '../protocol/index.ts';
import { Recorder, type Measured } from '../recorder.ts';
import type { StoredFiles } from '../stored-files.ts';
import { readyFlows } from './ready-flows.ts';
import { ScriptErrors } from './script-errors.ts';
import type { LoadedScript } from './script-module.ts';
import type { SetupResult } from './setup-result.ts';

export type ChoreKind = 'setup' | 'teardown';

/** `json` is empty when nothing was returned. */
export type ChoreOutcome =
  { readonly kind: 'done'; readonly json: string } | { readonly kind: 'failed'; readonly reason: string; readonly scriptThrew: boolean };

export interface ChoreContext {
  readonly plan: Plan;
  readonly workload: Workload;
  readonly script: LoadedScript | undefined;
  readonly setup: SetupResult;
  readonly storedFiles: Pick<StoredFiles, 'get'>;
  readonly clock: Clock;
  readonly isAllowed: AllowList;
}

/** Runs the scenario's setup or teardown: one pass of its flow by one VU, at most `limitMs` long. Its requests are measured by a recorder
 *  of its own and are no part of the result: they are no load. */
export async function doChore(kind: ChoreKind, limitMs: number, context: ChoreContext, signal: AbortSignal): Promise<ChoreOutcome> {
  const { workload, clock, isAllowed } = context;
  const flow = workload[kind];
  if (flow === undefined) return { kind: 'done', json: '' };
  const http = createHttpContext({
    clock,
    bodyBytesMax: BODY_BYTES_MAX,
    headBytesMax: HEAD_BYTES_MAX,
    isAllowed,
    tls: workload.http.tls,
    http: workload.http,
  });
  try {
    return await pass(kind, flow, limitMs, context, http, signal);
  } finally {
    await http.close();
  }
}

async function pass(
  kind: ChoreKind,
  flow: Flow,
  limitMs: number,
  { plan, workload, script, setup, storedFiles, clock }: ChoreContext,
  http: HttpContext,
  signal: AbortSignal,
): Promise<ChoreOutcome> {
  const recorder = new Recorder();
  const scriptErrors = new ScriptErrors(script?.origin);
  let returned: unknown;
  const run: FlowFunction = async (vu) => {
    // Before the setup has run there is no result of it.
    if (kind === 'setup') returned = await script?.setup?.(vu as Vu<undefined>);
    else await script?.teardown?.(vu, setup.value);
  };
  const own = script === undefined ? undefined : { ...script, flows: new Map<string, FlowFunction>([[kind, run]]) };
  const parts = { script: own, setup, scriptErrors, findStored: (file: string) => storedFiles.get(file) };
  const flows = await readyFlows({ ...workload, flows: { [kind]: flow } }, plan, recorder, http, parts);
  let end: (isCompleted: boolean) => void = () => undefined;
  const ended = new Promise<boolean>((resolve) => (end = resolve));
  const actor = flows.createActor(kind, 0, {
    clock,
    recorder: recorder.scenario(kind),
    beforeSample: () => undefined,
    afterResponse: () => undefined,
    ended: (_, isCompleted) => {
      end(isCompleted);
    },
  });
  const interrupt = (): void => {
    actor.interrupt();
  };
  const timer = setTimeout(interrupt, limitMs);
  signal.addEventListener('abort', interrupt);
  actor.start(0, clock.nowUs(), clock.nowUs());
  const isCompleted = await ended;
  signal.removeEventListener('abort', interrupt);
  clearTimeout(timer);
  actor.close();
  const failures = failedRequests(recorder.seal());
  if (scriptErrors.first !== undefined) return { kind: 'failed', reason: scriptErrors.first, scriptThrew: true };
  if (!isCompleted) {
    const reason = signal.aborted ? 'the run was given up' : `not done after ${limitMs / 1000} s`;
    return { kind: 'failed', reason: [reason, ...failures].join('; '), scriptThrew: false };
  }
  if (flow.kind === 'script') return written(returned);
  return failures.length > 0 ? { kind: 'failed', reason: failures.join('; '), scriptThrew: false } : written(flows.captures(kind, actor));
}

/** As JSON, which is how it reaches all agents. */
function written(returned: unknown): ChoreOutcome {
  let json: unknown;
  try {
    json = JSON.stringify(returned);
  } catch (thrown) {
    return {
      kind: 'failed',
      reason: `what it returned cannot be written as JSON: ${reasonOf(thrown).split('\n', 1)[0] ?? ''}`,
      scriptThrew: true,
    };
  }
  // Nothing, or a function, has no JSON.
  const text = typeof json === 'string' ? json : '';
  const bytes = Buffer.byteLength(text);
  if (bytes > SETUP_BYTES_MAX)
    return {
      kind: 'failed',
      reason: `it returned ${bytes} bytes of JSON; at most ${SETUP_BYTES_MAX} are given to the VUs`,
      scriptThrew: true,
    };
  return { kind: 'done', json: text };
}

/** `GET /token: status 503`, for every request that failed. */
function failedRequests({ defines, rates }: Measured): string[] {
  return rates.flatMap(({ series, passes }) => {
    const definition = defines.find(({ number }) => number === series);
    if (definition?.metric !== 'http_req_failed' || passes === 0) return [];
    const { name = '', error = '', status = '0' } = definition.tags;
    return [`${name}: ${error}${status === '0' ? '' : ` (status ${status})`}`];
  });
}
