import type { MeasureComparison, StepComparison } from '../stats/index.ts';
import type { AboutFile, CompareReport } from './compare-report.ts';

/** A comparison for programs, versioned as `summary.json` is. Times are milliseconds; effects are relative (0.05: 5 % more), those of
 *  error rates are differences. The same report gives the same bytes. */
export function renderCompareJson(report: CompareReport): string {
  const { verdict, exitCode, metric, baseline, candidate, obstacles, warnings, comparison } = report;
  const { options } = comparison;
  const json = {
    schemaVersion: 1,
    verdict,
    exitCode,
    metric,
    baseline: { ...comparison.baseline, runs: baseline.map(runJson) },
    candidate: { ...comparison.candidate, runs: candidate.map(runJson) },
    obstacles,
    warnings,
    total: stepJson(comparison.total),
    steps: comparison.steps.map(stepJson),
    method: {
      confidence: options.confidence,
      replicates: options.replicates,
      seed: options.seed,
      floor: { fraction: options.floorFraction, ms: options.floorUs / 1_000, errorRate: options.floorErrorRate },
      resolve: { fraction: options.resolveFraction, errorRate: options.resolveErrorRate },
    },
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

function runJson({ path, run }: AboutFile): object {
  if (run === undefined) return { path };
  const { id, name, startedAt, grade } = run;
  return { path, id, name, startedAt, grade };
}

function stepJson({ step, requests, measures }: StepComparison): object {
  return { ...(step === undefined ? {} : { step }), requests, measures: measures.map(measureJson) };
}

function measureJson({ measure, verdict, baseline, candidate, effect, isBelowFloor, reason }: MeasureComparison): object {
  const isTime = measure !== 'error_rate' && measure !== 'throughput';
  const value = (one: number | undefined): number | null => (one === undefined ? null : rounded(isTime ? one / 1_000 : one));
  return {
    measure,
    verdict,
    ...(isTime ? { unit: 'ms' } : {}),
    baseline: value(baseline),
    candidate: value(candidate),
    effect: effect === undefined ? null : { estimate: rounded(effect.estimate), low: rounded(effect.low), high: rounded(effect.high) },
    isBelowFloor,
    ...(reason === undefined ? {} : { reason }),
  };
}

function rounded(value: number): number {
  return Number(value.toFixed(6));
}
