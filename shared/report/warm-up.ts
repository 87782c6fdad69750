import { formatDurationUs } from '../base/index.ts';
import { selectValue, WARM_UP, type Series } from '../stats/index.ts';
import { formatCount, oneLine } from './format.ts';

/** A scenario that warms up, and for how long after its start. */
export interface WarmUp {
  readonly scenario: string;
  readonly us: number;
}

/** What began in a scenario's warm-up, and is therefore in no total. */
export interface WarmUpSummary {
  readonly scenario: string;
  readonly seconds: number;
  /** Completed ones. */
  readonly iterations: number;
  readonly requests: number;
}

export function summariseWarmUps(warmUps: readonly WarmUp[], totals: readonly Series[]): WarmUpSummary[] {
  return warmUps.map(({ scenario, us }) => {
    const count = (metric: string): number => {
      const value = selectValue(totals, metric, { scenario, ...WARM_UP });
      return value?.kind === 'counter' ? value.count : 0;
    };
    return { scenario, seconds: us / 1_000_000, iterations: count('iterations'), requests: count('http_reqs') };
  });
}

/** One line per warm-up, so that nobody takes the numbers above for everything that was sent. */
export function warmUpLines({ warmUps = [] }: { readonly warmUps?: readonly WarmUpSummary[] }): string[] {
  return warmUps.map(
    ({ scenario, seconds, iterations, requests }) =>
      `${oneLine(scenario)}: ${formatCount(iterations)} iterations and ${formatCount(requests)} requests of its first ` +
      `${formatDurationUs(seconds * 1_000_000)} are in the ledger only`,
  );
}
