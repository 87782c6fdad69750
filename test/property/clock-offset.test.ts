import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClockOffset, driftUs } from '../../coordinator/clock-offset.ts';

/** One ping: how long it was on its way there, in the agent, and on its way back, microseconds. */
const trip = fc.record({ thereUs: fc.nat({ max: 2_000_000 }), inAgentUs: fc.nat({ max: 5_000 }), backUs: fc.nat({ max: 2_000_000 }) });
const offset = fc.integer({ min: -1e12, max: 1e12 });

describe('the estimate of a clock offset', () => {
  test('is off by no more than its uncertainty, however unequal the two ways were', () => {
    fc.assert(
      fc.property(offset, fc.array(trip, { minLength: 1, maxLength: 80 }), (trueUs, trips) => {
        const clock = played(trueUs, trips);
        const { offsetUs, uncertaintyUs, samples } = clock.estimate;
        expect(Math.abs(offsetUs - trueUs)).toBeLessThanOrEqual(uncertaintyUs + 1e-3);
        expect(samples).toBe(Math.min(trips.length, 32));
        // The quickest of the last 32 round trips decides; one that is older must have been quicker by what clocks drift meanwhile.
        const nowUs = endOf(trips.length - 1, trips.at(-1));
        const known = trips.map((trip, i) => (trip.thereUs + trip.backUs) / 2 + Math.max(0, nowUs - endOf(i, trip)) * 15e-6).slice(-32);
        expect(uncertaintyUs).toBeCloseTo(Math.min(...known), 6);
      }),
    );
  });

  test('is exact when both ways take equally long', () => {
    fc.assert(
      fc.property(offset, fc.nat({ max: 1_000_000 }), (trueUs, wayUs) => {
        expect(played(trueUs, [{ thereUs: wayUs, inAgentUs: 7, backUs: wayUs }]).estimate).toEqual({
          offsetUs: trueUs,
          uncertaintyUs: wayUs,
          samples: 1,
        });
      }),
    );
  });

  test('follows a clock that was set: the old offset is forgotten after 32 pings', () => {
    const clock = played(5_000, [{ thereUs: 1, inAgentUs: 0, backUs: 1 }]);
    ping(
      clock,
      9_000,
      Array.from({ length: 32 }, () => ({ thereUs: 300, inAgentUs: 0, backUs: 300 })),
    );
    expect(clock.estimate).toMatchObject({ offsetUs: 9_000, uncertaintyUs: 300 });
  });

  test('of a clock that runs at a wrong rate is never further off than ten pings ago', () => {
    const clock = new ClockOffset();
    // A clock that gains 200 µs a second, which is more than any clock should.
    for (let i = 0; i < 100; i++) ping(clock, i * 200, [{ thereUs: 50, inAgentUs: 0, backUs: 50 }], i);
    expect(clock.estimate.offsetUs).toBe(99 * 200);
  });

  test('that has moved by more than both estimates allow has drifted by the rest', () => {
    const estimate = (offsetUs: number, uncertaintyUs: number) => ({ offsetUs, uncertaintyUs, samples: 1 });
    expect(driftUs(estimate(1_000, 200), estimate(61_000, 300))).toBe(59_500);
    expect(driftUs(estimate(61_000, 200), estimate(1_000, 300))).toBe(59_500);
    expect(driftUs(estimate(1_000, 200), estimate(1_400, 300))).toBe(0);
    expect(driftUs(estimate(1_000, Infinity), estimate(9_000, 300))).toBe(0);
  });

  test('knows nothing before the first ping', () => {
    expect(new ClockOffset().estimate).toEqual({ offsetUs: 0, uncertaintyUs: Infinity, samples: 0 });
  });
});

interface Trip {
  readonly thereUs: number;
  readonly inAgentUs: number;
  readonly backUs: number;
}

function played(trueUs: number, trips: readonly Trip[]): ClockOffset {
  const clock = new ClockOffset();
  ping(clock, trueUs, trips);
  return clock;
}

/** When the `i`-th ping is back. */
function endOf(i: number, trip: Trip | undefined): number {
  return i * 1_000_000 + (trip === undefined ? 0 : trip.thereUs + trip.inAgentUs + trip.backUs);
}

function ping(clock: ClockOffset, trueUs: number, trips: readonly Trip[], from = 0): void {
  trips.forEach(({ thereUs, inAgentUs, backUs }, i) => {
    const t0 = (from + i) * 1_000_000;
    const t1 = t0 + thereUs + trueUs;
    clock.add({ t0, t1, t2: t1 + inAgentUs, t3: t0 + thereUs + inAgentUs + backUs });
  });
}
