import { connect, type JetStreamManager, type NatsConnection, type StreamInfo } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { HTTP_DEFAULTS } from '../../shared/plan/index.ts';
import { Outbox } from '../../agent/outbox.ts';
import { systemClock } from '../../shared/base/index.ts';
import { Rollup, type Batch } from '../../shared/stats/index.ts';
import {
  batchSubject,
  encodeBatch,
  encodeWorkload,
  ResultsPlane,
  STREAM,
  STREAM_DEFAULTS,
  type RunEvent,
} from '../../shared/wire/index.ts';
import { freePort } from '../support/free-port.ts';
import { DEFINITIONS, sealedInterval, trendSlice } from '../support/intervals.ts';
import { NatsServer } from '../support/nats-server.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: NatsServer;
let direct: NatsConnection;
let manager: JetStreamManager;
const planes: ResultsPlane[] = [];
const stops: AbortController[] = [];
let runs = 0;

beforeAll(async () => {
  server = await NatsServer.start();
  direct = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  manager = await direct.jetstreamManager();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop.abort();
  for (const plane of planes.splice(0)) await plane.close();
});
afterAll(async () => {
  await direct.close();
  await server.stop();
});

describe('the stream', () => {
  test('is made once, and brought up to other options without losing what it holds', async () => {
    const plane = await opened();
    const runId = newRun();
    await plane.publishBatch(runId, batch(0).key, encodeBatch(batch(0)));
    await plane.ensureStream();
    await plane.ensureStream({ ...STREAM_DEFAULTS, bytesMax: 64 * 1024 * 1024 });
    const { config } = await manager.streams.info(STREAM);
    expect([config.max_bytes, config.subjects]).toEqual([64 * 1024 * 1024, ['muster.*.batch.*', 'muster.*.event']]);
    expect(await stored(runId)).toBe(1);
  });

  test('stores a batch that is published twice once', async () => {
    const plane = await opened();
    const runId = newRun();
    for (const sequence of [0, 1, 0, 1, 0]) await plane.publishBatch(runId, batch(sequence).key, encodeBatch(batch(sequence)));
    expect(await stored(runId)).toBe(2);
  });

  test('of a server that is not there is a NATS_UNAVAILABLE, also after a connection to others was tried', async () => {
    const nobody = `nats://127.0.0.1:${await freePort()}`;
    await expect(ResultsPlane.connect(nobody, 'test')).rejects.toMatchObject({ code: 'NATS_UNAVAILABLE' });
    const plane = await ResultsPlane.connect(`${nobody},${server.url}`, 'test');
    planes.push(plane);
    await plane.ensureStream();
    expect(await plane.events()).toEqual(expect.any(Array));
  });
});

describe('batches', () => {
  test('come in stream order to the run that asked for them, each with its place in the stream', async () => {
    const plane = await opened();
    const [runId, other] = [newRun(), newRun()];
    await plane.publishBatch(other, batch(7).key, encodeBatch(batch(7)));
    const collected = consuming(plane, runId);
    for (const sequence of [0, 1, 2]) await plane.publishBatch(runId, batch(sequence).key, encodeBatch(batch(sequence)));
    await waitUntil('three batches arrived', () => collected.batches.length === 3);
    expect(collected.batches.map(comparable)).toEqual([0, 1, 2].map((sequence) => comparable(batch(sequence))));
    const [first = 0] = collected.places;
    expect(collected.places).toEqual([first, first + 1, first + 2]);
    collected.stop.abort();
    await collected.ended;
  });

  test('bytes that are no batch are reported, once, and the next batch comes', async () => {
    const plane = await opened();
    const runId = newRun();
    const collected = consuming(plane, runId);
    await direct.jetstream().publish(batchSubject(runId, 'stranger'), new TextEncoder().encode('hello'));
    await plane.publishBatch(runId, batch(0).key, encodeBatch(batch(0)));
    await waitUntil('the batch arrived', () => collected.batches.length === 1);
    expect(collected.garbage).toHaveLength(1);
  });

  test('a reader that names its place gets what follows, and one that names none gets everything', async () => {
    const runId = newRun();
    const first = await opened();
    const before = consuming(first, runId);
    for (const sequence of [0, 1]) await first.publishBatch(runId, batch(sequence).key, encodeBatch(batch(sequence)));
    await waitUntil('two arrived', () => before.batches.length === 2);
    await first.close();
    const second = await opened();
    await second.publishBatch(runId, batch(2).key, encodeBatch(batch(2)));
    const after = consuming(second, runId, (before.places.at(-1) ?? 0) + 1);
    const again = consuming(second, runId);
    await waitUntil('all arrived', () => after.batches.length === 1 && again.batches.length === 3);
    expect([after, again].map(sequencesOf)).toEqual([[2], [0, 1, 2]]);
  });

  test('a reader whose consumer is taken away goes on where it was', async () => {
    const plane = await opened();
    const runId = newRun();
    const collected = consuming(plane, runId);
    await plane.publishBatch(runId, batch(0).key, encodeBatch(batch(0)));
    await waitUntil('the first arrived', () => collected.batches.length === 1);
    for await (const { name, config } of manager.consumers.list(STREAM))
      if (config.filter_subject === batchSubject(runId, '*')) await manager.consumers.delete(STREAM, name);
    await plane.publishBatch(runId, batch(1).key, encodeBatch(batch(1)));
    await waitUntil('the second arrived', () => collected.batches.length === 2);
    expect(sequencesOf(collected)).toEqual([0, 1]);
    expect(collected.troubles).not.toEqual([]);
  });

  test('what was stored twice, because its acknowledgement was lost and its id forgotten, comes twice and counts once', async () => {
    const plane = await opened();
    const runId = newRun();
    const rollup = new Rollup();
    const collected = consuming(plane, runId, 1, (one) => rollup.add(one));
    await plane.publishBatch(runId, batch(0).key, encodeBatch(batch(0)));
    // Without its message id, as for a server that no longer knows it: the window of ids is two minutes.
    await direct.jetstream().publish(batchSubject(runId, 'agent-1'), encodeBatch(batch(0)));
    await plane.publishBatch(runId, batch(1).key, encodeBatch(batch(1)));
    await waitUntil('all arrived', () => collected.batches.length === 3);
    expect(sequencesOf(collected)).toEqual([0, 0, 1]);
    expect([rollup.merged, rollup.duplicates]).toEqual([2, 1]);
  });
});

describe('run events', () => {
  test('come back in the order in which they happened, of all runs, whole', async () => {
    const plane = await opened();
    const runId = newRun();
    const events: RunEvent[] = [
      { runId, atMs: 1, kind: 'submitted', detail: { name: 'näme', agents: 2 } },
      { runId, atMs: 2.5, kind: 'started', detail: { clocks: [{ agent: 'a', offsetUs: -1.5 }] } },
      { runId, atMs: 3, kind: 'finished', detail: { exitCode: 0 } },
    ];
    for (const event of events) await plane.publishEvent(event);
    expect((await plane.events()).filter((event) => event.runId === runId)).toEqual(events);
    expect((await (await opened()).events()).filter((event) => event.runId === runId)).toEqual(events);
  });

  test('more of them than one fetch brings all come', async () => {
    const plane = await opened();
    const runId = newRun();
    for (let i = 0; i < 1_100; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, k) => plane.publishEvent({ runId, atMs: i + k, kind: 'epoch', detail: {} })));
    }
    const own = (await plane.events()).filter((event) => event.runId === runId);
    expect(new Set(own.map(({ atMs }) => atMs)).size).toBe(1_100);
  });
});

describe('workloads', () => {
  const workload = encodeWorkload({
    flows: {},
    rows: {
      users: { order: 'unique', columns: ['a'], rows: Array.from({ length: 60_000 }, (_, i) => [`user-${Math.imul(i, 2_654_435_761)}`]) },
    },
    script: undefined,
    env: {},
    target: '',
    defaults: { timeoutMs: 1, headers: [] },
    http: HTTP_DEFAULTS,
    files: {},
  });

  test('come back byte for byte, larger than one message too, and are stored once', async () => {
    const plane = await opened();
    expect(workload.bytes.length).toBeGreaterThan(128 * 1024);
    await plane.putWorkload(workload.hash, workload.bytes);
    const { bytes: bytesBefore } = (await manager.streams.info('OBJ_MUSTER_WORKLOADS')).state;
    await plane.putWorkload(workload.hash, workload.bytes);
    expect((await manager.streams.info('OBJ_MUSTER_WORKLOADS')).state.bytes).toBe(bytesBefore);
    expect(Buffer.from(await (await opened()).getWorkload(workload.hash)).equals(Buffer.from(workload.bytes))).toBe(true);
  });

  test('that nobody stored are a CONNECTION_LOST', async () => {
    await expect((await opened()).getWorkload('0'.repeat(64))).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });
});

describe('a server that is killed and comes back', () => {
  test('has lost nothing it acknowledged; publishing fails meanwhile and works again, and the reader goes on by itself', async () => {
    const plane = await opened();
    const runId = newRun();
    const collected = consuming(plane, runId);
    await plane.publishBatch(runId, batch(0).key, encodeBatch(batch(0)));
    await waitUntil('the first batch arrived', () => collected.batches.length === 1);
    await server.kill9();
    await waitUntil('the connection is known to be broken', () => !plane.isReachable);
    await expect(plane.publishBatch(runId, batch(1).key, encodeBatch(batch(1)))).rejects.toThrow('not reachable');
    await server.restart();
    await waitUntil('publishing works again', () => plane.publishBatch(runId, batch(1).key, encodeBatch(batch(1))).then(() => true, () => false), 30_000); // prettier-ignore
    // Published again after its acknowledgement was lost: the server still knows the message id.
    await plane.publishBatch(runId, batch(1).key, encodeBatch(batch(1)));
    await waitUntil('the second batch arrived', () => collected.batches.some(({ key }) => key.sequence === 1), 30_000);
    expect(await stored(runId)).toBe(2);
    expect(sequencesOf(collected)).toEqual([0, 1]);
  });

  test('a server that stands still for longer than anybody waits for an answer loses nothing and repeats nothing', async () => {
    const plane = await opened();
    const runId = newRun();
    const collected = consuming(plane, runId);
    const outbox = new Outbox((sequence) => plane.publishBatch(runId, batch(sequence).key, encodeBatch(batch(sequence))), systemClock);
    const add = (sequence: number): void => {
      outbox.add(batch(sequence));
    };
    add(0);
    await waitUntil('the first batch arrived', () => collected.batches.length === 1);
    await server.freeze();
    try {
      for (const sequence of [1, 2, 3]) add(sequence);
      await waitUntil('an attempt has failed', () => outbox.failure !== undefined, 15_000);
    } finally {
      server.thaw();
    }
    await outbox.drained();
    await waitUntil('all arrived', () => collected.batches.length === 4, 30_000);
    expect(sequencesOf(collected)).toEqual([0, 1, 2, 3]);
    expect(await stored(runId)).toBe(4);
  });
});

async function opened(): Promise<ResultsPlane> {
  const plane = await ResultsPlane.connect(server.url, 'test');
  planes.push(plane);
  await plane.ensureStream();
  return plane;
}

function newRun(): string {
  return `run-${++runs}`;
}

function consuming(plane: ResultsPlane, runId: string, fromSequence = 1, also: (batch: Batch) => void = () => undefined) {
  const batches: Batch[] = [];
  const places: number[] = [];
  const garbage: string[] = [];
  const troubles: string[] = [];
  const stop = new AbortController();
  stops.push(stop);
  const onBatch = (one: Batch, place: number): void => {
    also(one);
    batches.push(one);
    places.push(place);
  };
  const onGarbage = (reason: string): void => void garbage.push(reason);
  const onTrouble = (reason: string): void => void troubles.push(reason);
  const ended = plane.readBatches({ runId, fromSequence, onBatch, onGarbage, onTrouble }, stop.signal);
  return { batches, places, garbage, troubles, stop, ended };
}

function sequencesOf({ batches }: { readonly batches: readonly Batch[] }): number[] {
  return batches.map(({ key }) => key.sequence);
}

function batch(sequence: number): Batch {
  return {
    key: { agent: 'agent-1', incarnation: 'i', sequence },
    ...sealedInterval(sequence, {
      defines: sequence === 0 ? DEFINITIONS : [],
      trends: [trendSlice(0, [1_000 + sequence])],
      counters: [{ series: 1, count: 1 }],
    }),
  };
}

function comparable({ trends, ...rest }: Batch): unknown {
  return { ...rest, trends: trends.map(({ histogram, ...totals }) => ({ ...totals, histogram: Buffer.from(histogram).toString('hex') })) };
}

/** Messages the stream holds of a run's batches. A question that was asked just while the connection broke is lost with it, so it is asked again. */
async function stored(runId: string): Promise<number> {
  const subjects_filter = batchSubject(runId, '*');
  const answer = (): Promise<StreamInfo | undefined> => manager.streams.info(STREAM, { subjects_filter }).catch(() => undefined);
  const { state } = await waitUntil('the server says what it holds', answer, 30_000);
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
}
