/** One rate that was tried. */
export interface RateStep {
  readonly ratePerSecond: number;
  /** p99 of `schedule_lag`, that two thirds of the try's intervals stay at or below; `Infinity` when nothing was fired. */
  readonly lagP99Ms: number;
  /** It was fired whole, and in time. */
  readonly isKept: boolean;
}

export interface SearchLimits {
  readonly firstPerSecond: number;
  readonly lowestPerSecond: number;
  readonly highestPerSecond: number;
  /** Tries in all, repeats included. */
  readonly triesMax: number;
}

export interface FoundRate {
  /** `undefined`: none was kept. */
  readonly ratePerSecond: number | undefined;
  readonly steps: readonly RateStep[];
}

/** Rates that differ by less than this are not told apart. */
const RESOLUTION = 1.1;

/** The highest rate that is kept: doubled (or halved) until one is kept and one is not, then the gap is halved on a logarithmic scale.
 *  One disturbance is enough to miss a rate, so a miss counts only when it happens again. */
export async function searchRate(tryRate: (ratePerSecond: number) => Promise<RateStep>, limits: SearchLimits): Promise<FoundRate> {
  const steps: RateStep[] = [];
  let kept: number | undefined;
  let missed: number | undefined;
  const attempt = async (rate: number): Promise<boolean> => {
    const step = await tryRate(rate);
    steps.push(step);
    return step.isKept;
  };
  for (let rate: number | undefined = limits.firstPerSecond; rate !== undefined && steps.length < limits.triesMax;) {
    const isKept = (await attempt(rate)) || (steps.length < limits.triesMax && (await attempt(rate)));
    if (isKept) kept = rate;
    else missed = rate;
    rate = nextRate(kept, missed, limits);
  }
  return { ratePerSecond: kept, steps };
}

/** `undefined` when there is nothing left to find out. */
function nextRate(kept: number | undefined, missed: number | undefined, limits: SearchLimits): number | undefined {
  if (kept === undefined) return missed === undefined || missed <= limits.lowestPerSecond ? undefined : Math.max(limits.lowestPerSecond, Math.ceil(missed / 2)); // prettier-ignore
  if (missed === undefined) return kept >= limits.highestPerSecond ? undefined : Math.min(limits.highestPerSecond, kept * 2);
  if (missed / kept < RESOLUTION) return undefined;
  const between = twoDigits(Math.sqrt(kept * missed));
  return between > kept && between < missed ? between : undefined;
}

function twoDigits(value: number): number {
  return Number(value.toPrecision(2));
}
