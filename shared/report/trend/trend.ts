import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../base/index.ts';
import { BUNDLE_FILES, MERGED_ID_PREFIX } from '../bundle.ts';
import { readSummary } from '../read-bundle.ts';
import type { MetricSummary, PercentileName, Summary } from '../summary.ts';
import { runVerdict, type RunVerdict } from '../verdict.ts';
import { changePoints, VALUES_MAX } from './change-points.ts';

/** How the runs of a folder went one after the other. */
export interface Trend {
  readonly schemaVersion: 1;
  readonly dir: string;
  /** By name of the run: runs of different scenarios are not compared. */
  readonly scenarios: readonly ScenarioTrend[];
  /** Folders that hold no run of their own, and why: no bundle that can be read, a copy of one, several runs merged. */
  readonly skipped: readonly { readonly dir: string; readonly reason: string }[];
}

export interface ScenarioTrend {
  readonly name: string;
  /** In the order of their start; the last ones, when there are too many. */
  readonly runs: readonly TrendRun[];
  readonly changes: readonly TrendChange[];
}

export interface TrendRun {
  readonly id: string;
  readonly dir: string;
  readonly startedAt: string;
  readonly grade: Summary['validity']['grade'];
  readonly verdict: RunVerdict['word'];
  /** Of `http_req_response_time`, milliseconds; absent in a run that measured none. */
  readonly percentiles?: Readonly<Record<TrendPercentile, number>>;
  readonly requestsPerSecond: number;
  /** 0 … 1. */
  readonly failed: number;
}

export const TREND_PERCENTILES = ['50', '90', '95', '99', '99.9'] as const satisfies readonly PercentileName[];
export type TrendPercentile = (typeof TREND_PERCENTILES)[number];

/** From this run on a percentile had another level than in the runs before it. */
export interface TrendChange {
  readonly percentile: TrendPercentile;
  readonly runId: string;
  /** Position in `runs`. */
  readonly index: number;
  /** Medians of the regimes before and after, milliseconds. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly p: number;
}

/** A change of level below this may be real, and is nobody's concern. */
const CHANGE_SHARE_MIN = 0.02;

/** Reads every bundle in `dir`. Throws `BUNDLE_INVALID` when there is none to read. */
export async function readTrend(dir: string): Promise<Trend> {
  const runs: { readonly name: string; readonly run: TrendRun }[] = [];
  const skipped: { dir: string; reason: string }[] = [];
  const folderOf = new Map<string, string>();
  for (const folder of await foldersOf(dir)) {
    try {
      const summary = await readSummary(join(dir, folder));
      const { id, name, startedAt } = summary.run;
      const run = `${id} of ${startedAt}`;
      const original = folderOf.get(run);
      if (id.startsWith(MERGED_ID_PREFIX)) skipped.push({ dir: folder, reason: 'several runs merged, which are no run' });
      else if (original !== undefined) skipped.push({ dir: folder, reason: `the same run as ${original}` });
      else {
        folderOf.set(run, folder);
        runs.push({ name, run: trendRun(folder, summary) });
      }
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      skipped.push({ dir: folder, reason: thrown.message });
    }
  }
  if (runs.length === 0) {
    const why = skipped[0] === undefined ? '' : ` (${skipped[0].reason})`;
    throw new AppError('BUNDLE_INVALID', `${dir}: expected a folder of run bundles, found none${why}`);
  }
  const names = [...new Set(runs.map(({ name }) => name))].sort();
  const runsOf = (name: string): TrendRun[] => runs.filter((one) => one.name === name).map(({ run }) => run);
  return { schemaVersion: 1, dir, scenarios: names.map((name) => scenarioTrend(name, runsOf(name))), skipped };
}

/** Sorts runs of one scenario by their start and finds where their percentiles changed. Invalid runs are shown, but are part of no level:
 *  their numbers do not say what the target did. */
export function scenarioTrend(name: string, unsorted: readonly TrendRun[]): ScenarioTrend {
  const runs = [...unsorted].sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt)).slice(-VALUES_MAX);
  return { name, runs, changes: TREND_PERCENTILES.flatMap((percentile) => changesOf(runs, percentile)) };
}

function changesOf(runs: readonly TrendRun[], percentile: TrendPercentile): TrendChange[] {
  const counted = runs.flatMap((run, index) => {
    const ms = run.percentiles?.[percentile];
    return ms === undefined || run.grade === 'invalid' ? [] : [{ run, index, ms }];
  });
  // Latencies differ by factors: on the logarithm a doubling weighs the same wherever it begins.
  const found = changePoints(counted.map(({ ms }) => Math.log(Math.max(ms, 0.001))));
  return found.flatMap(({ index, p }, i) => {
    const beforeMs = median(counted.slice(found[i - 1]?.index ?? 0, index).map(({ ms }) => ms));
    const afterMs = median(counted.slice(index, found[i + 1]?.index).map(({ ms }) => ms));
    const first = counted[index];
    if (first === undefined || Math.abs(afterMs - beforeMs) < CHANGE_SHARE_MIN * beforeMs) return [];
    return [{ percentile, runId: first.run.id, index: first.index, beforeMs, afterMs, p }];
  });
}

function trendRun(dir: string, summary: Summary): TrendRun {
  const { run, validity, metrics } = summary;
  const response = metrics['http_req_response_time'];
  const percentiles = response?.type === 'trend' && response.count > 0 ? response.percentiles : undefined;
  return {
    id: run.id,
    dir,
    startedAt: run.startedAt,
    grade: validity.grade,
    verdict: runVerdict(summary).word,
    ...(percentiles === undefined ? {} : { percentiles }),
    requestsPerSecond: rateOf(metrics['http_reqs']),
    failed: rateOf(metrics['http_req_failed']),
  };
}

function rateOf(metric: MetricSummary | undefined): number {
  return metric?.type === 'counter' || metric?.type === 'rate' ? metric.rate : 0;
}

async function foldersOf(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    const folders = entries.filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'));
    return folders.map(({ name }) => name).sort();
  } catch (thrown) {
    const expected = `expected a folder of run bundles (each a folder with ${BUNDLE_FILES.summary})`;
    throw AppError.from(thrown, 'BUNDLE_INVALID', `${dir}: ${expected}`);
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
