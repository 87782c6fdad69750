/** The class of mistake that a deviation looks like. A hint for whoever looks for it: the verdict does not depend on it. */
export type Suspicion =
  | 'units-mixed'
  | 'counted-twice'
  | 'count-wrong'
  | 'samples-lost'
  | 'percentiles-averaged'
  | 'omits-waiting'
  | 'time-missing'
  | 'time-added'
  | 'plan-not-fired'
  | 'run-invalid';

export type Deviation =
  /** Measured by true count, of every count that is off. */
  | { readonly kind: 'count'; readonly ratios: readonly number[] }
  | {
      readonly kind: 'time';
      /** All figures of the metric: the minimum, the percentiles, the mean; milliseconds. */
      readonly figures: readonly TimeFigure[];
      /** True service times at the same percentiles, for a metric that must hold more than these. */
      readonly serviceMs: readonly number[] | undefined;
      /** Means of the agents' own true percentiles. */
      readonly averagesMs: readonly number[] | undefined;
    };

export interface TimeFigure {
  readonly name: string;
  readonly trueValue: number;
  readonly measured: number | undefined;
  readonly verdict: 'agrees' | 'too low' | 'too high' | 'absent';
}

/** Per cent by which a ratio may differ from the one that a mistake would make. */
const RATIO_TOLERANCE = 0.25;
/** Percentiles that are off by less than this part of what the worst is off by are left aside: delays of their own may have moved them. */
const OF_THE_WORST = 0.1;
/** Of those that count, so many may be elsewhere: the highest percentile of a short run is the slowest request, which any delay moves. */
const MOVED_MAX = 1 / 4;
/** So many times nearer must a percentile be to what a mistake would make of it than to the truth. */
const NEARER = 3;

export function suspect(deviation: Deviation): Suspicion {
  return deviation.kind === 'count' ? suspectCount(deviation.ratios) : suspectTime(deviation);
}

function suspectCount(ratios: readonly number[]): Suspicion {
  if (ratios.every((ratio) => ratio < 1)) return 'samples-lost';
  return ratios.every((ratio) => ratio > 1 && Number.isInteger(ratio)) ? 'counted-twice' : 'count-wrong';
}

function suspectTime({ figures, serviceMs, averagesMs }: Extract<Deviation, { kind: 'time' }>): Suspicion {
  if (figures.every(({ verdict }) => verdict === 'absent')) return 'samples-lost';
  const percentiles = figures.filter(({ name }) => name.startsWith('p'));
  const off = percentiles.map(({ verdict }, i) => (verdict === 'agrees' ? -1 : i)).filter((i) => i >= 0);
  if (off.length > 0 && isThousandfold(figures)) return 'units-mixed';
  const deviation = (i: number): number => Math.abs((percentiles[i]?.measured ?? Infinity) - (percentiles[i]?.trueValue ?? 0));
  const worst = Math.max(...off.map(deviation));
  const telling = off.filter((i) => deviation(i) >= worst * OF_THE_WORST);
  const looksLike = (mistakenMs: readonly number[] | undefined): boolean =>
    telling.length > 0 &&
    mistakenMs !== undefined &&
    telling.filter((i) => !isNearer(percentiles[i], mistakenMs[i])).length <= telling.length * MOVED_MAX;
  if (looksLike(averagesMs)) return 'percentiles-averaged';
  const isLow = figures.some(({ verdict }) => verdict === 'too low');
  if (isLow && looksLike(serviceMs)) return 'omits-waiting';
  return isLow ? 'time-missing' : 'time-added';
}

/** Median and mean are off by one power of a thousand. */
function isThousandfold(figures: readonly TimeFigure[]): boolean {
  const powers = figures
    .filter(({ name }) => name === 'p50' || name === 'mean')
    .map(({ measured = NaN, trueValue }) => {
      const power = Math.round(Math.log10(measured / trueValue) / 3) * 3;
      return Math.abs(measured / trueValue / 10 ** power - 1) < RATIO_TOLERANCE ? power : 0;
    });
  return powers.length > 0 && powers.every((power) => power !== 0 && power === powers[0]);
}

function isNearer(figure: TimeFigure | undefined, mistakenMs = NaN): boolean {
  if (figure?.measured === undefined) return false;
  return Math.abs(figure.measured - mistakenMs) * NEARER <= Math.abs(figure.measured - figure.trueValue);
}
