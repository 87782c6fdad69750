import { describe, expect, test } from 'vitest';
import { searchRate, type RateStep, type SearchLimits } from '../../coordinator/calibrate/rate-search.ts';
import { undisturbedLagMs } from '../../coordinator/calibrate/slices.ts';

const LIMITS: SearchLimits = { firstPerSecond: 2_000, lowestPerSecond: 100, highestPerSecond: 128_000, triesMax: 16 };

/** A machine that keeps every rate up to a limit, but for the tries in `disturbed` (0 for the first). */
function machine(limitPerSecond: number, disturbed: readonly number[] = []): (ratePerSecond: number) => Promise<RateStep> {
  let tries = 0;
  return (ratePerSecond) => {
    const isKept = ratePerSecond <= limitPerSecond && !disturbed.includes(tries++);
    return Promise.resolve({ ratePerSecond, lagP99Ms: isKept ? 0.4 : 3, isKept });
  };
}

describe('searching the highest rate', () => {
  test.each([150, 999, 2_000, 5_300, 11_000, 47_000, 120_000])('finds %d/s to a tenth, and never more', async (limit) => {
    const { ratePerSecond, steps } = await searchRate(machine(limit), LIMITS);
    expect(ratePerSecond).toBeLessThanOrEqual(limit);
    expect(ratePerSecond).toBeGreaterThan(limit / 1.15);
    expect(steps.length).toBeLessThanOrEqual(LIMITS.triesMax);
  });

  test('doubles, then halves the gap; a miss counts when it happens twice', async () => {
    const { ratePerSecond, steps } = await searchRate(machine(9_000), LIMITS);
    expect(steps.map((step) => step.ratePerSecond)).toEqual([2_000, 4_000, 8_000, 16_000, 16_000, 11_000, 11_000, 9_400, 9_400, 8_700]);
    expect(ratePerSecond).toBe(8_700);
  });

  test('one disturbance does not hide a rate that is kept', async () => {
    const calm = await searchRate(machine(9_000), LIMITS);
    const disturbed = await searchRate(machine(9_000, [1]), LIMITS);
    expect(disturbed.ratePerSecond).toBe(calm.ratePerSecond);
  });

  test('a machine that keeps nothing has no rate, and is not asked for ever', async () => {
    const { ratePerSecond, steps } = await searchRate(machine(0), LIMITS);
    expect(ratePerSecond).toBeUndefined();
    expect(steps.at(-1)?.ratePerSecond).toBe(LIMITS.lowestPerSecond);
  });

  test('stops at the highest rate, and after the last try', async () => {
    expect((await searchRate(machine(Infinity), LIMITS)).ratePerSecond).toBe(LIMITS.highestPerSecond);
    expect((await searchRate(machine(9_000), { ...LIMITS, triesMax: 3 })).steps).toHaveLength(3);
  });
});

describe('the lag of a tried rate', () => {
  test('is that of its undisturbed intervals: a third of them may be late', () => {
    expect(undisturbedLagMs([0.2, 0.3, 25, 0.4, 0.2, 12])).toBe(0.4);
    expect(undisturbedLagMs([0.2, 0.3, 25, 0.4, 30, 12])).toBe(12);
    expect(undisturbedLagMs([0.7])).toBe(0.7);
  });

  test('has no end where nothing was fired', () => {
    expect(undisturbedLagMs([])).toBe(Infinity);
  });
});
