import { uniform } from '../../shared/plan/index.ts';

/** How long a target takes, as a function of the request's number on its path: the same draw in every process, so a test knows the truth. */
export type Latency =
  | { readonly kind: 'constant'; readonly us: number }
  | { readonly kind: 'uniform'; readonly seed: number; readonly fromUs: number; readonly toUs: number }
  | { readonly kind: 'exponential'; readonly seed: number; readonly meanUs: number }
  | { readonly kind: 'lognormal'; readonly seed: number; readonly medianUs: number; readonly sigma: number };

/** Microseconds of request `number` (0, 1, 2, …). */
export function latencyUs(latency: Latency, number: number): number {
  switch (latency.kind) {
    case 'constant':
      return latency.us;
    case 'uniform':
      return latency.fromUs + uniform(latency.seed, number) * (latency.toUs - latency.fromUs);
    case 'exponential':
      return -latency.meanUs * Math.log(uniform(latency.seed, number));
    case 'lognormal':
      return latency.medianUs * Math.exp(latency.sigma * normal(latency.seed, number));
  }
}

/** A standard normal draw from two uniform ones (Box and Muller 1958). */
function normal(seed: number, number: number): number {
  return Math.sqrt(-2 * Math.log(uniform(seed, number * 2))) * Math.cos(2 * Math.PI * uniform(seed, number * 2 + 1));
}
