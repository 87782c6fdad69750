import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { status, type sendUnaryData, type ServerUnaryCall, type ServerWritableStream } from '@grpc/grpc-js';
import type { AgentInfo, GetBundleResponse, RunInfo, RunsServer, WatchResponse } from '../../proto/gen/muster/v1/control.ts';
import { AppError, reasonOf, type Log } from '../../shared/base/index.ts';
import { BUNDLE_FILES } from '../../shared/report/index.ts';
import type { Coordinator } from '../coordinator.ts';
import type { Agent } from '../fleet.ts';
import type { RunEntry } from '../past-runs.ts';
import { submissionFromWire } from '../submission.ts';
import type { Uncollected } from './uncollected.ts';

const CHUNK_BYTES = 64 * 1024;

/** The service for people and the command line. What a caller did wrong comes back with its error code in front of the message. */
export function runsServer(coordinator: Coordinator, uncollected: Uncollected, log: Log): RunsServer {
  return {
    submit: unary((request) => ({ runId: coordinator.submit(submissionFromWire(request)) })),
    putFilePart(call, callback) {
      coordinator.keepFilePart(call.request.hash, call.request.part).then(
        () => {
          callback(null, {});
        },
        (thrown: unknown) => {
          callback(asStatus(thrown));
        },
      );
    },
    stop: unary(({ runId, reason }) => {
      coordinator.stop(runId, reason);
      return {};
    }),
    scale: unary(({ runId, scenario, ...request }) =>
      coordinator.scale(runId, { ...request, scenario: scenario === '' ? undefined : scenario }),
    ),
    pause: unary(({ runId }) => ({ atUs: coordinator.pause(runId).atUs })),
    resume: unary(({ runId }) => ({ atUs: coordinator.resume(runId).atUs })),
    listAgents: unary(() => ({ agents: coordinator.agents.map(agentInfo) })),
    listRuns: unary(() => ({ runs: coordinator.list().map(runInfo) })),
    watch(call) {
      answer(call, async () => {
        await new Promise<void>((resolve) => {
          const unwatch = coordinator.watch(call.request.runId, (item) => {
            if (item.kind === 'outcome') uncollected.told(call.getPeer(), call.request.runId, item.outcome);
            call.write(watchResponse(item));
            if (item.kind === 'outcome') resolve();
          });
          call.on('cancelled', () => {
            unwatch();
            resolve();
          });
        });
      });
    },
    getBundle(call) {
      const { runId } = call.request;
      answer(call, async () => {
        try {
          await sendBundle(coordinator.bundleOf(runId), call);
        } finally {
          uncollected.fetched(call.getPeer(), runId);
        }
      });
    },
  };

  function unary<Request, Response>(handle: (request: Request) => Response) {
    return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
      try {
        callback(null, handle(call.request));
      } catch (thrown) {
        callback(asStatus(thrown));
      }
    };
  }

  function answer<Request, Response>(call: ServerWritableStream<Request, Response>, send: () => Promise<void>): void {
    send().then(
      () => {
        call.end();
      },
      (thrown: unknown) => {
        call.emit('error', asStatus(thrown));
      },
    );
  }

  function asStatus(thrown: unknown): { readonly code: status; readonly details: string } {
    if (thrown instanceof AppError) return { code: status.FAILED_PRECONDITION, details: `${thrown.code}: ${thrown.message}` };
    log.error({ err: thrown }, 'a bug');
    return { code: status.INTERNAL, details: reasonOf(thrown) };
  }
}

async function sendBundle(dir: string, call: ServerWritableStream<unknown, GetBundleResponse>): Promise<void> {
  let files: string[];
  try {
    files = (await readdir(dir)).filter((file) => !file.startsWith('.') && file !== BUNDLE_FILES.checkpoint).sort();
  } catch (thrown) {
    throw AppError.from(thrown, 'RUN_UNKNOWN', 'that run left no bundle');
  }
  for (const file of files) {
    call.write({ file, chunk: Buffer.alloc(0) });
    for await (const chunk of createReadStream(join(dir, file), { highWaterMark: CHUNK_BYTES })) {
      if (!call.write({ file, chunk: chunk as Buffer })) await new Promise((resolve) => call.once('drain', resolve));
      if (call.cancelled) return;
    }
  }
}

function watchResponse(item: Parameters<Parameters<Coordinator['watch']>[1]>[0]): WatchResponse {
  if (item.kind === 'snapshot') return { kind: { $case: 'snapshotJson', value: JSON.stringify(item.snapshot) } };
  const { exitCode, summary, message } = item.outcome;
  return { kind: { $case: 'outcome', value: { exitCode, summaryJson: summary === undefined ? '' : JSON.stringify(summary), message } } };
}

function agentInfo({ id, state, runId, version, capacity, clock, labels }: Agent): AgentInfo {
  const { offsetUs, uncertaintyUs } = clock;
  return {
    agentId: id,
    state,
    runId,
    version,
    capacity,
    clockOffsetUs: offsetUs,
    clockUncertaintyUs: uncertaintyUs,
    labels: { ...labels },
  };
}

function runInfo({ runId, name, state, submittedAtMs, elapsedUs, durationUs, agents, exitCode }: RunEntry): RunInfo {
  return { runId, name, state, submittedAt: new Date(submittedAtMs).toISOString(), elapsedUs, durationUs, agents, exitCode };
}
