import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, reasonOf } from '../base/index.ts';
import type { CustomMetrics, LogUnit, MetricKind } from '../stats/index.ts';
import { BUNDLE_FILES, type Bundle } from './bundle.ts';
import { readBundle } from './read-bundle.ts';
import { outlineHlog, parseHlog, type HlogOutline, type SeriesFilter } from './hlog.ts';
import { groupHlog, readIntervals, type Interval } from './read-intervals.ts';
import { readLines } from './read-lines.ts';

/** Results on disk, ours or another tool's. */
export type Results = BundleResults | LogResults;

export interface BundleResults {
  readonly kind: 'bundle';
  readonly path: string;
  readonly bundle: Bundle;
  /** The file with its histograms. */
  readonly log: string;
  readonly intervalUs: number;
  /** Metrics that are not ours. */
  readonly custom: CustomMetrics;
  /** `isWanted`: trends to be read; others are passed over. */
  intervals(isWanted?: SeriesFilter): AsyncGenerator<Interval>;
}

/** A plain HdrHistogram log: trends only, no ledger, no validity. */
export interface LogResults {
  readonly kind: 'log';
  readonly path: string;
  readonly log: string;
  readonly outline: HlogOutline;
  readonly intervalUs: number;
  readonly custom: CustomMetrics;
  intervals(isWanted?: SeriesFilter): AsyncGenerator<Interval>;
}

/** Opens a folder as a run bundle and anything else as an HdrHistogram log in which one unit means `unitUs` microseconds.
 *  Throws `BUNDLE_INVALID` with what was expected and where. */
export async function openResults(path: string, unit: LogUnit = {}): Promise<Results> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    (cause: unknown) => {
      throw new AppError('BUNDLE_INVALID', `${path}: expected a run bundle or an HdrHistogram log: ${reasonOf(cause)}`, { cause });
    },
  );
  return isFolder ? bundleResults(path, await readBundle(path)) : openLog(path, unit);
}

function bundleResults(path: string, bundle: Bundle): BundleResults {
  return {
    kind: 'bundle',
    path,
    bundle,
    log: join(path, BUNDLE_FILES.intervals),
    intervalUs: bundle.manifest.intervalMs * 1_000,
    custom: customMetricsOf(bundle),
    intervals: (isWanted) => readIntervals(bundle, isWanted),
  };
}

async function openLog(path: string, unit: LogUnit): Promise<LogResults> {
  const outline = await outlineHlog(readLines(path), path);
  if (outline.lines === 0) throw new AppError('BUNDLE_INVALID', `${path}: expected an HdrHistogram log, found no line with a histogram`);
  return {
    kind: 'log',
    path,
    log: path,
    outline,
    intervalUs: outline.lengthUs,
    // What another tool calls its times is known from its log alone.
    custom: Object.fromEntries([...outline.metrics].map((name) => [name, { kind: 'trend', unit: 'ms' }])),
    intervals: (isWanted) => groupHlog(parseHlog(readLines(path), path, unit, isWanted)),
  };
}

/** Those that the plan declares, and those that were measured: an old bundle may have metrics that this version does not know. */
function customMetricsOf({ manifest, summary }: Bundle): CustomMetrics {
  const declared = (manifest.plan as { readonly metrics?: CustomMetrics } | null)?.metrics ?? {};
  const measured = Object.entries(summary.metrics).map(([name, metric]) => {
    const unit = 'unit' in metric ? (metric.unit ?? '') : '';
    return [name, { kind: metric.type satisfies MetricKind, unit }] as const;
  });
  return { ...Object.fromEntries(measured), ...declared };
}
