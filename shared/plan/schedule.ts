import { assert } from '../base/index.ts';
import { isOpen, type OpenLoad, type PlannedScenario } from './plan.ts';
import { seedFor, uniform } from './random.ts';

/** A pure function from iteration index to instant. Indices are 0 .. count-1; instants never decrease. */
export interface Schedule {
  /** Number of arrivals planned. */
  readonly count: number;
  /** Run-relative instant of arrival `n`, microseconds, not rounded. */
  instantUs(n: number): number;
  /** How many arrivals are planned before `us` (run-relative, exclusive). Inverse of `instantUs`: `instantUs(n) < us` ⇔ `n < countBefore(us)`. */
  countBefore(us: number): number;
}

/** The arrivals of an open scenario. Equal arguments give equal schedules on every machine. */
export function createSchedule(scenario: PlannedScenario, seed: number): Schedule {
  const { load, startUs } = scenario;
  assert(isOpen(load), 'a closed load has no schedule');
  const curve = new RateCurve(load);
  const whole =
    load.arrivals === 'uniform' ? new UniformSchedule(curve, startUs) : new PoissonSchedule(curve, startUs, seedFor(seed, scenario.name));
  return load.indexLimit === undefined ? whole : limited(whole, load.indexLimit);
}

/** The first `limit` arrivals of a schedule, at the instants they have in the whole one. */
function limited(whole: Schedule, limit: number): Schedule {
  return {
    count: Math.min(whole.count, limit),
    instantUs: (n) => whole.instantUs(n),
    countBefore: (us) => Math.min(whole.countBefore(us), limit),
  };
}

interface Piece {
  readonly fromUs: number;
  readonly durationUs: number;
  /** Arrivals planned before this piece. */
  readonly before: number;
  /** Arrivals per microsecond at its start, and their change per microsecond. */
  readonly rate: number;
  readonly slope: number;
}

/** The integrated rate Λ(t) and its inverse. Λ of a straight rate is a parabola, so the inverse solves a quadratic. */
class RateCurve {
  readonly total: number;
  readonly endUs: number;
  private readonly pieces: readonly Piece[];

  constructor(load: OpenLoad) {
    const pieces: Piece[] = [];
    let fromUs = 0;
    let before = 0;
    for (const { durationUs, startRate, endRate } of load.segments) {
      if (durationUs === 0) continue;
      pieces.push({
        fromUs,
        durationUs,
        before,
        rate: startRate / load.timeUnitUs,
        slope: (endRate - startRate) / load.timeUnitUs / durationUs,
      });
      fromUs += durationUs;
      // Whole arrivals stay whole: 200/s over 30 s is 6000, not 5999.999999.
      before = snap(before + ((startRate + endRate) * durationUs) / (2 * load.timeUnitUs));
    }
    this.pieces = pieces;
    this.total = before;
    this.endUs = fromUs;
  }

  /** The instant at which `arrivals` have accumulated; 0 <= arrivals < total. */
  inverse(arrivals: number): number {
    let low = 0;
    let high = this.pieces.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.pieces[middle]?.before ?? 0) <= arrivals) low = middle;
      else high = middle - 1;
    }
    const piece = this.pieces[low];
    if (piece === undefined) return 0;
    const rest = arrivals - piece.before;
    if (piece.slope === 0) return piece.rate === 0 ? piece.fromUs : piece.fromUs + rest / piece.rate;
    // The root of slope/2·t² + rate·t = rest in the form without cancellation (Press et al., Numerical Recipes, 5.6).
    const root = Math.sqrt(Math.max(0, piece.rate * piece.rate + 2 * piece.slope * rest));
    const denominator = piece.rate + root;
    return denominator === 0 ? piece.fromUs : piece.fromUs + Math.min(piece.durationUs, (2 * rest) / denominator);
  }

  integral(us: number): number {
    if (us <= 0) return 0;
    if (us >= this.endUs) return this.total;
    let found = this.pieces[0];
    for (const piece of this.pieces) if (piece.fromUs <= us) found = piece;
    if (found === undefined) return 0;
    const t = us - found.fromUs;
    return found.before + t * (found.rate + (found.slope * t) / 2);
  }
}

class UniformSchedule implements Schedule {
  readonly count: number;
  private readonly curve: RateCurve;
  private readonly startUs: number;

  constructor(curve: RateCurve, startUs: number) {
    this.curve = curve;
    this.startUs = startUs;
    this.count = Math.ceil(curve.total);
  }

  instantUs(n: number): number {
    return this.startUs + this.curve.inverse(n);
  }

  countBefore(us: number): number {
    // The integral lands within rounding of the answer; the definition decides.
    let n = Math.min(this.count, Math.max(0, Math.ceil(this.curve.integral(us - this.startUs))));
    while (n > 0 && this.instantUs(n - 1) >= us) n--;
    while (n < this.count && this.instantUs(n) < us) n++;
    return n;
  }
}

/** Indices between two anchors of a Poisson walk: one anchor costs 8 bytes, one draw about 40 ns. */
const ANCHOR_EVERY = 1024;

/** A Poisson process by time change (Çinlar 1975): unit-rate arrivals, the running sum of exponential gaps, mapped through Λ⁻¹.
 *  Gap n is a hash of (seed, n) and the sum runs in index order, so every agent computes the very same instants
 *  however many agents there are and whichever indices it owns. */
class PoissonSchedule implements Schedule {
  readonly count: number;
  private readonly curve: RateCurve;
  private readonly startUs: number;
  private readonly seed: number;
  /** `anchors[k]` is the unit-rate time of arrival `k * ANCHOR_EVERY`. */
  private readonly anchors: number[] = [];
  private cursor = 0;
  private cursorTime: number;

  constructor(curve: RateCurve, startUs: number, seed: number) {
    this.curve = curve;
    this.startUs = startUs;
    this.seed = seed;
    let n = 0;
    let time = this.gap(0);
    while (time < curve.total) {
      if (n % ANCHOR_EVERY === 0) this.anchors.push(time);
      n++;
      time += this.gap(n);
    }
    this.count = n;
    this.cursorTime = this.anchors[0] ?? 0;
  }

  instantUs(n: number): number {
    return this.startUs + this.curve.inverse(this.unitTime(n));
  }

  countBefore(us: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.instantUs(middle) < us) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private unitTime(n: number): number {
    const anchor = Math.floor(n / ANCHOR_EVERY);
    if (n < this.cursor || anchor > Math.floor(this.cursor / ANCHOR_EVERY)) {
      this.cursor = anchor * ANCHOR_EVERY;
      this.cursorTime = this.anchors[anchor] ?? 0;
    }
    while (this.cursor < n) {
      this.cursor++;
      this.cursorTime += this.gap(this.cursor);
    }
    return this.cursorTime;
  }

  private gap(n: number): number {
    return -Math.log(uniform(this.seed, n));
  }
}

function snap(value: number): number {
  const whole = Math.round(value);
  return Math.abs(value - whole) <= Number.EPSILON * 64 * Math.max(1, Math.abs(value)) ? whole : value;
}
