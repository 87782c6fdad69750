import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EventOutbox } from '../../coordinator/event-outbox.ts';
import { foldRuns } from '../../coordinator/run-fold.ts';
import { createLog, systemClock, VERSION } from '../../shared/base/index.ts';
import { encodeBatch, ResultsPlane, type RunEvent } from '../../shared/wire/index.ts';
import { sealedInterval } from '../support/intervals.ts';
import { NatsServer } from '../support/nats-server.ts';
import { waitUntil } from '../support/wait-until.ts';

/** What a server takes by default. */
const MESSAGE_BYTES_MAX = 1_048_576;

let server: NatsServer;
const planes: ResultsPlane[] = [];

beforeAll(async () => {
  server = await NatsServer.start();
});
afterEach(async () => {
  for (const plane of planes.splice(0)) await plane.close();
});
afterAll(() => server.stop());

describe('the events of a run', () => {
  test('of ten thousand agents fit into a message of the server', async () => {
    const plane = await opened();
    const ids = Array.from({ length: 10_000 }, () => randomUUID());
    const agents = ids.map((id) => ({ id, incarnation: randomUUID(), version: VERSION, labels: { zone: 'eu-west-1' }, capacity: 1 }));
    const large: RunEvent = { ...event('assigned', { agents, epochs: [{ number: 0, fromUs: 0, owners: ids }] }), runId: 'run-large' };
    expect(JSON.stringify(large.detail).length).toBeGreaterThan(MESSAGE_BYTES_MAX);
    await plane.publishEvent(large);
    expect((await plane.events()).filter(({ runId }) => runId === 'run-large')).toEqual([large]);
  });

  test('survive a server that is away for a while: in order, each once, and their fold is what happened', async () => {
    const plane = await opened();
    const attempts: string[] = [];
    let isTold = true;
    const store = async (event: RunEvent, id: string): Promise<void> => {
      attempts.push(id);
      await plane.publishEvent(event, id);
      // The server has it, and its word is lost on the way.
      if (!isTold) throw new Error('no answer');
    };
    const outbox = new EventOutbox(store, systemClock, createLog('test', 'silent'));
    outbox.add(event('submitted', { name: 'shop', durationUs: 5 }));
    outbox.add(event('started', { zeroUs: 7, clocks: [] }));
    expect(await outbox.flushed(10_000)).toBe(true);
    isTold = false;
    outbox.add(event('agent-lost', { agent: 'a', lastSeenUs: 1 }));
    await waitUntil('it was sent again', () => attempts.length >= 4);
    isTold = true;
    expect(await outbox.flushed(10_000)).toBe(true);
    await server.kill9();
    outbox.add(event('agent-lost', { agent: 'b', lastSeenUs: 2 }));
    outbox.add(event('stopping', { atUs: 3, kind: 'person', reason: 'enough' }));
    expect(await outbox.flushed(300)).toBe(false);
    await server.restart();
    expect(await outbox.flushed(30_000)).toBe(true);
    await outbox.close();

    const events = (await (await opened()).events()).filter(({ runId }) => runId === 'run-events');
    expect(events.map(({ kind }) => kind)).toEqual(['submitted', 'started', 'agent-lost', 'agent-lost', 'stopping']);
    expect(foldRuns(events).get('run-events')).toMatchObject({
      name: 'shop',
      zeroUs: 7,
      cutUs: 3,
      lost: new Map([
        ['a', 1],
        ['b', 2],
      ]),
      finished: undefined,
    });
  });
});

describe('a run', () => {
  test('belongs to the coordinator that answers for it, and to nobody when that is gone', async () => {
    const [owner, other] = [await opened(), await opened()];
    expect(await other.isOwned('run-owned')).toBe(false);
    const disown = owner.ownRun('run-owned');
    await waitUntil('the server knows', () => other.isOwned('run-owned'));
    expect(await other.isOwned('run-another')).toBe(false);
    disown();
    await waitUntil('the server knows', async () => !(await other.isOwned('run-owned')));
    owner.ownRun('run-owned');
    await waitUntil('the server knows', () => other.isOwned('run-owned'));
    await owner.close();
    await waitUntil('the server knows', async () => !(await other.isOwned('run-owned')));
  });

  test('has its batches counted from any place on, and dropped up to one, while those of others stay', async () => {
    const plane = await opened();
    for (const runId of ['run-kept', 'run-dropped', 'run-kept', 'run-dropped', 'run-dropped']) await publish(plane, runId);
    const sequences = await sequencesOf(plane, 'run-dropped');
    expect(sequences).toHaveLength(3);
    const [, second = 0, third = 0] = sequences;
    expect(await plane.countBatches('run-dropped', 1)).toBe(3);
    expect(await plane.countBatches('run-dropped', second + 1)).toBe(1);
    expect(await plane.countBatches('run-dropped', third + 1)).toBe(0);
    await plane.dropBatches('run-dropped', second);
    expect(await sequencesOf(plane, 'run-dropped')).toEqual([third]);
    expect(await plane.countBatches('run-kept', 1)).toBe(2);
  });
});

async function opened(): Promise<ResultsPlane> {
  const plane = await ResultsPlane.connect(server.url, 'test');
  planes.push(plane);
  await plane.ensureStream();
  return plane;
}

let published = 0;

async function publish(plane: ResultsPlane, runId: string): Promise<void> {
  const key = { agent: 'a', incarnation: 'i', sequence: published++ };
  await plane.publishBatch(runId, key, encodeBatch({ key, ...sealedInterval(0) }));
}

/** Where in the stream the batches of the run are. */
async function sequencesOf(plane: ResultsPlane, runId: string): Promise<number[]> {
  const expected = await plane.countBatches(runId, 1);
  const found: number[] = [];
  const stop = new AbortController();
  const fail = (reason: string): void => {
    throw new Error(reason);
  };
  const reading = plane.readBatches(
    { runId, fromSequence: 1, onBatch: (_, sequence) => found.push(sequence), onGarbage: fail, onTrouble: fail },
    stop.signal,
  );
  await waitUntil('all are read', () => found.length === expected);
  stop.abort();
  await reading;
  return found;
}

function event(kind: RunEvent['kind'], detail: RunEvent['detail']): RunEvent {
  return { runId: 'run-events', atMs: 1, kind, detail };
}
