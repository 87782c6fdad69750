import type { PlannedScenario } from '../../shared/plan/index.ts';
import { ArrivalRate } from './arrival-rate.ts';
import { ConstantVus } from './constant-vus.ts';
import type { Executor, ExecutorContext } from './executor.ts';

export type { Executor, ExecutorContext } from './executor.ts';

export function createExecutor(scenario: PlannedScenario, context: ExecutorContext): Executor {
  const { load } = scenario;
  switch (load.kind) {
    case 'constant-arrival-rate':
    case 'ramping-arrival-rate':
      return new ArrivalRate({ ...scenario, load }, context);
    case 'constant-vus':
      return new ConstantVus({ ...scenario, load }, context);
  }
}
