import { scenarioOwners, type ConstantVusLoad, type Epoch, type RampingVusLoad } from '../../shared/plan/index.ts';
import type { Loops } from './closed-model.ts';

/** Loops of VUs that end when the rows of a data set do. Without a limit a VU has indices of its own; with one, the fast VUs would use up
 *  theirs and stop while rows are left, so all VUs of an agent take from one pile: the indices below the limit that are this agent's by
 *  `owners[n mod length]`. Over all agents every index is taken once. */
export function endingWithRows(loops: Loops, load: ConstantVusLoad | RampingVusLoad, epoch: Epoch | undefined, agent: string): Loops {
  const limit = load.indexLimit;
  if (limit === undefined || epoch === undefined) return loops;
  const owners = scenarioOwners(epoch, load);
  const own = owners.flatMap((owner, position) => (owner === agent ? [position] : []));
  let taken = 0;
  /** The next index of the pile; -1 when nothing is left. */
  const next = (): number => {
    const position = own[taken % own.length];
    const index = position === undefined ? -1 : Math.floor(taken / own.length) * owners.length + position;
    return index < limit ? index : -1;
  };
  return {
    ...loops,
    takeIndex: () => {
      const index = next();
      if (index >= 0) taken++;
      return index;
    },
    isUsedUp: () => next() < 0,
    areHandedOn: false,
  };
}
