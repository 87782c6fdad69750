import { ownedIterations, type PlannedScenario } from '../../shared/plan/index.ts';
import { ArrivalRate } from './arrival-rate.ts';
import { ClosedModel } from './closed-model.ts';
import { constantVus } from './constant-vus.ts';
import type { Executor, ExecutorContext } from './executor.ts';
import { perVuIterations } from './per-vu-iterations.ts';
import { rampingVus } from './ramping-vus.ts';
import { endingWithRows } from './row-pile.ts';
import { sharedIterations } from './shared-iterations.ts';

export type { Executor, ExecutorContext } from './executor.ts';

export function createExecutor(scenario: PlannedScenario, context: ExecutorContext): Executor {
  const { load } = scenario;
  const [epoch] = context.epochs;
  switch (load.kind) {
    case 'constant-arrival-rate':
    case 'ramping-arrival-rate':
      return new ArrivalRate({ ...scenario, load }, context);
    case 'constant-vus':
      return new ClosedModel({ ...scenario, load }, endingWithRows(constantVus(), load, epoch, context.agentId), context);
    case 'ramping-vus':
      return new ClosedModel({ ...scenario, load }, endingWithRows(rampingVus(load), load, epoch, context.agentId), context);
    case 'per-vu-iterations':
    case 'shared-iterations': {
      const quota = epoch === undefined ? 0 : (ownedIterations(epoch, load, context.agentId) ?? 0);
      const loops =
        load.kind === 'per-vu-iterations' ? perVuIterations(load, quota) : sharedIterations(load, quota, epoch, context.agentId);
      return new ClosedModel({ ...scenario, load }, loops, context);
    }
  }
}
