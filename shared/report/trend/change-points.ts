/** A place in a series at which its distribution changed. */
export interface ChangePoint {
  /** The first value of the new regime. */
  readonly index: number;
  /** Share of permutations whose best split was at least as good as the one found; small means unlikely to be chance. */
  readonly p: number;
}

/** No regime is shorter: fewer values are outliers. */
const REGIME_VALUES_MIN = 3;
const PERMUTATIONS = 999;
/** Splits that chance makes as good more often than this are not told. */
const SIGNIFICANCE = 0.01;
/** The work grows with the square of the values, times the permutations. */
export const VALUES_MAX = 300;

/** Finds where a series changed, by hierarchical divisive estimation with energy statistics (E-divisive means): the split of a segment at
 *  which the distance between its parts, less the distances within them, is largest; accepted when fewer than 1 % of random permutations of
 *  the segment have a split as good; then again in both parts. Assumes nothing of the distribution but that values within a regime are
 *  exchangeable. Permutations are drawn from a seeded generator: equal series, equal answer. At most `VALUES_MAX` values.
 *  Source: Matteson, James: "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data", JASA 109 (2014), with α = 1;
 *  used on series of benchmarks by Daly et al., "The Use of Change Point Detection to Identify Software Performance Regressions in a
 *  Continuous Integration System", ICPE 2020. */
export function changePoints(values: readonly number[]): ChangePoint[] {
  if (values.length > VALUES_MAX) throw new RangeError(`expected at most ${VALUES_MAX} values, got ${values.length}`);
  const random = mulberry32(values.length);
  const found: ChangePoint[] = [];
  const open: (readonly [from: number, to: number])[] = [[0, values.length]];
  for (let segment = open.pop(); segment !== undefined; segment = open.pop()) {
    const [from, to] = segment;
    const part = values.slice(from, to);
    const split = bestSplit(part);
    if (split === undefined || split.score <= 0) continue;
    const p = chanceOf(split.score, part, random);
    if (p > SIGNIFICANCE) continue;
    const index = from + split.at;
    found.push({ index, p });
    open.push([from, index], [index, to]);
  }
  return found.sort((a, b) => a.index - b.index);
}

/** Permutation test of the best split of a segment. */
function chanceOf(score: number, part: readonly number[], random: () => number): number {
  const shuffled = [...part];
  let asGood = 0;
  for (let i = 0; i < PERMUTATIONS; i++) {
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
    }
    // Sums in another order differ in their last digits; a permutation that is the series itself must count.
    if ((bestSplit(shuffled)?.score ?? 0) >= score * (1 - 1e-9)) asGood++;
  }
  return (asGood + 1) / (PERMUTATIONS + 1);
}

interface Split {
  readonly at: number;
  readonly score: number;
}

/** The split with the largest Q = mn/(m+n) · (2/(mn) Σ|x−y| − 2/(m(m−1)) Σ|x−x′| − 2/(n(n−1)) Σ|y−y′|), sums over pairs. Values move one by
 *  one from the right part to the left, and the three sums with them: n² steps in all. `undefined` when there are too few values to split. */
function bestSplit(values: readonly number[]): Split | undefined {
  const count = values.length;
  if (count < 2 * REGIME_VALUES_MIN) return undefined;
  let left = 0;
  let between = 0;
  let right = 0;
  for (let i = 0; i < count; i++) for (let j = i + 1; j < count; j++) right += Math.abs(values[i]! - values[j]!);
  let best: Split | undefined;
  for (let moved = 0; moved < count - REGIME_VALUES_MIN; moved++) {
    const value = values[moved]!;
    let toLeft = 0;
    let toRight = 0;
    for (let i = 0; i < moved; i++) toLeft += Math.abs(value - values[i]!);
    for (let i = moved + 1; i < count; i++) toRight += Math.abs(value - values[i]!);
    left += toLeft;
    right -= toRight;
    between += toRight - toLeft;
    const m = moved + 1;
    const n = count - m;
    if (m < REGIME_VALUES_MIN) continue;
    const distance = (2 * between) / (m * n) - (2 * left) / (m * (m - 1)) - (2 * right) / (n * (n - 1));
    const score = ((m * n) / (m + n)) * distance;
    if (best === undefined || score > best.score) best = { at: m, score };
  }
  return best;
}

/** A small seeded generator, good enough to shuffle with. Source: mulberry32, Tommy Ettinger, public domain. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
