import type { PerVuIterationsLoad } from '../../shared/plan/index.ts';
import type { Loops } from './closed-model.ts';

/** per-vu-iterations: every VU runs the same number of iterations, each at its own pace. `quota` is this agent's part of them all. */
export function perVuIterations({ vus, iterations, indexLimit = Infinity }: PerVuIterationsLoad, quota: number): Loops {
  return {
    presences: () => [{ fromUs: 0, toUs: Infinity }],
    takeIndex: (vu, round) => (round < iterations && round * vus + vu < indexLimit ? round * vus + vu : -1),
    quota,
    gracefulRampDownUs: Infinity,
  };
}
