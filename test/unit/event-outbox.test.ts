import { describe, expect, test } from 'vitest';
import { EventOutbox } from '../../coordinator/event-outbox.ts';
import { createLog } from '../../shared/base/index.ts';
import type { RunEvent } from '../../shared/wire/index.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('the outbox of run events', () => {
  test('stores all in order while the server fails now and then, each under an id of its own that a repeat keeps', async () => {
    const { outbox, clock, attempts, stored, fail } = arranged();
    fail(1, 3, 4);
    for (const number of [0, 1, 2]) outbox.add(event(number));
    const flushed = outbox.flushed(60_000);
    // The outbox waits before it tries again, and `flushed` for its time.
    await clock.untilSleeping(2);
    await clock.advance(10_000);
    expect(await flushed).toBe(true);
    expect(stored.map(({ atMs }) => atMs)).toEqual([0, 1, 2]);
    const ids = attempts.map(([atMs, id]) => `${atMs} ${id}`);
    expect(attempts.map(([atMs]) => atMs)).toEqual([0, 1, 1, 2, 2, 2]);
    expect(new Set(ids).size).toBe(3);
    expect(new Set(attempts.map(([, id]) => id)).size).toBe(3);
  });

  test('of another process gives other ids', async () => {
    const [one, other] = [arranged(), arranged()];
    for (const { outbox } of [one, other]) {
      outbox.add(event(0));
      await outbox.flushed(1_000);
    }
    expect(one.attempts[0]?.[1]).not.toBe(other.attempts[0]?.[1]);
  });

  test('says after its time that not all is stored, and ends when it is closed', async () => {
    const { outbox, clock, fail } = arranged();
    fail(0);
    outbox.add(event(0));
    const flushed = outbox.flushed(50);
    await clock.untilSleeping(2);
    await clock.advance(50);
    expect(await flushed).toBe(false);
    await outbox.close();
    expect(clock.sleeping).toBe(0);
  });
});

function event(number: number): RunEvent {
  return { runId: 'run-1', atMs: number, kind: 'epoch', detail: {} };
}

function arranged() {
  const clock = new FakeClock();
  const stored: RunEvent[] = [];
  const attempts: (readonly [number, string])[] = [];
  const failing = new Set<number>();
  const store = (one: RunEvent, id: string): Promise<void> => {
    const attempt = attempts.push([one.atMs, id]) - 1;
    if (failing.has(attempt)) return Promise.reject(new Error('away'));
    stored.push(one);
    return Promise.resolve();
  };
  const outbox = new EventOutbox(store, clock, createLog('test', 'silent'));
  const fail = (...numbers: number[]): void => {
    for (const number of numbers) failing.add(number);
  };
  return { outbox, clock, attempts, stored, fail };
}
