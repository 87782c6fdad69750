import { scenarioOwners, type Epoch, type SharedIterationsLoad } from '../../shared/plan/index.ts';
import type { Loops } from './closed-model.ts';
import { Pile } from './pile.ts';

/** shared-iterations: the VUs take iterations from one pile until it is gone, the fast ones more. Over a cluster the pile is split like
 *  arrivals are. */
export function sharedIterations(load: SharedIterationsLoad, quota: number, epoch: Epoch | undefined, agent: string): Loops {
  const pile = new Pile(epoch === undefined ? [] : scenarioOwners(epoch, load), agent, load.iterations);
  return {
    takeIndex: () => pile.take(),
    isUsedUp: () => pile.isUsedUp,
    areHandedOn: false,
    quota,
    gracefulRampDownUs: Infinity,
  };
}
