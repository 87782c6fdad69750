import { credentials, Metadata, status, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import {
  RunsClient as GeneratedClient,
  type AgentInfo,
  type GetBundleResponse,
  type ListAgentsResponse,
  type ListRunsResponse,
  type PauseResponse,
  type PutFilePartResponse,
  type ResumeResponse,
  type RunInfo,
  type ScaleResponse,
  type StopResponse,
  type SubmitResponse,
  type WatchResponse,
} from '../../proto/gen/muster/v1/control.ts';
import { AppError, ERROR_TABLE, EXIT_CODES, GRPC_MESSAGE_BYTES_MAX, type ErrorCode, type ExitCode } from '../../shared/base/index.ts';
import type { Snapshot } from '../../shared/report/index.ts';
import type { LiveChange, ScaleRequest } from '../live-control.ts';
import type { Outcome } from '../outcome.ts';
import type { SubmissionInput } from '../submission.ts';

export type { AgentInfo, RunInfo } from '../../proto/gen/muster/v1/control.ts';

const NO_METADATA = new Metadata();
const DIAL_TIMEOUT_MS = 5_000;
/** Every call but a watch answers within this. */
const CALL_TIMEOUT_MS = 30_000;
/** A watch may take as long as a timer can run: past 2^31 ms a deadline would be over at once. */
const WATCH_TIMEOUT_MS = 20 * 86_400_000;

/** The command line's end of `muster.v1.Runs`. Every method throws `AppError` for what the coordinator or the network says. */
export class RunsClient {
  private readonly client: GeneratedClient;
  private readonly address: string;

  /** Throws `AppError('COORDINATOR_UNAVAILABLE')` when nobody answers at `address` (HOST:PORT) in time. */
  static async connect(address: string): Promise<RunsClient> {
    const client = new GeneratedClient(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': GRPC_MESSAGE_BYTES_MAX,
      'grpc.max_send_message_length': GRPC_MESSAGE_BYTES_MAX,
      'grpc.keepalive_time_ms': 10_000,
      // A coordinator that is restarted is found again soon.
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2_000,
    });
    const connected = new RunsClient(client, address);
    try {
      await connected.untilReady();
    } catch (thrown) {
      client.close();
      throw thrown;
    }
    return connected;
  }

  private constructor(client: GeneratedClient, address: string) {
    this.client = client;
    this.address = address;
  }

  /** Throws `AppError('COORDINATOR_UNAVAILABLE')` when nobody answers in time. */
  untilReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.client.waitForReady(Date.now() + DIAL_TIMEOUT_MS, (error) => {
        if (error === undefined) resolve();
        else {
          const reason = `no coordinator at ${this.address}: nothing answered within ${DIAL_TIMEOUT_MS / 1000} s`;
          reject(new AppError('COORDINATOR_UNAVAILABLE', reason));
        }
      });
    });
  }

  async submit(submission: SubmissionInput): Promise<string> {
    // Loaded by who submits: `muster stop` has no time for it.
    const { submissionToWire } = await import('../submission.ts');
    const request = submissionToWire(submission);
    return (await this.unary<SubmitResponse>((options, done) => this.client.submit(request, NO_METADATA, options, done))).runId;
  }

  /** Stores a part of a large file where the agents find it. */
  async putFilePart(hash: string, part: Buffer): Promise<void> {
    await this.unary<PutFilePartResponse>((options, done) => this.client.putFilePart({ hash, part }, NO_METADATA, options, done));
  }

  async stop(runId: string, reason: string): Promise<void> {
    await this.unary<StopResponse>((options, done) => this.client.stop({ runId, reason }, NO_METADATA, options, done));
  }

  /** Resolves with when the change takes force and what it is. */
  scale(runId: string, { scenario = '', ...request }: ScaleRequest): Promise<LiveChange> {
    return this.unary<ScaleResponse>((options, done) => this.client.scale({ runId, scenario, ...request }, NO_METADATA, options, done));
  }

  /** Resolves with the run-relative instant at which nothing more is planned. */
  async pause(runId: string): Promise<number> {
    return (await this.unary<PauseResponse>((options, done) => this.client.pause({ runId }, NO_METADATA, options, done))).atUs;
  }

  /** Resolves with the run-relative instant from which on the plan is carried out again. */
  async resume(runId: string): Promise<number> {
    return (await this.unary<ResumeResponse>((options, done) => this.client.resume({ runId }, NO_METADATA, options, done))).atUs;
  }

  async agents(): Promise<AgentInfo[]> {
    return (await this.unary<ListAgentsResponse>((options, done) => this.client.listAgents({}, NO_METADATA, options, done))).agents;
  }

  async runs(): Promise<RunInfo[]> {
    return (await this.unary<ListRunsResponse>((options, done) => this.client.listRuns({}, NO_METADATA, options, done))).runs;
  }

  /** Follows a run to its end. */
  async watch(runId: string, onSnapshot: (snapshot: Snapshot) => void): Promise<Outcome> {
    const { parseSummary } = await import('../../shared/report/index.ts');
    const stream = this.client.watch({ runId }, { deadline: Date.now() + WATCH_TIMEOUT_MS });
    for await (const { kind } of this.read<WatchResponse>(stream)) {
      if (kind?.$case === 'snapshotJson') onSnapshot(JSON.parse(kind.value) as Snapshot);
      else if (kind?.$case === 'outcome') {
        const { exitCode, summaryJson, message } = kind.value;
        return {
          exitCode: knownExitCode(exitCode),
          summary: summaryJson === '' ? undefined : parseSummary(JSON.parse(summaryJson)),
          message,
        };
      }
    }
    throw new AppError('CONNECTION_LOST', `the coordinator at ${this.address} ended the watch without an outcome`);
  }

  /** The files of a run's bundle, chunk by chunk; a file begins with an empty chunk. */
  async *bundle(runId: string): AsyncGenerator<GetBundleResponse> {
    yield* this.read<GetBundleResponse>(this.client.getBundle({ runId }, { deadline: Date.now() + CALL_TIMEOUT_MS * 10 }));
  }

  close(): void {
    this.client.close();
  }

  private async *read<Message>(stream: ClientReadableStream<Message>): AsyncGenerator<Message> {
    try {
      for await (const message of stream) yield message as Message;
    } catch (thrown) {
      throw this.asAppError(thrown as ServiceError);
    } finally {
      stream.cancel();
    }
  }

  private unary<Response>(
    call: (options: { readonly deadline: number }, done: (error: ServiceError | null, response: Response) => void) => unknown,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      call({ deadline: Date.now() + CALL_TIMEOUT_MS }, (error, response) => {
        if (error === null) resolve(response);
        else reject(this.asAppError(error));
      });
    });
  }

  private asAppError(error: ServiceError): AppError {
    const [, code, message] = /^([A-Z_]+): (.*)$/s.exec(error.details) ?? [];
    if (error.code === status.FAILED_PRECONDITION && code !== undefined && message !== undefined && code in ERROR_TABLE) {
      return new AppError(code as ErrorCode, message);
    }
    return new AppError('CONNECTION_LOST', `the coordinator at ${this.address}: ${error.details}`, { cause: error });
  }
}

function knownExitCode(code: number): ExitCode {
  const known = Object.values(EXIT_CODES).find((entry) => entry.code === code);
  return known?.code ?? EXIT_CODES.bug.code;
}
