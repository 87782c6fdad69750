import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judgeRun } from '../../coordinator/calibrate/judge.ts';
import { simulateCalibration, TRUE_RECORDING } from '../support/simulated-calibration.ts';

const SECONDS = 4;

/** Delays of a machine: most of them short, some in a hundred long. */
const noise = fc.record({
  seed: fc.nat({ max: 1_000_000 }),
  usualUs: fc.integer({ min: 5, max: 500 }),
  longPercent: fc.double({ min: 0, max: 5, noNaN: true }),
  longUs: fc.integer({ min: 500, max: 30_000 }),
});
type Noise = typeof noise extends fc.Arbitrary<infer T> ? T : never;

function delay({ usualUs, longPercent, longUs }: Noise): (draw: number) => number {
  return (draw) => (draw < longPercent / 100 ? longUs * (draw / (longPercent / 100)) : -usualUs * Math.log(draw));
}

test('noise alone is never taken for a mistake: delays are in the jitter that the server saw, too', () => {
  fc.assert(
    fc.property(noise, (drawn) => {
      const { reference, summary } = simulateCalibration(SECONDS, delay(drawn), drawn.seed);
      expect(judgeRun(reference, summary).findings).toEqual([]);
    }),
    { numRuns: 40 },
  );
});

test('however noisy it is, a measurement that is shorter than the truth is found', () => {
  fc.assert(
    fc.property(noise, fc.double({ min: 0.001, max: 0.5, noNaN: true }), (drawn, factor) => {
      const { reference, summary } = simulateCalibration(SECONDS, delay(drawn), drawn.seed, {
        ...TRUE_RECORDING,
        service: ({ startedUs, endedUs }) => [(endedUs - startedUs) * factor],
      });
      expect(judgeRun(reference, summary).findings.some(({ mayBeNoise }) => !mayBeNoise)).toBe(true);
    }),
    { numRuns: 20 },
  );
});
