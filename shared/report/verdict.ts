import type { Summary } from './summary.ts';

/** What a run comes to. Half a run that held so far has not passed: it was stopped. */
export interface RunVerdict {
  readonly word: 'PASSED' | 'FAILED' | 'STOPPED';
  /** `4 of 5 thresholds held, 1 failed`. */
  readonly thresholds: string;
}

export function runVerdict({ run, thresholds, validity }: Summary): RunVerdict {
  const failed = thresholds.filter(({ verdict }) => verdict === 'fail').length;
  const empty = thresholds.filter(({ verdict }) => verdict === 'no-data').length;
  const held = thresholds.length - failed - empty;
  const words = [
    `${held} of ${thresholds.length} thresholds held`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(empty > 0 ? [`${empty} without data`] : []),
  ].join(', ');
  const isBad = failed + empty > 0 || validity.grade === 'invalid';
  return {
    word: isBad ? 'FAILED' : run.stopped === undefined ? 'PASSED' : 'STOPPED',
    thresholds: thresholds.length === 0 ? 'no thresholds set' : words,
  };
}
