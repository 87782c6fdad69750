import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MachineNoise } from '../support/machine-noise.ts';

/** Mostly short waits, and some long ones. */
const wait = fc.oneof({ weight: 60, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }, fc.double({ min: 0, max: 100, noNaN: true }));

describe('what noise may excuse', () => {
  test('of sums of waits, however they hang together, at most one in a hundred is above it', () => {
    const waits = fc.array(wait, { minLength: 400, maxLength: 1_200 });
    const sums = fc.tuple(waits, fc.integer({ min: 1, max: 6 })).chain(([lateMs, n]) => {
      const shuffled = fc.shuffledSubarray(lateMs, { minLength: lateMs.length });
      return fc.record({ lateMs: fc.constant(lateMs), columns: fc.array(shuffled, { minLength: n, maxLength: n }) });
    });
    fc.assert(
      fc.property(sums, ({ lateMs, columns }) => {
        const limitMs = new MachineNoise(lateMs).sumP99Ms(columns.length);
        const above = lateMs.filter((_, row) => columns.reduce((sum, column) => sum + (column[row] ?? NaN), 0) > limitMs * (1 + 1e-9));
        expect(above.length).toBeLessThanOrEqual(lateMs.length / 100);
      }),
    );
  });

  test('is nothing without a wait, and one wait is its own percentile', () => {
    expect(new MachineNoise([]).sumP99Ms(4)).toBe(0);
    const noise = new MachineNoise(Array.from({ length: 1_000 }, (_, i) => i));
    expect([noise.p99Ms, noise.sumP99Ms(1), noise.sumP99Ms(4), noise.maxMs]).toEqual([990, 990, 4 * 997, 999]);
  });
});
