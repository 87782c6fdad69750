import {
  AckPolicy,
  connect,
  DeliverPolicy,
  DiscardPolicy,
  Events,
  nanos,
  NatsError,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
} from 'nats';
import { RunEvent as WireRunEvent } from '../../proto/gen/muster/v1/results.ts';
import { AppError, reasonOf } from '../base/index.ts';
import type { Batch } from '../stats/index.ts';
import { decodeBatch } from './batch-codec.ts';
import { batchFilter, batchMessageId, batchSubject, eventSubject, STREAM, STREAM_SUBJECTS, WORKLOAD_BUCKET } from './subjects.ts';
import { workloadHash } from './workload-codec.ts';

/** How the coordinator keeps the stream. */
export interface StreamOptions {
  readonly bytesMax: number;
  readonly ageMaxMs: number;
  readonly replicas: number;
}

export const STREAM_DEFAULTS: StreamOptions = { bytesMax: 1024 * 1024 * 1024, ageMaxMs: 7 * 86_400_000, replicas: 1 };

/** JetStream drops a repeated message id within this time. Longer than any retry of an outbox that still has its server. */
const DUPLICATE_WINDOW_MS = 120_000;
const REQUEST_TIMEOUT_MS = 5_000;
/** The server forgets a reader of events that stopped asking. */
const EVENTS_CONSUMER_IDLE_MS = 60_000;
/** Unacknowledged batches in flight to one coordinator. */
const ACKS_PENDING_MAX = 4_096;

/** JetStream's code for "no message found". */
const NO_MESSAGE_FOUND = 10_037;

/** Something that happened to a run, in the order in which it happened. */
export interface RunEvent {
  readonly runId: string;
  readonly atMs: number;
  readonly kind:
    | 'submitted'
    | 'assigned'
    | 'epoch'
    | 'started'
    | 'agent-lost'
    | 'agent-joined'
    | 'scaled'
    | 'paused'
    | 'resumed'
    | 'stopping'
    | 'chore'
    | 'finished';
  readonly detail: Readonly<Record<string, unknown>>;
}

/** The results plane as agents and coordinator see it: batches, events and workloads in JetStream. The only importer of `nats`. */
export class ResultsPlane {
  private readonly connection: NatsConnection;
  private readonly stream: JetStreamClient;
  /** What the connection last said of itself. */
  private isReachable = true;

  private constructor(connection: NatsConnection) {
    this.connection = connection;
    void this.followStatus();
    this.stream = connection.jetstream({ timeout: REQUEST_TIMEOUT_MS });
  }

  /** Throws `AppError('NATS_UNAVAILABLE')` when nothing answers there. Once connected it reconnects for ever, with jitter. */
  static async connect(url: string, name: string): Promise<ResultsPlane> {
    try {
      const connection = await connect({
        servers: url.split(','),
        name,
        timeout: REQUEST_TIMEOUT_MS,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
      });
      return new ResultsPlane(connection);
    } catch (thrown) {
      throw AppError.from(thrown, 'NATS_UNAVAILABLE', `no NATS server at ${url}`);
    }
  }

  /** Makes the stream and the workload bucket, or brings them up to `options`. Throws when the server has no JetStream. */
  async ensureStream(options: StreamOptions = STREAM_DEFAULTS): Promise<void> {
    const config = {
      name: STREAM,
      subjects: STREAM_SUBJECTS,
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_bytes: options.bytesMax,
      max_age: nanos(options.ageMaxMs),
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      num_replicas: options.replicas,
    };
    try {
      const manager = await this.manager();
      if (await streamExists(manager)) await manager.streams.update(STREAM, config);
      else await manager.streams.add(config);
      await this.workloads(options);
    } catch (thrown) {
      throw AppError.from(thrown, 'NATS_UNAVAILABLE', 'the NATS server cannot keep the stream (start it with -js)');
    }
  }

  /** Resolves when the server has stored the batch; rejects when it did not say so in time. Safe to repeat. */
  async publishBatch(runId: string, key: Batch['key'], bytes: Uint8Array): Promise<void> {
    const msgID = batchMessageId(runId, key.agent, key.incarnation, key.sequence);
    await this.stream.publish(batchSubject(runId, key.agent), bytes, { msgID, timeout: REQUEST_TIMEOUT_MS });
  }

  /** Rejects at once while the server is not reachable: an event is worth no wait. */
  async publishEvent(event: RunEvent): Promise<void> {
    if (!this.isReachable) throw new AppError('NATS_UNAVAILABLE', 'the NATS server is not reachable');
    const bytes = WireRunEvent.encode({
      runId: event.runId,
      atMs: event.atMs,
      kind: event.kind,
      detailJson: JSON.stringify(event.detail),
    }).finish();
    await this.stream.publish(eventSubject(event.runId), bytes, { timeout: REQUEST_TIMEOUT_MS });
  }

  /** Every event in the stream, oldest first. */
  async events(): Promise<RunEvent[]> {
    const manager = await this.manager();
    const { name, num_pending } = await manager.consumers.add(STREAM, {
      filter_subject: eventSubject('*'),
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
      inactive_threshold: nanos(EVENTS_CONSUMER_IDLE_MS),
    });
    const consumer = await this.stream.consumers.get(STREAM, name);
    const events: RunEvent[] = [];
    while (events.length < num_pending) {
      const batch = await consumer.fetch({ max_messages: Math.min(num_pending - events.length, 1_000), expires: REQUEST_TIMEOUT_MS });
      const before = events.length;
      for await (const message of batch) events.push(eventFromWire(message.data));
      // The stream may have dropped some of them meanwhile.
      if (events.length === before) break;
    }
    await manager.consumers.delete(STREAM, name);
    return events;
  }

  /** Place in the stream of the newest batch of one agent; 0 when there is none. Every batch that was acknowledged before is counted.
   *  Rejects while the server cannot be asked. */
  async lastBatchSequence(runId: string, agentId: string): Promise<number> {
    if (!this.isReachable) throw new AppError('NATS_UNAVAILABLE', 'the NATS server is not reachable');
    try {
      return (await (await this.manager()).streams.getMessage(STREAM, { last_by_subj: batchSubject(runId, agentId) })).seq;
    } catch (thrown) {
      if (thrown instanceof NatsError && thrown.api_error?.err_code === NO_MESSAGE_FOUND) return 0;
      throw thrown;
    }
  }

  /** Hands every batch of the run to `onBatch`, in stream order, each with its place there, and acknowledges it when `onBatch` returns.
   *  Ends when `signal` aborts.
   *  Bytes that are no batch are reported to `onGarbage` and not asked for again. */
  async consumeBatches(
    runId: string,
    onBatch: (batch: Batch, sequence: number) => void,
    onGarbage: (reason: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const manager = await this.manager();
    const durable = `collector-${runId}`;
    await manager.consumers.add(STREAM, {
      durable_name: durable,
      filter_subject: batchFilter(runId),
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      max_ack_pending: ACKS_PENDING_MAX,
    });
    const consumer = await this.stream.consumers.get(STREAM, durable);
    const messages = await consumer.consume({ max_messages: 512 });
    const stop = (): void => {
      void messages.close();
    };
    signal.addEventListener('abort', stop);
    try {
      for await (const message of messages) {
        let batch: Batch | undefined;
        try {
          batch = decodeBatch(message.data);
        } catch (thrown) {
          onGarbage(reasonOf(thrown));
        }
        if (batch !== undefined) onBatch(batch, message.seq);
        message.ack();
        if (signal.aborted) break;
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
    await manager.consumers.delete(STREAM, durable);
  }

  async putWorkload(hash: string, bytes: Uint8Array): Promise<void> {
    const store = await this.workloads(STREAM_DEFAULTS);
    if ((await store.info(hash)) === null) await store.putBlob({ name: hash }, bytes);
  }

  /** Throws `AppError('CONNECTION_LOST')` when the store does not hold it. */
  async getWorkload(hash: string): Promise<Uint8Array> {
    const store = await this.workloads(STREAM_DEFAULTS);
    const bytes = await store.getBlob(hash);
    if (bytes === null) throw new AppError('CONNECTION_LOST', `the object store has no workload ${hash}`);
    return bytes;
  }

  /** Keeps a part of a file under its SHA-256. Throws `AppError('SCENARIO_INVALID')` when that is another one. */
  async putBlob(hash: string, bytes: Uint8Array): Promise<void> {
    mustHash(bytes, hash);
    await this.putWorkload(hash, bytes);
  }

  /** Throws `AppError` when the store does not hold it, or holds something else under its name. */
  async getBlob(hash: string): Promise<Uint8Array> {
    const bytes = await this.getWorkload(hash);
    mustHash(bytes, hash);
    return bytes;
  }

  async close(): Promise<void> {
    if (!this.connection.isClosed()) await this.connection.close();
  }

  /** Ends with the connection. */
  private async followStatus(): Promise<void> {
    for await (const { type } of this.connection.status()) {
      if (type === Events.Disconnect) this.isReachable = false;
      else if (type === Events.Reconnect) this.isReachable = true;
    }
  }

  private manager(): Promise<JetStreamManager> {
    return this.connection.jetstreamManager({ timeout: REQUEST_TIMEOUT_MS });
  }

  private workloads(options: StreamOptions): ReturnType<JetStreamClient['views']['os']> {
    return this.stream.views.os(WORKLOAD_BUCKET, { ttl: nanos(options.ageMaxMs), replicas: options.replicas, storage: StorageType.File });
  }
}

function mustHash(bytes: Uint8Array, hash: string): void {
  if (workloadHash(bytes) !== hash)
    throw new AppError('SCENARIO_INVALID', `a part of a file does not match its hash ${hash}: did it change?`);
}

function eventFromWire(bytes: Uint8Array): RunEvent {
  const { runId, atMs, kind, detailJson } = WireRunEvent.decode(bytes);
  return { runId, atMs, kind: kind as RunEvent['kind'], detail: JSON.parse(detailJson) as Record<string, unknown> };
}

async function streamExists(manager: JetStreamManager): Promise<boolean> {
  for await (const name of manager.streams.names()) if (name === STREAM) return true;
  return false;
}
