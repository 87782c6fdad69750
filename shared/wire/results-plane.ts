import {
  AckPolicy,
  connect,
  DeliverPolicy,
  DiscardPolicy,
  ErrorCode,
  Events,
  nanos,
  NatsError,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
} from 'nats';
import { AppError, reasonOf, systemClock, type Clock } from '../base/index.ts';
import type { Batch } from '../stats/index.ts';
import { decodeBatch } from './batch-reader.ts';
import { readFeed } from './ordered-feed.ts';
import { decodeEvent, encodeEvent, type RunEvent } from './run-event.ts';
import {
  batchFilter,
  batchMessageId,
  batchSubject,
  eventSubject,
  ownerSubject,
  STREAM,
  STREAM_SUBJECTS,
  WORKLOAD_BUCKET,
} from './subjects.ts';
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
/** Between two attempts to reach a server that went away: a quarter of the time it has been away, within these, and shortened at random by
 *  up to half, so that not all agents come back at once. The longest wait is well within what a run waits for results at its end. */
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 2_000;

/** Who reads the batches of a run. */
export interface BatchReader {
  readonly runId: string;
  /** First stream sequence that is wanted; 1 for all there are. */
  readonly fromSequence: number;
  /** Every batch once, in stream order, with its place in the stream. */
  readonly onBatch: (batch: Batch, sequence: number) => void;
  /** Bytes that are no batch; they do not come again. */
  readonly onGarbage: (reason: string) => void;
  /** Reading has to begin anew, where it was: the server went away, fell silent or lost its consumer. */
  readonly onTrouble: (reason: string) => void;
}

/** How long the coordinator of a run may take to say that it is there. With its process its answer goes at once; only of one whose machine
 *  vanished this much is waited for. */
const OWNER_TIMEOUT_MS = 1_000;
const NOBODY_ANSWERS: readonly string[] = [ErrorCode.NoResponders, ErrorCode.Timeout];

/** JetStream's code for "no message found". */
const NO_MESSAGE_FOUND = 10_037;

/** The results plane as agents and coordinator see it: batches, events and workloads in JetStream. The only importer of `nats`. */
export class ResultsPlane {
  private readonly connection: NatsConnection;
  private readonly stream: JetStreamClient;
  private readonly clock: Clock;
  private readonly away: Away;
  private readonly onReconnect = new Set<() => void>();

  private constructor(connection: NatsConnection, away: Away, clock: Clock) {
    this.connection = connection;
    this.away = away;
    this.clock = clock;
    void this.followStatus();
    this.stream = connection.jetstream({ timeout: REQUEST_TIMEOUT_MS });
  }

  /** Throws `AppError('NATS_UNAVAILABLE')` when nothing answers there. Once connected it reconnects for ever, with backoff and jitter. */
  static async connect(url: string, name: string, clock: Clock = systemClock): Promise<ResultsPlane> {
    const away: Away = { sinceUs: undefined };
    try {
      const connection = await connect({
        servers: url.split(','),
        name,
        timeout: REQUEST_TIMEOUT_MS,
        maxReconnectAttempts: -1,
        reconnectDelayHandler: () => reconnectDelayMs(away, clock),
      });
      return new ResultsPlane(connection, away, clock);
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

  /** Whether there is a connection. One to a server that does not answer any more counts until that is noticed. */
  get isReachable(): boolean {
    return this.away.sinceUs === undefined;
  }

  /** Resolves when the server has stored the batch; rejects when it did not say so in time, and at once while it is not reachable: what
   *  is not stored is kept by the outbox and not by the connection. Safe to repeat. */
  async publishBatch(runId: string, key: Batch['key'], bytes: Uint8Array): Promise<void> {
    this.mustReach();
    const msgID = batchMessageId(runId, key.agent, key.incarnation, key.sequence);
    await this.stream.publish(batchSubject(runId, key.agent), bytes, { msgID, timeout: REQUEST_TIMEOUT_MS });
  }

  /** Resolves when the server has stored the event, once under each id; rejects at once while it is not reachable. */
  async publishEvent(event: RunEvent, msgID?: string): Promise<void> {
    this.mustReach();
    await this.stream.publish(eventSubject(event.runId), encodeEvent(event), {
      timeout: REQUEST_TIMEOUT_MS,
      ...(msgID === undefined ? {} : { msgID }),
    });
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
      for await (const message of batch) events.push(decodeEvent(message.data));
      // The stream may have dropped some of them meanwhile.
      if (events.length === before) break;
    }
    await manager.consumers.delete(STREAM, name);
    return events;
  }

  /** Place in the stream of the newest batch of one agent; 0 when there is none. Every batch that was acknowledged before is counted.
   *  Rejects while the server cannot be asked. */
  async lastBatchSequence(runId: string, agentId: string): Promise<number> {
    this.mustReach();
    try {
      return (await (await this.manager()).streams.getMessage(STREAM, { last_by_subj: batchSubject(runId, agentId) })).seq;
    } catch (thrown) {
      if (thrown instanceof NatsError && thrown.api_error?.err_code === NO_MESSAGE_FOUND) return 0;
      throw thrown;
    }
  }

  /** Hands over every batch of the run, each once, in stream order, whatever happens to the server meanwhile; see `ordered-feed.ts`.
   *  Resolves when `signal` aborts. */
  async readBatches({ runId, fromSequence, onBatch, onGarbage, onTrouble }: BatchReader, signal: AbortSignal): Promise<void> {
    const context = {
      jetstream: this.stream,
      manager: () => this.manager(),
      clock: this.clock,
      onReconnect: (act: () => void) => {
        this.onReconnect.add(act);
        return () => this.onReconnect.delete(act);
      },
      onTrouble,
    };
    const take = (bytes: Uint8Array, sequence: number): void => {
      let batch: Batch;
      try {
        batch = decodeBatch(bytes);
      } catch (thrown) {
        onGarbage(reasonOf(thrown));
        return;
      }
      onBatch(batch, sequence);
    };
    await readFeed({ stream: STREAM, filter: batchFilter(runId), fromSequence }, context, take, signal);
  }

  /** How many batches of the run the stream holds from `fromSequence` on. */
  async countBatches(runId: string, fromSequence: number): Promise<number> {
    const manager = await this.manager();
    const { name, num_pending } = await manager.consumers.add(STREAM, {
      filter_subject: batchFilter(runId),
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: fromSequence,
      inactive_threshold: nanos(EVENTS_CONSUMER_IDLE_MS),
    });
    await manager.consumers.delete(STREAM, name);
    return num_pending;
  }

  /** Takes the run's batches up to and including `sequence` out of the stream: somebody else keeps what they said. */
  async dropBatches(runId: string, sequence: number): Promise<void> {
    await (await this.manager()).streams.purge(STREAM, { filter: batchFilter(runId), seq: sequence + 1 });
  }

  /** Answers from now on that the run is conducted here; returns how to stop that. */
  ownRun(runId: string): () => void {
    const answering = this.connection.subscribe(ownerSubject(runId), {
      callback: (_, message) => {
        message.respond();
      },
    });
    return () => {
      answering.unsubscribe();
    };
  }

  /** True when a coordinator that lives answers for the run. */
  async isOwned(runId: string): Promise<boolean> {
    try {
      await this.connection.request(ownerSubject(runId), '', { timeout: OWNER_TIMEOUT_MS });
      return true;
    } catch (thrown) {
      if (thrown instanceof NatsError && NOBODY_ANSWERS.includes(thrown.code)) return false;
      throw AppError.from(thrown, 'NATS_UNAVAILABLE', 'the NATS server cannot be asked who conducts a run');
    }
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
      if (type === Events.Disconnect) this.away.sinceUs ??= this.clock.nowUs();
      else if (type === Events.Reconnect) {
        this.away.sinceUs = undefined;
        for (const act of [...this.onReconnect]) act();
      }
    }
  }

  private mustReach(): void {
    if (!this.isReachable) throw new AppError('NATS_UNAVAILABLE', 'the NATS server is not reachable');
  }

  private manager(): Promise<JetStreamManager> {
    return this.connection.jetstreamManager({ timeout: REQUEST_TIMEOUT_MS });
  }

  private workloads(options: StreamOptions): ReturnType<JetStreamClient['views']['os']> {
    return this.stream.views.os(WORKLOAD_BUCKET, { ttl: nanos(options.ageMaxMs), replicas: options.replicas, storage: StorageType.File });
  }
}

/** Since when there has been no connection, on our clock; `undefined` while there is one. */
interface Away {
  sinceUs: number | undefined;
}

function reconnectDelayMs({ sinceUs }: Away, clock: Clock): number {
  const awayMs = sinceUs === undefined ? 0 : (clock.nowUs() - sinceUs) / 1000;
  return Math.min(RECONNECT_MAX_MS, Math.max(RECONNECT_MIN_MS, awayMs / 4)) * (0.5 + Math.random() / 2);
}

function mustHash(bytes: Uint8Array, hash: string): void {
  if (workloadHash(bytes) !== hash)
    throw new AppError('SCENARIO_INVALID', `a part of a file does not match its hash ${hash}: did it change?`);
}

async function streamExists(manager: JetStreamManager): Promise<boolean> {
  for await (const name of manager.streams.names()) if (name === STREAM) return true;
  return false;
}
