import type { CurvePoint } from '../stats/index.ts';
import type { CurvePair } from './compare-report.ts';
import { stepLabel } from './compare-words.ts';
import { escapeHtml } from './escape-html.ts';
import { formatMs } from './format.ts';

const WIDTH = 760;
const HEIGHT = 300;
const LEFT = 64;
const RIGHT = 16;
const TOP = 14;
const BOTTOM = 34;

/** Both percentile curves over each other, as HdrHistogram draws them: percentiles by their nines, latencies logarithmic. */
export function renderCurves({ step, baseline, candidate }: CurvePair): string {
  const points = [...baseline, ...candidate];
  if (points.length === 0) return '';
  const decades = Math.max(1, ...points.map(nines));
  const [lowest, highest] = decadesAround(points.map(({ us }) => Math.max(1, us)));
  const x = (value: number): number => LEFT + (value / decades) * (WIDTH - LEFT - RIGHT);
  const y = (us: number): number => {
    const share = (Math.log10(Math.max(1, us)) - lowest) / (highest - lowest);
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
  };
  const path = (curve: readonly CurvePoint[]): string =>
    curve.map((point, i) => `${i === 0 ? 'M' : 'L'}${x(nines(point)).toFixed(1)} ${y(point.us).toFixed(1)}`).join('');
  const vertical = Array.from({ length: Math.floor(decades) + 1 }, (_, i) => {
    const at = x(i).toFixed(1);
    const label = i === 0 ? '0 %' : `${percentLabel(i)} %`;
    return `<path class="grid" d="M${at} ${TOP}V${HEIGHT - BOTTOM}"/><text x="${at}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${label}</text>`;
  });
  const horizontal = gridValues(lowest, highest).map((us) => {
    const at = y(us).toFixed(1);
    return `<path class="grid" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/><text x="${LEFT - 6}" y="${Number(at) + 4}" text-anchor="end">${formatMs(us / 1_000)}</text>`;
  });
  const title = `Percentiles of ${stepLabel(step)}, baseline and candidate`;
  return (
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${vertical.join('')}${horizontal.join('')}` +
    `<path class="base" d="${path(baseline)}"/><path class="cand" d="${path(candidate)}"/>` +
    `<path class="base" d="M${LEFT + 10} ${TOP + 10}h28"/><text x="${LEFT + 44}" y="${TOP + 14}">baseline</text>` +
    `<path class="cand" d="M${LEFT + 120} ${TOP + 10}h28"/><text x="${LEFT + 154}" y="${TOP + 14}">candidate</text></svg>`
  );
}

function nines({ p }: CurvePoint): number {
  return -Math.log10(1 - p);
}

function percentLabel(decade: number): string {
  return (100 * (1 - 10 ** -decade)).toFixed(Math.max(0, decade - 2));
}

/** Ends of the axis: logarithms, a little beyond the values and never at the same place. */
function decadesAround(values: readonly number[]): readonly [number, number] {
  const lowest = Math.log10(values.reduce((a, b) => Math.min(a, b)));
  const highest = Math.log10(values.reduce((a, b) => Math.max(a, b)));
  const margin = Math.max(0.05, (highest - lowest) * 0.04);
  return [lowest - margin, highest + margin];
}

/** 1, 2 and 5 of every power of ten that the axis shows. */
function gridValues(lowest: number, highest: number): readonly number[] {
  const values: number[] = [];
  for (let power = Math.floor(lowest); power <= highest; power++) {
    for (const digit of [1, 2, 5]) {
      const at = power + Math.log10(digit);
      if (at >= lowest && at <= highest) values.push(digit * 10 ** power);
    }
  }
  return values;
}
