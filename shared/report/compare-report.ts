import { AppError, EXIT_CODES, type ExitCode } from '../base/index.ts';
import {
  COMPARE_DEFAULTS,
  compareRuns,
  percentileCurve,
  type Comparison,
  type CompareOptions,
  type CompareVerdict,
  type CurvePoint,
  type LogUnit,
  type StepComparison,
} from '../stats/index.ts';
import { COMPARED_METRIC, readComparedRun, type AboutRun, type ComparedRun } from './compare-read.ts';

/** A comparison with all that a reader needs to trust it. */
export interface CompareReport {
  /** That of the comparison, or `not enough data` when a side is no measurement. */
  readonly verdict: CompareVerdict;
  readonly exitCode: ExitCode;
  readonly metric: string;
  readonly baseline: readonly AboutFile[];
  readonly candidate: readonly AboutFile[];
  /** What keeps the runs from being compared at all. */
  readonly obstacles: readonly string[];
  /** What a reader should know before believing it. */
  readonly warnings: readonly string[];
  readonly comparison: Comparison;
  readonly curves: readonly CurvePair[];
}

export interface AboutFile {
  readonly path: string;
  readonly run: AboutRun | undefined;
}

/** Percentile curves of both sides; the first pair is that of all steps together. */
export interface CurvePair {
  readonly step: string | undefined;
  readonly baseline: readonly CurvePoint[];
  readonly candidate: readonly CurvePoint[];
}

export interface CompareInput {
  /** Bundles and HdrHistogram logs. */
  readonly baseline: readonly string[];
  readonly candidate: readonly string[];
  readonly metric?: string;
  /** Of logs of another tool. */
  readonly unit?: LogUnit;
  readonly options?: Partial<CompareOptions>;
}

/** Reads both sides and compares them. The same files and options give the same report.
 *  Throws `BUNDLE_INVALID` with the path of what cannot be read. */
export async function compareFiles(input: CompareInput): Promise<CompareReport> {
  const { baseline, candidate, metric = COMPARED_METRIC, unit = {}, options = {} } = input;
  const read = async (paths: readonly string[]): Promise<ComparedRun[]> => {
    const runs: ComparedRun[] = [];
    // One after the other: a long run takes memory while it is read.
    for (const path of paths) runs.push(await readComparedRun(path, metric, unit));
    return runs;
  };
  return reportComparison(await read(baseline), await read(candidate), metric, { ...COMPARE_DEFAULTS, ...options });
}

function reportComparison(
  baseline: readonly ComparedRun[],
  candidate: readonly ComparedRun[],
  metric: string,
  options: CompareOptions,
): CompareReport {
  refuseCopies([...baseline, ...candidate]);
  const samples = { baseline: baseline.map(({ sample }) => sample), candidate: candidate.map(({ sample }) => sample) };
  const comparison = compareRuns(samples.baseline, samples.candidate, options);
  const obstacles = [...invalidRuns('baseline', baseline), ...invalidRuns('candidate', candidate)];
  // An invalid measurement can neither accuse nor acquit.
  const verdict = obstacles.length > 0 ? 'not enough data' : comparison.verdict;
  return {
    verdict,
    exitCode: exitCodeOf(verdict),
    metric,
    baseline: baseline.map(aboutFile),
    candidate: candidate.map(aboutFile),
    obstacles,
    warnings: warningsOf(baseline, candidate, comparison),
    comparison: obstacles.length > 0 ? withoutVerdicts(comparison) : comparison,
    curves: [comparison.total, ...comparison.steps].map(({ step }) => ({
      step,
      baseline: percentileCurve(samples.baseline, step),
      candidate: percentileCurve(samples.candidate, step),
    })),
  };
}

/** A run that is repeated is no second run: how runs differ would be learnt from it all the same. */
function refuseCopies(runs: readonly ComparedRun[]): void {
  const seen = new Map<string, string>();
  for (const { digest, path } of runs) {
    const before = seen.get(digest);
    if (before !== undefined) throw new AppError('USAGE', `${before} and ${path} hold the same run: a repeated run is no second run`);
    seen.set(digest, path);
  }
}

function withoutVerdicts(comparison: Comparison): Comparison {
  const open = (step: StepComparison): StepComparison => ({
    ...step,
    measures: step.measures.map((one) => ({ ...one, verdict: 'not enough data', isBelowFloor: false, reason: 'a side is invalid' })),
  });
  return { ...comparison, verdict: 'not enough data', total: open(comparison.total), steps: comparison.steps.map(open) };
}

/** No data is not a pass: a verdict that could not be reached does not end with 0. */
function exitCodeOf(verdict: CompareVerdict): ExitCode {
  switch (verdict) {
    case 'regression':
      return EXIT_CODES.regression.code;
    case 'not enough data':
      return EXIT_CODES.invalidResult.code;
    case 'improvement':
    case 'no difference':
      return EXIT_CODES.passed.code;
  }
}

function aboutFile({ path, about }: ComparedRun): AboutFile {
  return { path, run: about };
}

function invalidRuns(side: string, runs: readonly ComparedRun[]): string[] {
  return runs.flatMap(({ path, about }) =>
    about?.grade === 'invalid' ? [`${side} ${path} is invalid: ${reasonsOf(about, 'invalid')}`] : [],
  );
}

function warningsOf(baseline: readonly ComparedRun[], candidate: readonly ComparedRun[], comparison: Comparison): string[] {
  const all = [...baseline, ...candidate];
  const warnings = all.flatMap(({ path, about }) =>
    about?.grade === 'degraded' ? [`${path} is degraded: ${reasonsOf(about, 'degraded')}`] : [],
  );
  const loads = new Set(all.flatMap(({ about }) => (about === undefined ? [] : [about.load])));
  if (loads.size > 1) warnings.push('the runs did not plan the same load: a difference may be that of the load, not of the target');
  if (baseline.length === 1 && candidate.length === 1) {
    warnings.push('one run a side: how runs of the same build differ from each other is not known, and not in the intervals');
  }
  for (const [side, names] of [
    ['baseline', comparison.onlyInBaseline],
    ['candidate', comparison.onlyInCandidate],
  ] as const) {
    if (names.length > 0) warnings.push(`only the ${side} has ${names.join(', ')}: in its total, compared with nothing`);
  }
  return warnings;
}

function reasonsOf({ reasons }: AboutRun, grade: 'invalid' | 'degraded'): string {
  return reasons
    .filter((reason) => reason.grade === undefined || reason.grade === grade)
    .map(({ code, detail }) => `${code} (${detail})`)
    .join(', ');
}
