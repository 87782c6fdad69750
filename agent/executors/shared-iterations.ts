import { scenarioOwners, type Epoch, type SharedIterationsLoad } from '../../shared/plan/index.ts';
import type { Loops } from './closed-model.ts';

/** shared-iterations: the VUs take iterations from one pile until it is gone, the fast ones more. Over a cluster the pile is split like
 *  arrivals are: iteration n is `owners[n mod length]`'s, so no agent has to ask and the piles add up. */
export function sharedIterations(load: SharedIterationsLoad, quota: number, epoch: Epoch | undefined, agent: string): Loops {
  const owners = epoch === undefined ? [] : scenarioOwners(epoch, load);
  let next = nextOwned(owners, agent, 0);
  return {
    takeIndex: () => {
      if (next < 0 || next >= load.iterations) return -1;
      const taken = next;
      next = nextOwned(owners, agent, taken + 1);
      return taken;
    },
    isUsedUp: () => next < 0 || next >= load.iterations,
    areHandedOn: false,
    quota,
    gracefulRampDownUs: Infinity,
  };
}

/** The first index from `from` on that `agent` owns; -1 when it owns none. */
function nextOwned(owners: readonly string[], agent: string, from: number): number {
  for (let index = from; index < from + owners.length; index++) if (owners[index % owners.length] === agent) return index;
  return -1;
}
