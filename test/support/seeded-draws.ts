import { uniform } from '../../shared/plan/index.ts';

/** Uniform draws in (0, 1), one after the other: the same ones for the same seed. */
export function seededDraws(seed: number): () => number {
  let counter = 0;
  return () => uniform(seed, counter++);
}
