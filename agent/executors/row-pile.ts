import { scenarioOwners, type ConstantVusLoad, type Epoch, type RampingVusLoad } from '../../shared/plan/index.ts';
import type { Loops } from './closed-model.ts';
import { Pile } from './pile.ts';

/** Loops of VUs that end when the rows of a data set do. Without a limit a VU has indices of its own; with one, the fast VUs would use up
 *  theirs and stop while rows are left, so all VUs of an agent take from one pile: the indices below the limit that are this agent's. */
export function endingWithRows(loops: Loops, load: ConstantVusLoad | RampingVusLoad, epoch: Epoch | undefined, agent: string): Loops {
  const limit = load.indexLimit;
  if (limit === undefined || epoch === undefined) return loops;
  const pile = new Pile(scenarioOwners(epoch, load), agent, limit);
  return { ...loops, takeIndex: () => pile.take(), isUsedUp: () => pile.isUsedUp, areHandedOn: false };
}
