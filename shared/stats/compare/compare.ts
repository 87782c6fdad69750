import { normalTail, studentQuantile } from './distributions.ts';
import { isQuantile, Measured, MEASURES, QUANTILES, toScale, type Measure } from './measures.ts';
import type { RunSample } from './run-sample.ts';
import { drawSide, joinRuns, totalOf, type Draws, type Side } from './side.ts';
import { spreadOf, type Spread } from './spread.ts';

export interface CompareOptions {
  readonly seed: number;
  /** Draws per side. */
  readonly replicates: number;
  /** Of all intervals of a comparison together: 0.97 means that in some 3 % of comparisons of equal things any of them misses the truth.
   *  Short runs whose intervals hang together strongly take the rest of the 5 % that are promised. */
  readonly confidence: number;
  /** Smaller effects do not matter: a time must have changed by more than both, a throughput by more than the first. */
  readonly floorFraction: number;
  readonly floorUs: number;
  /** The same for error rates, as a difference of fractions. */
  readonly floorErrorRate: number;
  /** "No difference" is only said where a change as large as this could be ruled out. */
  readonly resolveFraction: number;
  readonly resolveErrorRate: number;
}

export const COMPARE_DEFAULTS: CompareOptions = {
  seed: 1,
  replicates: 2_000,
  confidence: 0.97,
  floorFraction: 0.02,
  floorUs: 100,
  floorErrorRate: 0.001,
  resolveFraction: 0.1,
  resolveErrorRate: 0.01,
};

export type CompareVerdict = 'regression' | 'improvement' | 'no difference' | 'not enough data';

export interface Comparison {
  readonly verdict: CompareVerdict;
  readonly total: StepComparison;
  /** Steps that both sides have, by name. Empty when there is but one, which is the total. */
  readonly steps: readonly StepComparison[];
  /** Steps that one side alone has: they are in its total and can be compared with nothing. */
  readonly onlyInBaseline: readonly string[];
  readonly onlyInCandidate: readonly string[];
  readonly baseline: SideMethod;
  readonly candidate: SideMethod;
  readonly options: CompareOptions;
}

/** How a side was resampled. */
export interface SideMethod {
  readonly runs: number;
  readonly slices: number;
  readonly blockSlices: number;
}

export interface StepComparison {
  /** `undefined`: all steps together. */
  readonly step: string | undefined;
  readonly requests: { readonly baseline: number; readonly candidate: number };
  readonly measures: readonly MeasureComparison[];
}

export interface MeasureComparison {
  readonly measure: Measure;
  readonly verdict: CompareVerdict;
  /** Microseconds, a fraction, requests per second. `undefined` where nothing was measured. */
  readonly baseline: number | undefined;
  readonly candidate: number | undefined;
  /** Candidate against baseline: relative (0.05: 5 % more), of error rates the difference. `undefined` where it was not judged. */
  readonly effect: Effect | undefined;
  /** Certain, and too small to matter. */
  readonly isBelowFloor: boolean;
  /** Why there is not enough data. */
  readonly reason?: string;
}

export interface Effect {
  readonly estimate: number;
  /** Ends of the simultaneous confidence interval. */
  readonly low: number;
  readonly high: number;
}

/** Is the candidate slower than the baseline? Deterministic: the same runs and options give the same answer.
 *
 *  The law it is built on: of two sides that measured the same thing, at most `1 - confidence` of all comparisons call anything a regression
 *  or an improvement. Method and sources: docs/methodology.md. */
export function compareRuns(baseline: readonly RunSample[], candidate: readonly RunSample[], options: CompareOptions): Comparison {
  const left = prepareSide(baseline, options, options.seed);
  const right = prepareSide(candidate, options, options.seed + 0x5bd1);
  const pairOf = (step: string | undefined): Pair => testPair(step, left.of(step), right.of(step));
  const names = [...left.side.steps.keys()].sort();
  const shared = names.filter((name) => right.side.steps.has(name));
  const isSplit = names.length > 1 || right.side.steps.size > 1;
  // Two families share what may go wrong: the totals keep their power however many steps there are.
  const errorShare = (1 - options.confidence) / (isSplit ? 2 : 1);
  const [total] = judgeFamily([pairOf(undefined)], errorShare, options);
  if (total === undefined) throw new RangeError('a family of one has one member');
  const steps = isSplit ? judgeFamily(shared.map(pairOf), errorShare, options) : [];
  return {
    verdict: overallVerdict(total, steps, left.side.areFailuresKnown && right.side.areFailuresKnown),
    total,
    steps,
    onlyInBaseline: names.filter((name) => !right.side.steps.has(name)),
    onlyInCandidate: [...right.side.steps.keys()].filter((name) => !left.side.steps.has(name)).sort(),
    baseline: methodOf(left.side, left.draws),
    candidate: methodOf(right.side, right.draws),
    options,
  };
}

interface PreparedSide {
  readonly side: Side;
  readonly draws: Draws;
  /** One step, which must be there, or all of them. */
  readonly of: (step: string | undefined) => PairSide;
}

/** A side with its draws made: every step is computed from the same ones. */
function prepareSide(runs: readonly RunSample[], options: CompareOptions, seed: number): PreparedSide {
  const side = joinRuns(runs);
  const total = new Measured(side, totalOf(side));
  const draws = drawSide(side, total, options.replicates, seed);
  const of = (step: string | undefined): PairSide => {
    const slices = step === undefined ? undefined : side.steps.get(step);
    const measured = slices === undefined ? total : new Measured(side, slices);
    return { side, draws, measured, spread: spreadOf(side, measured, draws) };
  };
  return { side, draws, of };
}

interface PairSide {
  readonly side: Side;
  readonly draws: Draws;
  readonly measured: Measured;
  readonly spread: Spread;
}

interface Pair {
  readonly step: string | undefined;
  readonly baseline: PairSide;
  readonly candidate: PairSide;
  readonly tests: readonly Test[];
  /** Replicate by replicate: the largest deviation of any test, in its own standard deviations. */
  readonly worst: Float64Array;
}

interface Test {
  readonly measure: Measure;
  /** Why it cannot be made; `undefined` when it can. */
  readonly obstacle: string | undefined;
  readonly difference: number;
  readonly standardError: number;
  readonly df: number;
}

/** Samples beyond a quantile on each side, below which its scatter cannot be estimated. */
const TAIL_SAMPLES_MIN = 20;
/** Slices on each side, below which blocks cannot be drawn. */
const SLICES_MIN = 10;

function testPair(step: string | undefined, baseline: PairSide, candidate: PairSide): Pair {
  const tests = MEASURES.map((measure, i) => testMeasure(measure, i, baseline, candidate));
  const replicates = baseline.draws.ofBlocks.length;
  const worst = new Float64Array(replicates);
  const width = MEASURES.length;
  const a = baseline.spread.deviations;
  const b = candidate.spread.deviations;
  tests.forEach(({ obstacle }, i) => {
    if (obstacle !== undefined) return;
    let squares = 0;
    for (let at = i; at < a.length; at += width) squares += (b[at]! - a[at]!) ** 2;
    const deviation = Math.sqrt(squares / replicates);
    if (deviation === 0) return;
    for (let replicate = 0; replicate < replicates; replicate++) {
      const at = replicate * width + i;
      worst[replicate] = Math.max(worst[replicate]!, Math.abs(b[at]! - a[at]!) / deviation);
    }
  });
  return { step, baseline, candidate, tests, worst };
}

function testMeasure(measure: Measure, i: number, baseline: PairSide, candidate: PairSide): Test {
  const difference = toScale(measure, candidate.spread.values[i]!) - toScale(measure, baseline.spread.values[i]!);
  const { variance, df } = uncertainty(i, baseline, candidate);
  const standardError = Math.sqrt(variance + resolution(measure, baseline.measured) + resolution(measure, candidate.measured));
  return { measure, obstacle: obstacleTo(measure, baseline, candidate), difference, standardError, df };
}

/** From here on Student's distribution is the normal one. */
const DF_MAX = 1e6;

/** The variance of a difference, and the degrees of freedom it was estimated with. */
function uncertainty(i: number, baseline: PairSide, candidate: PairSide): { variance: number; df: number } {
  const sides = [baseline, candidate];
  const within = sides.reduce((sum, { spread }) => sum + spread.blockVariances[i]!, 0);
  // Satterthwaite (1946): two estimated variances, each with one degree of freedom less than it has blocks.
  const weight = sides.reduce((sum, { spread, draws, side }) => {
    return sum + spread.blockVariances[i]! ** 2 / Math.max(1, draws.blocks - side.runs.length);
  }, 0);
  const withinDf = weight > 0 ? within ** 2 / weight : DF_MAX;
  const repeated = sides.filter(({ spread }) => spread.runVariances !== undefined);
  if (repeated.length === 0) return { variance: within, df: withinDf };
  // Runs of both sides differ among themselves alike: one variance of a run, pooled, also stands for a side that has one run only.
  const df = repeated.reduce((sum, { side }) => sum + side.runs.length - 1, 0);
  const ofOneRun =
    repeated.reduce((sum, { side, spread }) => {
      const runs = side.runs.length;
      return sum + (runs - 1) * runs * (spread.runVariances?.[i] ?? 0);
    }, 0) / df;
  const between = sides.reduce((sum, { side }) => sum + ofOneRun / side.runs.length, 0);
  return { variance: Math.max(between, within), df };
}

/** The variance that a measure has even if every draw gives the same: times are known to a bucket, counts to one request. */
function resolution(measure: Measure, { requests, samples }: Measured): number {
  if (measure === 'error_rate') return 1 / requests ** 2;
  if (measure === 'throughput') return 1 / samples ** 2;
  return 1 / (12 * 1_024 ** 2);
}

function obstacleTo(measure: Measure, baseline: PairSide, candidate: PairSide): string | undefined {
  for (const [name, { measured, side }] of [
    ['baseline', baseline],
    ['candidate', candidate],
  ] as const) {
    if (measure === 'error_rate' && !side.areFailuresKnown) return `${name}: which requests failed is not recorded`;
    if (side.lengthsUs.length < SLICES_MIN) return `${name}: ${side.lengthsUs.length} intervals, at least ${SLICES_MIN} are needed`;
    const samples = measure === 'error_rate' ? measured.requests : measured.samples;
    const needed = Math.ceil(TAIL_SAMPLES_MIN / (isQuantile(measure) ? 1 - QUANTILES[measure] : 1) - 1e-6);
    if (samples < needed) return `${name}: ${samples} samples, at least ${needed} are needed`;
  }
  return undefined;
}

function judgeFamily(pairs: readonly Pair[], errorShare: number, options: CompareOptions): StepComparison[] {
  const tail = perTestTail(pairs, errorShare);
  return pairs.map(({ step, baseline, candidate, tests }) => ({
    step,
    requests: { baseline: baseline.measured.requests, candidate: candidate.measured.requests },
    measures: tests.map((test, i) =>
      judgeMeasure(test, valueOf(i, baseline), valueOf(i, candidate), studentQuantile(tail, test.df), options),
    ),
  }));
}

/** NaN where it was not measured. */
function valueOf(i: number, { side, spread }: PairSide): number {
  return MEASURES[i] === 'error_rate' && !side.areFailuresKnown ? NaN : spread.values[i]!;
}

/** The probability that one test may leave on each side, so that all tests of the family together miss with probability `errorShare`:
 *  from the distribution of the largest of all deviations, drawn together (max-T of Westfall and Young 1993), and never more than
 *  Bonferroni's bound would have to be, nor less. */
function perTestTail(pairs: readonly Pair[], errorShare: number): number {
  const tests = pairs.reduce((sum, pair) => sum + pair.tests.filter(({ obstacle }) => obstacle === undefined).length, 0);
  const replicates = pairs[0]?.worst.length ?? 0;
  const worst = Float64Array.from({ length: replicates }, (_, replicate) => Math.max(...pairs.map((pair) => pair.worst[replicate]!)));
  worst.sort();
  const critical = worst[Math.min(replicates - 1, Math.ceil((1 - errorShare) * (replicates + 1)) - 1)] ?? 0;
  return Math.min(errorShare / 2, Math.max(errorShare / (2 * Math.max(1, tests)), normalTail(critical)));
}

function judgeMeasure(test: Test, baseline: number, candidate: number, critical: number, options: CompareOptions): MeasureComparison {
  const { measure, obstacle, difference, standardError } = test;
  const known = {
    measure,
    baseline: Number.isNaN(baseline) ? undefined : baseline,
    candidate: Number.isNaN(candidate) ? undefined : candidate,
  };
  if (obstacle !== undefined) return { ...known, verdict: 'not enough data', effect: undefined, isBelowFloor: false, reason: obstacle };
  const reach = critical * standardError;
  const fromScale = measure === 'error_rate' ? (value: number): number => value : Math.expm1;
  const effect = { estimate: fromScale(difference), low: fromScale(difference - reach), high: fromScale(difference + reach) };
  const matters = (value: number): boolean => isAboveFloor(measure, value, baseline, options);
  if (effect.low > 0 || effect.high < 0) {
    if (!matters(effect.estimate)) return { ...known, verdict: 'no difference', effect, isBelowFloor: true };
    const isMore = effect.estimate > 0;
    return { ...known, verdict: isMore === (measure !== 'throughput') ? 'regression' : 'improvement', effect, isBelowFloor: false };
  }
  const limit = measure === 'error_rate' ? options.resolveErrorRate : options.resolveFraction;
  const isResolved = (value: number): boolean => Math.abs(value) <= limit || !matters(value);
  if (isResolved(effect.low) && isResolved(effect.high)) return { ...known, verdict: 'no difference', effect, isBelowFloor: false };
  const shown = measure === 'error_rate' ? `${limit * 100} percentage points` : `${limit * 100} %`;
  return { ...known, verdict: 'not enough data', effect, isBelowFloor: false, reason: `a change of ${shown} cannot be ruled out` };
}

function isAboveFloor(measure: Measure, effect: number, baseline: number, options: CompareOptions): boolean {
  if (measure === 'error_rate') return Math.abs(effect) >= options.floorErrorRate;
  if (measure === 'throughput') return Math.abs(effect) >= options.floorFraction;
  return Math.abs(effect) >= options.floorFraction && Math.abs(effect) * baseline >= options.floorUs;
}

/** Measures of the total that must be decided before "no difference" is said of the whole. */
const DECISIVE: readonly Measure[] = ['p50', 'p90', 'p95', 'p99', 'error_rate'];

function overallVerdict(total: StepComparison, steps: readonly StepComparison[], areFailuresKnown: boolean): CompareVerdict {
  const verdicts = new Set([total, ...steps].flatMap(({ measures }) => measures.map(({ verdict }) => verdict)));
  if (verdicts.has('regression')) return 'regression';
  if (verdicts.has('improvement')) return 'improvement';
  // What nobody recorded cannot be waited for.
  const decisive = DECISIVE.filter((measure) => measure !== 'error_rate' || areFailuresKnown);
  const isOpen = total.measures.some(({ measure, verdict }) => decisive.includes(measure) && verdict === 'not enough data');
  return isOpen ? 'not enough data' : 'no difference';
}

function methodOf({ runs, lengthsUs }: Side, { blockLength }: Draws): SideMethod {
  return { runs: runs.length, slices: lengthsUs.length, blockSlices: blockLength };
}
