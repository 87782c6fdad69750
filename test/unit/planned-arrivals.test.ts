import { describe, expect, test } from 'vitest';
import { createSchedule, plannedArrivals, type PlannedScenario } from '../../shared/plan/index.ts';
import { closedScenario, openScenario } from '../support/plans.ts';

const SECOND_US = 1_000_000;

describe('planned arrivals over time', () => {
  test('a ramp is told step by step, from the zero of the run', () => {
    const ramp = { segments: [{ durationUs: 4 * SECOND_US, startRate: 0, endRate: 8 }] };
    const [told] = plannedArrivals(planOf(openScenario(ramp, { startUs: 2 * SECOND_US })));
    expect(told).toEqual({ scenario: 'browse', stepUs: SECOND_US, counts: [0, 0, 1, 3, 5, 7] });
  });

  test('arrivals on the edge of two steps belong to the second: every second of an even rate is told alike', () => {
    const [told] = plannedArrivals(planOf(openScenario({ ratePerSecond: 40, seconds: 5 })));
    expect(told?.counts).toEqual([40, 40, 40, 40, 40]);
  });

  test.each([
    ['uniform', openScenario({ ratePerSecond: 7, seconds: 100 })],
    ['Poisson', openScenario({ ratePerSecond: 7, seconds: 100, arrivals: 'poisson' })],
    ['limited by its rows', openScenario({ ratePerSecond: 7, seconds: 100, indexLimit: 33 })],
    ['a day long', openScenario({ ratePerSecond: 3, seconds: 86_400 })],
  ])('the counts of one that is %s sum to its schedule', (_, scenario) => {
    const [told] = plannedArrivals(planOf(scenario));
    expect(told?.counts.reduce((sum, count) => sum + count, 0)).toBe(createSchedule(scenario, 1).count);
    expect(told?.counts.length).toBeLessThanOrEqual(1_440);
  });

  test('a closed scenario plans VUs, no arrivals', () => {
    expect(plannedArrivals(planOf(closedScenario()))).toEqual([]);
  });
});

function planOf(...scenarios: PlannedScenario[]): Parameters<typeof plannedArrivals>[0] {
  return { name: 'plan', seed: 1, intervalMs: 1_000, scenarios };
}
