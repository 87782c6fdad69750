import type { PerVuIterationsLoad } from '../../shared/plan/index.ts';
import type { Loops } from './closed-model.ts';

/** per-vu-iterations: every VU runs the same number of iterations, each at its own pace. `quota` is this agent's part of them all. */
export function perVuIterations({ vus, iterations, indexLimit = Infinity }: PerVuIterationsLoad, quota: number): Loops {
  let taken = 0;
  return {
    takeIndex: ({ vu, round }) => {
      const index = round * vus + vu;
      if (round >= iterations || index >= indexLimit) return -1;
      taken++;
      return index;
    },
    isUsedUp: () => taken >= quota,
    areHandedOn: false,
    quota,
    gracefulRampDownUs: Infinity,
  };
}
