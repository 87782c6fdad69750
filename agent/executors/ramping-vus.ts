import type { RampingVusLoad } from '../../shared/plan/index.ts';
import { loopIndex, type Loops } from './closed-model.ts';

/** ramping-vus: the number of VUs follows straight lines between stages. The highest numbers come last and go first. */
export function rampingVus({ gracefulRampDownUs }: RampingVusLoad): Loops {
  return { takeIndex: loopIndex, isUsedUp: () => false, areHandedOn: true, quota: undefined, gracefulRampDownUs };
}
