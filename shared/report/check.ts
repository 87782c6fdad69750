import { AppError, EXIT_CODES, type ExitCode } from '../base/index.ts';
import { countingOf, parseThreshold, ThresholdWatch, type Counting, type Threshold, type Verdict } from '../sla/index.ts';
import { SeriesSum } from '../stats/index.ts';
import type { Results } from './results.ts';
import { selectorText, summariseMetrics, summariseVerdict, type Summary, type ThresholdSummary } from './summary.ts';

export interface CheckOptions {
  /** Intervals that begin before this instant of the run are left out, microseconds; within an interval it stands for that interval's end.
   *  A warm-up of the scenario's own is left out anyway. */
  readonly warmupUs?: number;
}

/** What thresholds made of results. */
export interface CheckResult {
  readonly path: string;
  readonly name: string;
  readonly durationUs: number;
  readonly verdicts: readonly Verdict[];
  readonly thresholds: readonly ThresholdSummary[];
  /** What was judged, by metric. */
  readonly metrics: Summary['metrics'];
  /** `undefined` of a log, which does not say how far it can be trusted. */
  readonly validity: Summary['validity'] | undefined;
  /** 0, 99 when a threshold failed or had no data, else 111 when the run is invalid. */
  readonly exitCode: ExitCode;
}

/** Judges thresholds over results on disk, with the code that judges them while a run goes on: the same intervals give the same verdicts.
 *  One interval is held at a time. Throws `BUNDLE_INVALID` on broken results and `USAGE` without thresholds. */
export async function checkThresholds(
  results: Results,
  thresholds: readonly Threshold[],
  options: CheckOptions = {},
): Promise<CheckResult> {
  if (thresholds.length === 0) throw new AppError('USAGE', `${results.path}: expected at least one threshold to check`);
  const { intervalUs } = results;
  const { warmupUs: askedUs = 0 } = options;
  const warmupUs = intervalUs > 0 ? Math.ceil(askedUs / intervalUs) * intervalUs : askedUs;
  const manifest = results.kind === 'bundle' ? results.bundle.manifest : undefined;
  const summary = results.kind === 'bundle' ? results.bundle.summary : undefined;
  const counting = countingAfter(countingOf(manifest?.counting?.scenarios ?? []), warmupUs);
  const watch = new ThresholdWatch(thresholds, intervalUs, manifest?.counting?.loadEndUs, counting);
  const totals = new SeriesSum();
  let endUs = 0;
  for await (const { index, startUs, lengthUs, series } of results.intervals()) {
    endUs = Math.max(endUs, startUs + lengthUs);
    if (startUs < warmupUs) continue;
    totals.add(series);
    watch.slide({ index, series }, totals.series(), startUs + lengthUs);
  }
  const durationUs = summary === undefined ? endUs : Math.round(summary.run.durationSeconds * 1_000_000);
  const verdicts = watch.final(totals.series(), durationUs);
  const validity = summary?.validity;
  return {
    path: results.path,
    name: summary?.run.name ?? results.path,
    durationUs,
    verdicts,
    thresholds: verdicts.map(summariseVerdict),
    metrics: summariseMetrics(totals.series(), counting.us({}, durationUs), results.custom),
    validity,
    exitCode: exitCodeOf(verdicts, validity),
  };
}

/** The thresholds that a bundle's own scenario has. Without `abortOnFail`: nothing is left to abort. */
export function thresholdsOf(results: Results): Threshold[] {
  if (results.kind === 'log') return [];
  return results.bundle.summary.thresholds.map(({ metric, tags, expression, windowSeconds }) => {
    const window = windowSeconds === undefined ? undefined : windowSeconds * 1_000;
    const parsed = parseThreshold(metric, expression, { window }, results.custom);
    if ('problem' in parsed) {
      throw new AppError('BUNDLE_INVALID', `${results.path}: threshold ${selectorText(metric, tags)}: ${expression}: ${parsed.problem}`);
    }
    return { ...parsed, tags };
  });
}

function countingAfter(counting: Counting, warmupUs: number): Counting {
  if (warmupUs === 0) return counting;
  return {
    fromUs: (tags) => Math.max(warmupUs, counting.fromUs(tags)),
    us: (tags, untilUs) => Math.max(0, Math.min(counting.us(tags, untilUs), untilUs - warmupUs)),
  };
}

function exitCodeOf(verdicts: readonly Verdict[], validity: Summary['validity'] | undefined): ExitCode {
  if (verdicts.some(({ kind }) => kind !== 'pass')) return EXIT_CODES.thresholdsFailed.code;
  return validity?.grade === 'invalid' ? EXIT_CODES.invalidResult.code : EXIT_CODES.passed.code;
}
