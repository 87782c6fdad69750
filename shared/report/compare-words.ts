import type { CompareVerdict, Measure, MeasureComparison, StepComparison } from '../stats/index.ts';
import type { AboutFile, CompareReport } from './compare-report.ts';
import { formatMs, formatPercent, oneLine } from './format.ts';

/** Of one side; the JSON has all of them. */
const NAMES_SHOWN_MAX = 12;

/** How every format writes the parts of a comparison: plain text, to be escaped by whoever needs to. */
export const VERDICT_SIGNS: Readonly<Record<CompareVerdict, string>> = {
  regression: '✗',
  improvement: '✓',
  'no difference': '=',
  'not enough data': '?',
};

function measureLabel(measure: Measure): string {
  return measure === 'error_rate' ? 'error rate' : measure;
}

export function stepLabel(step: string | undefined): string {
  return step === undefined ? 'all steps' : oneLine(step);
}

/** A value as a reader knows it: `12.3ms`, `0.20%`, `166.7/s`. */
function valueText(measure: Measure, value: number | undefined): string {
  if (value === undefined) return '-';
  if (measure === 'error_rate') return formatPercent(value);
  if (measure === 'throughput') return `${value.toFixed(value < 100 ? 2 : 1)}/s`;
  return formatMs(value / 1_000);
}

/** A change: relative of times and throughput, in percentage points of error rates. */
function changeText(measure: Measure, change: number): string {
  const percent = change * 100;
  const sign = percent > 0 ? '+' : '';
  // A minus before what rounds to nothing would be noise.
  const rounded = Number(percent.toFixed(measure === 'error_rate' ? 2 : 1));
  return `${rounded === 0 ? '' : sign}${rounded === 0 ? '0' : rounded.toFixed(measure === 'error_rate' ? 2 : 1)}${measure === 'error_rate' ? ' pp' : ' %'}`;
}

function intervalText({ measure, effect }: MeasureComparison): string {
  return effect === undefined ? '-' : `${changeText(measure, effect.low)} to ${changeText(measure, effect.high)}`;
}

/** Why a verdict is what it is, where that is not plain from the numbers; else empty. */
function remarkText({ reason, isBelowFloor }: MeasureComparison): string {
  if (reason !== undefined) return reason;
  return isBelowFloor ? 'certain, and too small to matter' : '';
}

/** One line of a table: its cells, and what a verdict is told with. */
export interface MeasureRow {
  readonly label: string;
  /** Baseline, candidate, change and interval. */
  readonly numbers: readonly string[];
  readonly verdict: CompareVerdict;
  /** `✗ regression` */
  readonly told: string;
  /** ` (certain, and too small to matter)`, or nothing. */
  readonly remark: string;
}

export function measureRow(one: MeasureComparison): MeasureRow {
  const { measure, baseline, candidate, effect, verdict } = one;
  const remark = remarkText(one);
  const change = effect === undefined ? '-' : changeText(measure, effect.estimate);
  return {
    label: measureLabel(measure),
    numbers: [valueText(measure, baseline), valueText(measure, candidate), change, intervalText(one)],
    verdict,
    told: `${VERDICT_SIGNS[verdict]} ${verdict}`,
    remark: remark === '' ? '' : ` (${remark})`,
  };
}

/** What changed in one step: `p99 regression, mean improvement`; empty when nothing did. */
export function changedText({ measures }: StepComparison): string {
  const changed = measures.filter(({ verdict }) => verdict === 'regression' || verdict === 'improvement');
  return changed.map(({ measure, verdict }) => `${measureLabel(measure)} ${verdict}`).join(', ');
}

/** The whole comparison in a sentence or two. */
export function headline({ verdict, obstacles, comparison }: CompareReport): string {
  if (obstacles.length > 0) return `not enough data: ${obstacles.map(oneLine).join('; ')}`;
  const groups = [comparison.total, ...comparison.steps];
  switch (verdict) {
    case 'regression':
      return `regression: ${changesText(groups, 'regression')}`;
    case 'improvement':
      return `improvement: ${changesText(groups, 'improvement')}`;
    case 'no difference':
      return 'no difference that matters';
    case 'not enough data': {
      const open = comparison.total.measures.filter((one) => one.verdict === 'not enough data');
      const [reason] = new Set(open.map((one) => one.reason));
      // Where one thing stands against all measures, it is the thing to know.
      const isOne = open.length === comparison.total.measures.length && open.every((one) => one.reason === reason);
      if (isOne && reason !== undefined) return `not enough data: ${oneLine(reason)}`;
      return `not enough data for ${open.map(({ measure }) => measureLabel(measure)).join(', ')} of all steps`;
    }
  }
}

/** Changes told in the headline; a table has them all. */
const TOLD_MAX = 3;

function changesText(groups: readonly StepComparison[], verdict: CompareVerdict): string {
  const found = groups.flatMap(({ step, measures }) =>
    measures.flatMap(({ measure, verdict: own, effect }) =>
      own === verdict && effect !== undefined
        ? [`${measureLabel(measure)} of ${stepLabel(step)} ${changeText(measure, effect.estimate)}`]
        : [],
    ),
  );
  const rest = found.length - TOLD_MAX;
  return `${found.slice(0, TOLD_MAX).join(', ')}${rest > 0 ? `, and ${rest} more` : ''}`;
}

/** Who was compared, in one line. */
export function sidesText({ baseline, candidate, metric }: CompareReport): string {
  const told = (runs: readonly AboutFile[]): string => `${runs.length === 1 ? '1 run' : `${runs.length} runs`} (${namesText(runs)})`;
  return `baseline ${told(baseline)}, candidate ${told(candidate)}; ${metric} of requests that succeeded`;
}

/** Where the runs came from; of very many the first and how many more. */
function namesText(runs: readonly AboutFile[]): string {
  const shown = runs.slice(0, NAMES_SHOWN_MAX).map(({ path }) => oneLine(path));
  return runs.length > shown.length ? `${shown.join(', ')} and ${runs.length - shown.length} more` : shown.join(', ');
}

/** How it was judged: with these numbers and the files anybody gets the same answer. */
export function methodText({ comparison }: CompareReport): string {
  const { options, baseline, candidate } = comparison;
  const blocks = [baseline, candidate].map(({ slices, blockSlices }) => `${slices} slices in blocks of ${blockSlices}`).join(' against ');
  return (
    `${options.confidence * 100} % simultaneous confidence intervals; ${options.replicates} resamples, seed ${options.seed}; ${blocks}; ` +
    `changes below ${options.floorFraction * 100} % or ${formatMs(options.floorUs / 1_000)} do not matter`
  );
}
