import { COMPARE_DEFAULTS, compareRuns, type CompareOptions, type CompareVerdict } from '../../shared/stats/index.ts';
import { seededDraws } from './seeded-draws.ts';
import { simulateRun, type Change, type Simulation } from './simulated-run.ts';

/** Many comparisons of simulated runs, none of which knows of the others. */
export interface Trials {
  readonly pairs: number;
  /** How often each verdict was the overall one. */
  readonly verdicts: Readonly<Record<CompareVerdict, number>>;
  /** Comparisons in which p99 of all steps was called a regression. */
  readonly p99Regressions: number;
}

export interface TrialPlan {
  readonly simulation: Simulation;
  readonly change: Change;
  readonly pairs: number;
  readonly seed: number;
  /** Runs of each side. */
  readonly runs?: number;
  readonly options?: Partial<CompareOptions>;
}

export function runTrials({ simulation, change, pairs, seed, runs = 1, options = {} }: TrialPlan): Trials {
  const draw = seededDraws(seed);
  const verdicts: Record<CompareVerdict, number> = { regression: 0, improvement: 0, 'no difference': 0, 'not enough data': 0 };
  let p99Regressions = 0;
  const side = (own?: Change) => Array.from({ length: runs }, () => simulateRun(simulation, draw, own));
  for (let pair = 0; pair < pairs; pair++) {
    const { verdict, total } = compareRuns(side(), side(change), { ...COMPARE_DEFAULTS, seed: seed + pair, ...options });
    verdicts[verdict]++;
    if (total.measures.find(({ measure }) => measure === 'p99')?.verdict === 'regression') p99Regressions++;
  }
  return { pairs, verdicts, p99Regressions };
}

/** Fraction of the comparisons that called something a change, in either direction. */
export function alarmRate({ pairs, verdicts }: Trials): number {
  return (verdicts.regression + verdicts.improvement) / pairs;
}
