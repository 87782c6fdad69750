import { afterEach, describe, expect, test } from 'vitest';
import { Pacer } from '../../agent/pacer.ts';
import { createRelaxedSleeper, createSleeper } from '../../agent/sleeper.ts';
import { systemClock } from '../../shared/base/index.ts';
import type { Pacing } from '../../shared/plan/index.ts';
import { waitUntil } from '../support/wait-until.ts';

/** The helper thread posts this much early, because a message takes longer than that to arrive. */
const EARLY_MAX_US = 40;

let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

describe('the sleeper', () => {
  test('wakes once for every deadline, and never more than its head start before it', async () => {
    const wakes: number[] = [];
    let wake = (): void => {};
    const sleeper = createSleeper(() => {
      wakes.push(systemClock.nowUs());
      wake();
    });
    close = () => sleeper.close();
    const deadlines: number[] = [];
    for (let i = 0; i < 100; i++) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      const deadlineUs = systemClock.nowUs() + 100 + i * 40;
      deadlines.push(deadlineUs);
      sleeper.sleepUntil(deadlineUs);
      await woken;
    }
    expect(wakes).toHaveLength(100);
    wakes.forEach((us, i) => {
      expect(us).toBeGreaterThanOrEqual((deadlines[i] ?? NaN) - EARLY_MAX_US);
    });
  });

  test('a later call takes the place of an earlier one, be it for sooner or for later', async () => {
    const wakes: number[] = [];
    const sleeper = createSleeper(() => wakes.push(systemClock.nowUs()));
    close = () => sleeper.close();
    sleeper.sleepUntil(systemClock.nowUs() + 3_600_000_000);
    const soonUs = systemClock.nowUs() + 2_000;
    sleeper.sleepUntil(soonUs);
    await waitUntil('the sooner deadline woke', () => wakes.length === 1);
    expect(wakes[0]).toBeGreaterThanOrEqual(soonUs - EARLY_MAX_US);

    sleeper.sleepUntil(systemClock.nowUs() + 200_000);
    const lateUs = systemClock.nowUs() + 250_000;
    sleeper.sleepUntil(lateUs);
    await waitUntil('the later deadline woke', () => wakes.length === 2);
    expect(wakes[1]).toBeGreaterThanOrEqual(lateUs - EARLY_MAX_US);
  });

  test('a deadline that has passed wakes at once', async () => {
    let wakes = 0;
    const sleeper = createSleeper(() => wakes++);
    close = () => sleeper.close();
    sleeper.sleepUntil(systemClock.nowUs() - 1_000_000);
    await waitUntil('it woke', () => wakes === 1);
  });

  test('closed in the middle of a sleep, its thread ends', async () => {
    const before = threads();
    const sleeper = createSleeper(() => {});
    sleeper.sleepUntil(systemClock.nowUs() + 3_600_000_000);
    expect(threads()).toBe(before + 1);
    await sleeper.close();
    expect(threads()).toBe(before);
  });
});

describe('the relaxed sleeper', () => {
  test('wakes once for the last deadline it was given, not before it, and without a thread', async () => {
    const before = threads();
    const wakes: number[] = [];
    const sleeper = createRelaxedSleeper(systemClock, () => wakes.push(systemClock.nowUs()));
    close = () => sleeper.close();
    sleeper.sleepUntil(systemClock.nowUs() + 1_000);
    const lateUs = systemClock.nowUs() + 20_300;
    sleeper.sleepUntil(lateUs);
    expect(threads()).toBe(before);
    await waitUntil('it woke', () => wakes.length > 0);
    // Timers count from the loop's own reading of the clock, which may be a millisecond old.
    expect(wakes[0]).toBeGreaterThanOrEqual(lateUs - 1_000);
    expect(wakes.length).toBe(1);
  });

  test('sleeps for ever, or for months, without waking', async () => {
    let wakes = 0;
    const sleeper = createRelaxedSleeper(systemClock, () => wakes++);
    close = () => sleeper.close();
    sleeper.sleepUntil(systemClock.nowUs() + 90 * 86_400e6);
    await waitUntil('some turns of the loop are over', turnsOver(5));
    sleeper.sleepUntil(Infinity);
    await waitUntil('some more turns are over', turnsOver(5));
    expect(wakes).toBe(0);
  });
});

describe('the pacer', () => {
  test('relaxed, fires every instant in order and none before it is due, though several in one turn', async () => {
    const startUs = systemClock.nowUs() + 5_000;
    const turns: number[] = [];
    const { lateUs, fired } = await paced(
      Array.from({ length: 300 }, (_, i) => startUs + i * 250),
      turns,
      'relaxed',
    );
    expect(fired).toBe(300);
    expect(Math.min(...lateUs)).toBeGreaterThanOrEqual(0);
    // Timers know whole milliseconds, in which four fall due: it neither spins between them nor wakes for each.
    expect(turns.length).toBeLessThan(150);
  });

  test('fires every instant, in order, when it is due or after, and never before', async () => {
    const startUs = systemClock.nowUs() + 5_000;
    const { lateUs, fired } = await paced(Array.from({ length: 300 }, (_, i) => startUs + i * 700));
    expect(fired).toBe(300);
    expect(Math.min(...lateUs)).toBeGreaterThanOrEqual(0);
  });

  test('turns the loop instead of sleeping when instants are near, with room for everything else in between', async () => {
    let others = 0;
    let isOver = false;
    const other = (): void => {
      others++;
      if (!isOver) setImmediate(other);
    };
    setImmediate(other);
    const startUs = systemClock.nowUs() + 1_000;
    const { lateUs, fired } = await paced(Array.from({ length: 2_000 }, (_, i) => startUs + i * 20));
    isOver = true;
    expect(fired).toBe(2_000);
    expect(Math.min(...lateUs)).toBeGreaterThanOrEqual(0);
    expect(others).toBeGreaterThan(10);
  });

  test('fires everything that has fallen due in one turn', async () => {
    const turns: number[] = [];
    const pastUs = systemClock.nowUs() - 10_000;
    await paced(
      Array.from({ length: 50 }, (_, i) => pastUs + i),
      turns,
    );
    expect(turns[0]).toBe(50);
  });

  test('fires for whoever notices that something is due, not before it is, and not within its own turn', async () => {
    let turns = 0;
    const dueUs = systemClock.nowUs() + 3_600_000_000;
    const pacer: Pacer = new Pacer(systemClock, (nowUs) => {
      turns++;
      pacer.notice(nowUs);
      pacer.notice(dueUs);
      return dueUs;
    });
    close = () => pacer.close();
    pacer.wake();
    expect(turns).toBe(1);
    pacer.notice(dueUs - 1);
    expect(turns).toBe(1);
    pacer.notice(dueUs);
    expect(turns).toBe(2);
  });

  test('closed, it takes no turn any more', async () => {
    const before = threads();
    let turns = 0;
    const pacer = new Pacer(systemClock, () => {
      turns++;
      return Infinity;
    });
    pacer.wake();
    await pacer.close();
    pacer.wake();
    pacer.notice(Infinity);
    expect([turns, threads()]).toEqual([1, before]);
  });
});

/** Paces these instants to the last; `turns` is filled with how many fired in each turn. */
async function paced(
  instants: readonly number[],
  turns: number[] = [],
  pacing: Pacing = 'precise',
): Promise<{ readonly lateUs: number[]; readonly fired: number }> {
  const lateUs: number[] = [];
  let next = 0;
  await new Promise<void>((resolve) => {
    const turn = (nowUs: number): number => {
      const from = next;
      while (next < instants.length && instants[next]! <= nowUs) lateUs.push(nowUs - instants[next++]!);
      if (next > from) turns.push(next - from);
      if (next < instants.length) return instants[next]!;
      resolve();
      return Infinity;
    };
    const pacer = new Pacer(systemClock, turn, pacing);
    close = () => pacer.close();
    pacer.wake();
  });
  return { lateUs, fired: next };
}

/** True once it was asked this often: `waitUntil` lets the loop turn in between. */
function turnsOver(count: number): () => boolean {
  let turns = 0;
  return () => ++turns > count;
}

/** Worker threads of this process, by their ports. */
function threads(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Worker' || kind === 'MessagePort').length;
}
