import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Deadlines, type Waiter } from '../../agent/protocol/http1/deadlines.ts';
import { FakeClock } from '../support/fake-clock.ts';

class Alarm implements Waiter {
  deadlineUs = 0;
  slot = -1;
  next: Waiter | undefined = undefined;
  previous: Waiter | undefined = undefined;
  readonly expiredUs: number[] = [];
  private readonly onExpire: () => void;

  constructor(onExpire: () => void = () => undefined) {
    this.onExpire = onExpire;
  }

  expire(nowUs: number): void {
    this.expiredUs.push(nowUs);
    this.onExpire();
  }
}

/** Moves time in steps that are shorter than a tick, since a sweep takes a turn of the loop. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 2) await clock.advance(2);
}

describe('deadlines', () => {
  test('expire once, not early, and at most 15 ms late, however far ahead they lie', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 9_000_000 }), { minLength: 1, maxLength: 20 }),
        fc.integer(),
        async (delays, phase) => {
          const clock = new FakeClock(1_700_000_000_000_000 + Math.abs(phase % 8000));
          const deadlines = new Deadlines(clock);
          const startUs = clock.nowUs();
          const alarms = delays.map((delayUs) => {
            const alarm = new Alarm();
            deadlines.add(alarm, startUs + delayUs);
            return alarm;
          });
          await pass(clock, 9100);
          alarms.forEach((alarm, i) => {
            const lateUs = alarm.expiredUs.map((us) => us - startUs - (delays[i] ?? 0));
            expect(lateUs).toHaveLength(1);
            expect(lateUs[0]).toBeGreaterThanOrEqual(0);
            expect(lateUs[0]).toBeLessThanOrEqual(15_000);
          });
        },
      ),
      { numRuns: 3 },
    );
  });

  test('that were removed never expire, and removing twice changes nothing', async () => {
    const clock = new FakeClock();
    const deadlines = new Deadlines(clock);
    const alarms = Array.from({ length: 9 }, () => new Alarm());
    for (const alarm of alarms) deadlines.add(alarm, clock.nowUs() + 50_000);
    for (const kept of [0, 4, 8]) {
      const alarm = alarms[kept];
      if (alarm !== undefined) deadlines.remove(alarm);
      if (alarm !== undefined) deadlines.remove(alarm);
    }
    await pass(clock, 80);
    expect(alarms.map(({ expiredUs }) => expiredUs.length)).toEqual([0, 1, 1, 1, 0, 1, 1, 1, 0]);
  });

  test('may be added and removed by what expires', async () => {
    const clock = new FakeClock();
    const deadlines = new Deadlines(clock);
    const victim = new Alarm();
    const killer = new Alarm(() => {
      deadlines.remove(victim);
      deadlines.add(later, clock.nowUs() + 20_000);
    });
    const later = new Alarm();
    // The one added last is swept first.
    deadlines.add(victim, clock.nowUs() + 10_000);
    deadlines.add(killer, clock.nowUs() + 10_000);
    await pass(clock, 60);
    expect([killer, victim, later].map(({ expiredUs }) => expiredUs.length)).toEqual([1, 0, 1]);
  });

  test('tick only while something waits', async () => {
    const clock = new FakeClock();
    const deadlines = new Deadlines(clock);
    expect(clock.sleeping).toBe(0);
    const alarm = new Alarm();
    deadlines.add(alarm, clock.nowUs() + 1_000_000);
    expect(clock.sleeping).toBe(1);
    deadlines.remove(alarm);
    await pass(clock, 20);
    expect(clock.sleeping).toBe(0);
    deadlines.add(alarm, clock.nowUs() + 10_000);
    await pass(clock, 40);
    expect(alarm.expiredUs).toHaveLength(1);
    expect(clock.sleeping).toBe(0);
  });

  test('that passed during a stall of seconds all expire', async () => {
    const clock = new FakeClock();
    const deadlines = new Deadlines(clock);
    const alarms = Array.from({ length: 100 }, () => new Alarm());
    alarms.forEach((alarm, i) => {
      deadlines.add(alarm, clock.nowUs() + i * 100_000);
    });
    await clock.advance(60_000);
    await pass(clock, 20);
    expect(alarms.every(({ expiredUs }) => expiredUs.length === 1)).toBe(true);
  });

  test('stop ticking on close', async () => {
    const clock = new FakeClock();
    const deadlines = new Deadlines(clock);
    const alarm = new Alarm();
    deadlines.add(alarm, clock.nowUs() + 10_000);
    await deadlines.close();
    expect(clock.sleeping).toBe(0);
    expect(alarm.expiredUs).toEqual([]);
  });
});
