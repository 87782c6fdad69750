import { selectValue, type Series, type SeriesValue } from '../stats/index.ts';
import type { Threshold } from './threshold.ts';

/** What became of a threshold. `observed` is in the unit of the bound: milliseconds for trends, a fraction for rates. */
export type Verdict =
  | { readonly kind: 'pass' | 'fail'; readonly threshold: Threshold; readonly observed: number; readonly judged: Judged }
  | { readonly kind: 'no-data'; readonly threshold: Threshold };

/** What `observed` was taken over. A run that ended before its first full window is judged as a whole, and says so. */
export type Judged = 'run' | 'worst-window' | 'run-shorter-than-window';

/** Judges a threshold over `series`, counted during `durationUs`. No samples is no verdict: a rate without passes and fails, a trend
 *  without samples, a metric of which no series was ever sent, a counter included. (Counters that must be judged at 0, like
 *  `dropped_iterations`, are sent at 0.) */
export function evaluate(threshold: Threshold, series: Iterable<Series>, durationUs: number): Verdict {
  return judge(threshold, selectValue(series, threshold.metric, threshold.tags), durationUs, 'run');
}

export function judge(threshold: Threshold, value: SeriesValue | undefined, durationUs: number, judged: Judged): Verdict {
  const observed = value === undefined ? undefined : observe(threshold, value, durationUs);
  if (observed === undefined) return { kind: 'no-data', threshold };
  return { kind: holds(threshold, observed) ? 'pass' : 'fail', threshold, observed, judged };
}

/** True when `a` is the worse of two observations: further towards, or beyond, the failing side of the bound. */
export function isWorse(threshold: Threshold, a: number, b: number): boolean {
  switch (threshold.comparison) {
    case '<':
    case '<=':
      return a > b;
    case '>':
    case '>=':
      return a < b;
    case '==':
    case '===':
      return Math.abs(a - threshold.bound) > Math.abs(b - threshold.bound);
    case '!=':
      return Math.abs(a - threshold.bound) < Math.abs(b - threshold.bound);
  }
}

/** `undefined` when there is nothing to observe, or when the aggregation does not exist for this kind of metric. */
function observe({ aggregation }: Threshold, value: SeriesValue, durationUs: number): number | undefined {
  switch (value.kind) {
    case 'trend': {
      const { histogram } = value;
      if (histogram.count === 0) return undefined;
      switch (aggregation.kind) {
        case 'percentile':
          return toMs(histogram.percentileUs(aggregation.percentile));
        case 'med':
          return toMs(histogram.percentileUs(50));
        case 'avg':
          return toMs(histogram.meanUs);
        case 'min':
          return toMs(histogram.minUs);
        case 'max':
          return toMs(histogram.maxUs);
        case 'count':
          return histogram.count;
        case 'rate':
        case 'value':
          return undefined;
      }
      break;
    }
    case 'counter':
      if (aggregation.kind === 'count') return value.count;
      return aggregation.kind === 'rate' && durationUs > 0 ? (value.count * 1_000_000) / durationUs : undefined;
    case 'rate': {
      const total = value.passes + value.fails;
      return aggregation.kind === 'rate' && total > 0 ? value.passes / total : undefined;
    }
    case 'gauge':
      // An empty gauge has an infinite minimum: no interval has closed over it yet.
      if (!Number.isFinite(value.min)) return undefined;
      return aggregation.kind === 'value' || aggregation.kind === 'min' || aggregation.kind === 'max' ? value[aggregation.kind] : undefined;
  }
}

function holds({ comparison, bound }: Threshold, observed: number): boolean {
  switch (comparison) {
    case '<':
      return observed < bound;
    case '<=':
      return observed <= bound;
    case '>':
      return observed > bound;
    case '>=':
      return observed >= bound;
    case '==':
    case '===':
      return observed === bound;
    case '!=':
      return observed !== bound;
  }
}

function toMs(us: number | undefined): number | undefined {
  return us === undefined ? undefined : us / 1_000;
}
