import fc from 'fast-check';
import { expect, test } from 'vitest';
import { maxVusOf, ownedIterations, ownedVus, presences, vusAt, type RampingVusLoad } from '../../shared/plan/index.ts';
import { oneEpoch } from '../support/plans.ts';

const ramps: fc.Arbitrary<RampingVusLoad> = fc.record({
  kind: fc.constant('ramping-vus' as const),
  startVus: fc.nat(12),
  stages: fc.array(fc.record({ durationUs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_000_000 })), targetVus: fc.nat(12) }), {
    minLength: 1,
    maxLength: 6,
  }),
  gracefulRampDownUs: fc.constant(0),
});

test('at every instant the number of VUs is the line of the stage, rounded', () => {
  fc.assert(
    fc.property(ramps, fc.double({ min: 0, max: 1, noNaN: true }), (ramp, fraction) => {
      const lengthUs = ramp.stages.reduce((sum, { durationUs }) => sum + durationUs, 0);
      const us = fraction * lengthUs * 0.999;
      let fromUs = 0;
      let vus = ramp.startVus;
      let line = vus;
      for (const { durationUs, targetVus } of ramp.stages) {
        if (us >= fromUs && us < fromUs + durationUs) line = vus + ((targetVus - vus) * (us - fromUs)) / durationUs;
        fromUs += durationUs;
        vus = targetVus;
      }
      if (lengthUs > 0) expect(Math.abs(vusAt(ramp, us) - line)).toBeLessThanOrEqual(0.5 + 1e-6);
    }),
  );
});

test('a VU comes and goes in turn, and never while it is there', () => {
  fc.assert(
    fc.property(ramps, fc.nat(12), (ramp, vu) => {
      let lastUs = -1;
      for (const { fromUs, toUs } of presences(ramp, vu)) {
        expect(fromUs).toBeGreaterThan(lastUs);
        expect(toUs).toBeGreaterThan(fromUs);
        lastUs = toUs;
      }
    }),
  );
});

test('over any owners the quotas of shared iterations and of VUs add up', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 100_000 }),
      (owners, vus, iterations) => {
        const [epoch] = oneEpoch(...owners);
        const agents = [...new Set(owners)];
        const shared = { kind: 'shared-iterations' as const, vus, iterations, maxDurationUs: 1 };
        const each = { ...shared, kind: 'per-vu-iterations' as const };
        const sum = (of: (agent: string) => number): number => agents.reduce((total, agent) => total + of(agent), 0);
        expect(sum((agent) => ownedIterations(epoch!, shared, agent) ?? 0)).toBe(iterations);
        expect(sum((agent) => ownedIterations(epoch!, each, agent) ?? 0)).toBe(iterations * vus);
        expect(sum((agent) => ownedVus(epoch!, shared, agent).length)).toBe(maxVusOf(shared));
      },
    ),
  );
});
