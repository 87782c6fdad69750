import { maxVusOf, presences, type RampingVusLoad } from '../../shared/plan/index.ts';
import type { Loops } from './closed-model.ts';

/** ramping-vus: the number of VUs follows straight lines between stages. The highest numbers come last and go first. */
export function rampingVus(load: RampingVusLoad): Loops {
  const most = maxVusOf(load);
  return {
    presences: (vu) => presences(load, vu),
    takeIndex: (vu, round) => round * most + vu,
    quota: undefined,
    gracefulRampDownUs: load.gracefulRampDownUs,
  };
}
