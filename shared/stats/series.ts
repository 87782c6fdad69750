import { Histogram } from './histogram.ts';
import type { MetricKind } from './metrics.ts';

export type Tags = Readonly<Record<string, string>>;

/** One metric with one set of tags, and what was measured of it. */
export interface Series {
  readonly metric: string;
  readonly tags: Tags;
  readonly value: SeriesValue;
}

/** What a metric adds up to. Each kind merges without loss. */
export type SeriesValue =
  | { readonly kind: 'trend'; readonly histogram: Histogram }
  | { readonly kind: 'counter'; count: number }
  | { readonly kind: 'rate'; passes: number; fails: number }
  | GaugeValue;

/** With `atUs`, the last value in time is what it adds up to; without, values are parts of one whole at the same time, as VUs are. */
export interface GaugeValue {
  readonly kind: 'gauge';
  value: number;
  min: number;
  max: number;
  atUs?: number | undefined;
}

export function emptyValue(kind: MetricKind): SeriesValue {
  switch (kind) {
    case 'trend':
      return { kind, histogram: new Histogram() };
    case 'counter':
      return { kind, count: 0 };
    case 'rate':
      return { kind, passes: 0, fails: 0 };
    case 'gauge':
      return { kind, value: 0, min: Infinity, max: 0 };
  }
}

/** Adds `value` into `into`, which must be of the same kind. */
export function addValue(into: SeriesValue, value: SeriesValue): void {
  if (into.kind === 'trend' && value.kind === 'trend') into.histogram.add(value.histogram);
  else if (into.kind === 'counter' && value.kind === 'counter') into.count += value.count;
  else if (into.kind === 'rate' && value.kind === 'rate') {
    into.passes += value.passes;
    into.fails += value.fails;
  } else if (into.kind === 'gauge' && value.kind === 'gauge') {
    if (value.atUs !== undefined) {
      addTimed(into, value, value.atUs);
      return;
    }
    // An empty gauge adds nothing: its infinite minimum is no part of a whole.
    if (!Number.isFinite(value.min)) return;
    into.value += value.value;
    into.min = Number.isFinite(into.min) ? into.min + value.min : value.min;
    into.max += value.max;
  } else throw new TypeError(`cannot add a ${value.kind} to a ${into.kind}`);
}

/** Commutative but for two values of one instant. */
function addTimed(into: GaugeValue, value: GaugeValue, atUs: number): void {
  if (into.atUs === undefined || atUs >= into.atUs) {
    into.value = value.value;
    into.atUs = atUs;
  }
  into.min = Math.min(into.min, value.min);
  into.max = Math.max(into.max, value.max);
}

/** Adds what was measured later in time into what was measured before. Like `addValue`, but a gauge that is a part of a whole does not add
 *  over time: the later value counts, with the extremes of both. */
export function addLater(into: SeriesValue, value: SeriesValue): void {
  if (into.kind !== 'gauge' || value.kind !== 'gauge' || value.atUs !== undefined) {
    addValue(into, value);
    return;
  }
  into.value = value.value;
  into.min = Math.min(into.min, value.min);
  into.max = Math.max(into.max, value.max);
}

/** Everything measured under `metric` whose tags hold all of `wanted`, as one value. `undefined` when no series matches. */
export function selectValue(series: Iterable<Series>, metric: string, wanted: Tags = {}): SeriesValue | undefined {
  let total: SeriesValue | undefined;
  for (const one of series) {
    if (one.metric !== metric || !matches(one.tags, wanted)) continue;
    total ??= emptyValue(one.value.kind);
    addValue(total, one.value);
  }
  return total;
}

/** The tag of what was measured while a scenario warmed up. */
export const WARM_UP = { phase: 'warmup' } as const satisfies Tags;
/** Stands on everything that the clean-up of iterations measures. */
export const CLEAN_UP_TAGS = { phase: 'finally' } as const satisfies Tags;

/** False for what belongs to a phase of its own, a warm-up or the clean-up of iterations: it is measured and drawn, but in no total. */
export function isPartOfTotals(tags: Tags): boolean {
  return tags['phase'] === undefined;
}

/** True when `tags` hold every tag of `wanted`, and belong to no phase that `wanted` does not name.
 *  `expected_response` is derived, as k6 names it: true where no `error` tag is. */
export function matches(tags: Tags, wanted: Tags): boolean {
  if (!isPartOfTotals(tags) && wanted['phase'] === undefined) return false;
  for (const [key, value] of Object.entries(wanted)) {
    const own = key === 'expected_response' ? String(tags['error'] === undefined) : tags[key];
    if (own !== value) return false;
  }
  return true;
}

/** One text for equal metric and tags, whatever the order of the tags. */
export function seriesKey(metric: string, tags: Tags): string {
  const names = Object.keys(tags).sort();
  let key = metric;
  for (const name of names) key += `\u0000${name}\u0001${tags[name] ?? ''}`;
  return key;
}
