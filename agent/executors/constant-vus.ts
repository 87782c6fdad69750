import { loopIndex, type Loops } from './closed-model.ts';

/** constant-vus: a fixed number of VUs, each looping as fast as its flow lets it. */
export function constantVus(): Loops {
  return { takeIndex: loopIndex, isUsedUp: () => false, areHandedOn: true, quota: undefined, gracefulRampDownUs: Infinity };
}
