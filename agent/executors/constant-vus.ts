import type { ConstantVusLoad } from '../../shared/plan/index.ts';
import type { Loops } from './closed-model.ts';

/** constant-vus: a fixed number of VUs, each looping as fast as its flow lets it. */
export function constantVus({ vus }: ConstantVusLoad): Loops {
  return {
    presences: () => [{ fromUs: 0, toUs: Infinity }],
    // VU j's k-th pass is iteration k·VUs + j: unique over the cluster without anybody having to ask.
    takeIndex: (vu, round) => round * vus + vu,
    quota: undefined,
    gracefulRampDownUs: Infinity,
  };
}
