import { describe, expect, test } from 'vitest';
import { Lease } from '../../agent/lease.ts';
import { EPOCH_MARGIN_US, earliestUs, lossTerms } from '../../coordinator/loss-terms.ts';

const TERMS = { lengthUs: 2_500_000, chainUs: 1_800_000 };

describe('a lease', () => {
  test('holds from the instant of what was heard, not from when that was learnt', () => {
    const lease = new Lease(TERMS);
    expect(lease.holds(0)).toBe(false);
    lease.heard(1_000_000);
    expect([lease.holds(3_499_999), lease.holds(3_500_000)]).toEqual([true, false]);
    // Answers may overtake each other.
    lease.heard(500_000);
    expect(lease.holds(3_499_999)).toBe(true);
  });

  test('is prolonged by batches that are stored one after the other, for as long as there is no gap', () => {
    const lease = new Lease(TERMS);
    lease.heard(0);
    for (let saidUs = 1_000_000; saidUs <= 9_000_000; saidUs += 1_000_000) lease.stored(saidUs, saidUs + 700_000);
    expect(lease.holds(11_499_999)).toBe(true);
    lease.stored(10_000_000, 10_800_001);
    expect([lease.holds(11_499_999), lease.holds(11_500_000)]).toEqual([true, false]);
  });

  test('that is over comes back by the coordinator’s word alone', () => {
    const lease = new Lease(TERMS);
    lease.heard(0);
    lease.stored(2_600_000, 2_600_001);
    expect(lease.holds(2_600_002)).toBe(false);
    lease.heard(2_600_000);
    expect(lease.holds(2_600_002)).toBe(true);
  });

  test('without terms holds for ever', () => {
    expect(new Lease(undefined).holds(Number.MAX_SAFE_INTEGER)).toBe(true);
  });

  test('that was given up is over, with terms and without, whatever is heard then', () => {
    for (const terms of [TERMS, undefined]) {
      const lease = new Lease(terms);
      lease.heard(0);
      lease.giveUp();
      lease.stored(1_000_000, 1_000_001);
      lease.heard(1_000_000);
      expect(lease.holds(1_000_002)).toBe(false);
    }
  });
});

describe('the terms of losing an agent', () => {
  test.each([100, 1_000, 10_000, 60_000])('at intervals of %d ms leave no instant at which two may fire for one share', (intervalMs) => {
    const terms = lossTerms({ name: 'p', seed: 0, intervalMs, scenarios: [] });
    const { lease, brokenUs, silentUs } = terms;
    // No batch can prolong a lease any more when its agent is given up, and whatever was heard last is over before another takes over.
    expect(lease.chainUs).toBeLessThan(brokenUs);
    expect(brokenUs).toBeLessThan(silentUs);
    expect(earliestUs(terms, 0)).toBeGreaterThan(lease.lengthUs * 1.002);
    // A batch per interval, and more than one heartbeat, keep it alive.
    expect(lease.chainUs).toBeGreaterThan(Math.max(1_000_000, intervalMs * 1_000));
    expect(lease.lengthUs).toBeGreaterThan(2 * 500_000 + EPOCH_MARGIN_US);
  });
});
