import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WaitingLine } from '../../agent/executors/waiting-line.ts';
import { createSchedule, ownedVus, Stripe, type OpenLoad, type PlannedScenario } from '../../shared/plan/index.ts';
import { DrivenExecutor } from '../support/driven-executor.ts';
import { closedScenario, oneEpoch, openScenario } from '../support/plans.ts';

const OWNERS = ['a', 'b', 'a'];

type Move =
  | { readonly kind: 'turn'; readonly afterUs: number }
  | { readonly kind: 'end'; readonly afterUs: number; readonly at: number }
  | { readonly kind: 'stop'; readonly inUs: number; readonly graceUs: number };

const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('turn' as const), afterUs: fc.nat({ max: 200_000 }) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('end' as const), afterUs: fc.nat({ max: 20_000 }), at: fc.nat({ max: 9 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('stop' as const), inUs: fc.nat({ max: 300_000 }), graceUs: fc.nat({ max: 500_000 }) }),
    },
  ),
  { maxLength: 60 },
);
const open: fc.Arbitrary<PlannedScenario & { readonly load: OpenLoad }> = fc
  .record({
    segments: fc.array(
      fc.record({
        durationUs: fc.integer({ min: 1, max: 500_000 }),
        startRate: fc.integer({ min: 1, max: 200 }),
        endRate: fc.nat({ max: 200 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    arrivals: fc.constantFrom('uniform', 'poisson'),
    maxVus: fc.integer({ min: 1, max: 12 }),
    startUs: fc.nat({ max: 300_000 }),
    gracefulStopUs: fc.nat({ max: 600_000 }),
  })
  .map(({ startUs, gracefulStopUs, ...load }) => openScenario({ kind: 'ramping-arrival-rate', ...load }, { startUs, gracefulStopUs }));

describe('an arrival-rate executor, whatever happens when', () => {
  test('accounts after every step for every arrival of its stripe, and starts them in the order of the plan', () => {
    fc.assert(
      fc.property(open, moves, (scenario, steps) => {
        const driven = new DrivenExecutor(scenario, oneEpoch(...OWNERS), 'a');
        const arrivals = arrivalsOf(scenario);
        const vus = ownedVus({ number: 0, fromUs: 0, owners: OWNERS }, scenario.load, 'a').length;
        let cutUs = Infinity;
        const check = (): void => {
          const { started, dropped, completed, interrupted, waiting } = driven.counts;
          expect(started).toBe(completed + interrupted + driven.busy.length);
          expect(started).toBe(driven.started.length);
          expect(driven.executor.activeVus).toBe(driven.busy.length);
          expect(driven.busy.length).toBeLessThanOrEqual(vus);
          const { coveredUntilUs } = driven.executor.ledger(driven.nowUs);
          const covered = arrivals.filter(({ instantUs }) => instantUs < coveredUntilUs).length;
          const due = arrivals.filter(({ instantUs }) => instantUs <= driven.nowUs && instantUs < cutUs).length;
          expect(started + dropped + waiting).toBeGreaterThanOrEqual(covered);
          expect(started + dropped + waiting).toBeLessThanOrEqual(due);
          // Nobody waits while a VU is free.
          if (waiting > 0) expect(driven.busy.length).toBe(vus);
        };
        for (const step of steps) {
          if (step.kind === 'turn') driven.turnAt(driven.nowUs + step.afterUs);
          else if (step.kind === 'stop') {
            cutUs = Math.min(cutUs, driven.nowUs + step.inUs);
            driven.turnAt(driven.nowUs);
            driven.executor.stop(driven.nowUs + step.inUs, step.graceUs);
          } else if (driven.busy.length > 0) {
            driven.nowUs += step.afterUs;
            driven.complete(driven.busy[step.at % driven.busy.length]);
          }
          check();
        }
        while (!driven.executor.isDone) {
          expect(driven.executor.dueUs).toBeLessThan(Infinity);
          driven.turnAt(Math.max(driven.nowUs, driven.executor.dueUs));
          check();
        }
        const planned = arrivals.filter(({ instantUs }) => instantUs < cutUs);
        const { started, dropped, completed, interrupted, waiting } = driven.counts;
        expect([started + dropped, completed + interrupted, waiting]).toEqual([planned.length, started, 0]);

        const begun = driven.started.map(({ index, intendedUs }) => ({ index, instantUs: intendedUs }));
        const inPlan = new Map(planned.map((arrival) => [arrival.index, arrival.instantUs]));
        for (const { index, instantUs } of begun) expect(instantUs).toBeCloseTo(inPlan.get(index) ?? NaN, 0);
        expect(begun.map(({ index }) => index)).toEqual([...new Set(begun.map(({ index }) => index))].sort((a, b) => a - b));
        expect(measured(driven)).toEqual({
          schedule_lag: started,
          iteration_duration: completed,
          iterations: completed,
          dropped_iterations: dropped,
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe('a constant-vus executor, whatever happens when', () => {
  test('has after every step as many under way as VUs until its end, and never ends an iteration twice', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.nat({ max: 300_000 }), moves, (vus, startUs, steps) => {
        const scenario = closedScenario({ vus }, { startUs });
        const driven = new DrivenExecutor(scenario, oneEpoch(...OWNERS), 'a');
        const owned = ownedVus({ number: 0, fromUs: 0, owners: OWNERS }, scenario.load, 'a').length;
        let lastUs = startUs + 1_000_000;
        let graceEndsUs = lastUs + 1_000_000;
        let hasBegun = false;
        const turn = (us: number): void => {
          driven.turnAt(us);
          hasBegun ||= us >= startUs && startUs < lastUs;
        };
        const check = (): void => {
          const { started, dropped, completed, interrupted, waiting } = driven.counts;
          expect([started, dropped, waiting]).toEqual([completed + interrupted + driven.busy.length, 0, 0]);
          expect(started).toBe(driven.started.length);
          if (hasBegun && driven.nowUs < Math.min(lastUs, graceEndsUs)) expect(driven.busy.length).toBe(owned);
          if (driven.nowUs < graceEndsUs) expect(interrupted).toBe(0);
        };
        for (const step of steps) {
          if (step.kind === 'turn') turn(driven.nowUs + step.afterUs);
          else if (step.kind === 'stop') {
            turn(driven.nowUs);
            lastUs = Math.min(lastUs, driven.nowUs + step.inUs);
            graceEndsUs = Math.min(graceEndsUs, driven.nowUs + step.inUs + step.graceUs);
            driven.executor.stop(driven.nowUs + step.inUs, step.graceUs);
          } else if (driven.busy.length > 0) {
            turn(driven.nowUs + step.afterUs);
            if (driven.busy.length > 0) driven.complete(driven.busy[step.at % driven.busy.length]);
          }
          check();
        }
        while (!driven.executor.isDone) {
          expect(driven.executor.dueUs).toBeLessThan(Infinity);
          turn(Math.max(driven.nowUs, driven.executor.dueUs));
          check();
        }
        const { started, completed, interrupted } = driven.counts;
        expect(started).toBe(completed + interrupted);
        for (const { atUs } of driven.started) expect(atUs).toBeLessThan(startUs + 1_000_000 + 200_000);
        const indices = driven.started.map(({ index }) => index);
        expect(new Set(indices).size).toBe(indices.length);
        for (const { index, vu } of driven.started) expect(index % vus).toBe(vu);
        expect(measured(driven)).toMatchObject({ schedule_lag: started, iterations: completed });
      }),
      { numRuns: 200 },
    );
  });
});

describe('the line of waiting arrivals', () => {
  test('is first in, first out over any number of turns and growths', () => {
    const operations = fc.array(
      fc.oneof(fc.record({ push: fc.integer({ min: 1, max: 400 }) }), fc.record({ shift: fc.integer({ min: 1, max: 400 }) })),
      {
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(operations, fc.integer({ min: 1, max: 1_000 }), (steps, max) => {
        const line = new WaitingLine(max);
        const model: number[] = [];
        let next = 0;
        for (const step of steps) {
          if ('push' in step) {
            for (let i = 0; i < step.push; i++, next++) {
              expect(line.push(next, next * 2)).toBe(model.length < max);
              if (model.length < max) model.push(next);
            }
          } else {
            for (let i = 0; i < step.shift && model.length > 0; i++) {
              expect([line.firstIndex, line.firstIntendedUs]).toEqual([model[0], (model[0] ?? 0) * 2]);
              model.shift();
              line.shift();
            }
          }
          expect(line.length).toBe(model.length);
        }
      }),
    );
  });
});

/** The stripe of agent `a`, from the plan alone. */
function arrivalsOf(scenario: PlannedScenario): { readonly index: number; readonly instantUs: number }[] {
  const stripe = new Stripe(scenario, createSchedule(scenario, 7), oneEpoch(...OWNERS), 'a');
  const arrivals: { readonly index: number; readonly instantUs: number }[] = [];
  while (stripe.index >= 0) {
    arrivals.push({ index: stripe.index, instantUs: stripe.instantUs });
    stripe.advance();
  }
  return arrivals;
}

/** What the recorder was told: samples of trends and counts of counters, by metric. */
function measured({ recorder }: DrivenExecutor): Record<string, number> {
  const { defines, trends, counters } = recorder.seal();
  const counts = new Map([...trends, ...counters].map(({ series, count }) => [series, count]));
  return Object.fromEntries(
    defines
      .filter(({ metric }) => ['schedule_lag', 'iteration_duration', 'iterations', 'dropped_iterations'].includes(metric))
      .map(({ metric, number }) => [metric, counts.get(number) ?? 0]),
  );
}
