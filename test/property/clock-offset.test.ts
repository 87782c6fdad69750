import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClockOffset } from '../../coordinator/clock-offset.ts';

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
        // The quickest of the last 32 round trips decides.
        const delays = trips.slice(-32).map(({ thereUs, backUs }) => thereUs + backUs);
        expect(uncertaintyUs).toBe(Math.min(...delays) / 2);
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

function ping(clock: ClockOffset, trueUs: number, trips: readonly Trip[]): void {
  trips.forEach(({ thereUs, inAgentUs, backUs }, i) => {
    const t0 = i * 1_000_000;
    const t1 = t0 + thereUs + trueUs;
    clock.add({ t0, t1, t2: t1 + inAgentUs, t3: t0 + thereUs + inAgentUs + backUs });
  });
}
