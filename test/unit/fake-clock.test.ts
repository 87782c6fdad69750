import { describe, expect, test } from 'vitest';
import { FakeClock } from '../support/fake-clock.ts';

describe('the fake clock', () => {
  test('stands still until it is advanced', async () => {
    const clock = new FakeClock(5_000);
    expect(clock.nowUs()).toBe(5_000);
    await clock.advance(1.5);
    expect(clock.nowUs()).toBe(6_500);
  });

  test('wakes sleepers in the order of their instants, and each sees its own instant', async () => {
    const clock = new FakeClock(0);
    const woken: [string, number][] = [];
    const sleeper = async (name: string, ms: number): Promise<void> => {
      await clock.sleep(ms);
      woken.push([name, clock.nowUs()]);
    };
    const sleepers = [sleeper('late', 30), sleeper('early', 10), sleeper('late too', 30), sleeper('beyond', 31)];
    await clock.advance(30);
    expect(woken).toEqual([
      ['early', 10_000],
      ['late', 30_000],
      ['late too', 30_000],
    ]);
    expect(clock.sleeping).toBe(1);
    await clock.advance(1);
    await Promise.all(sleepers);
  });

  test('a loop that sleeps runs through one long advance', async () => {
    const clock = new FakeClock(0);
    const ticks: number[] = [];
    const loop = (async () => {
      while (ticks.length < 5) {
        await clock.sleep(100);
        ticks.push(clock.nowUs());
      }
    })();
    await clock.advance(500);
    await loop;
    expect(ticks).toEqual([100_000, 200_000, 300_000, 400_000, 500_000]);
  });

  test('an aborted sleep ends at once, before and while it lasts', async () => {
    const clock = new FakeClock(0);
    const abort = new AbortController();
    const sleep = clock.sleep(1_000, abort.signal);
    abort.abort();
    await sleep;
    await clock.sleep(1_000, abort.signal);
    expect(clock.sleeping).toBe(0);
    expect(clock.nowUs()).toBe(0);
  });

  test('says when enough sleepers have come', async () => {
    const clock = new FakeClock(0);
    const two = clock.untilSleeping(2);
    const sleeps = [clock.sleep(1), clock.sleep(2)];
    await two;
    expect(clock.sleeping).toBe(2);
    await clock.advance(2);
    await Promise.all(sleeps);
  });
});
