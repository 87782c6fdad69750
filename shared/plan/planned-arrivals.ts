import { endUs, isOpen, type Plan } from './plan.ts';
import { createSchedule } from './schedule.ts';

/** How many arrivals a scenario plans in each step of time from the zero of the run. */
export interface PlannedArrivals {
  readonly scenario: string;
  readonly stepUs: number;
  readonly counts: readonly number[];
}

/** Steps that a plan is told in at most, so that a day takes no more room than an hour. */
const STEPS_MAX = 1_440;

/** An arrival on the edge of two steps belongs to the second, also where rounding puts its instant a hair before the edge. */
const ROUNDING_US = 0.5;

/** The rate that the open scenarios of a plan ask for, in steps of whole intervals. Counts are those of the schedule itself, so a scenario's
 *  counts sum to what it plans. Closed scenarios plan VUs and are not in here. */
export function plannedArrivals(plan: Plan): PlannedArrivals[] {
  const intervalUs = plan.intervalMs * 1_000;
  return plan.scenarios.flatMap((scenario) => {
    if (!isOpen(scenario.load)) return [];
    const stepUs = intervalUs * Math.max(1, Math.ceil(endUs(scenario) / intervalUs / STEPS_MAX));
    const schedule = createSchedule(scenario, plan.seed);
    const steps = Math.ceil(endUs(scenario) / stepUs);
    const before = (step: number): number => (step === steps ? schedule.count : schedule.countBefore(step * stepUs - ROUNDING_US));
    const counts = Array.from({ length: steps }, (_, step) => before(step + 1) - before(step));
    return [{ scenario: scenario.name, stepUs, counts }];
  });
}
