import type { TrendPageData } from '../html/page-data.ts';
import { drawChart, type Line } from './chart.ts';
import { formatUs } from './format.ts';

/** Names of colours by percentile, light for the middle and dark for the tail. */
const COLORS = ['p0', 'p1', 'c1', 'p2', 'p3'];

/** Draws a chart for each scenario of a trend: one place per run, evenly spaced, for nights without a run are no information. */
export function showTrend({ scenarios }: TrendPageData): void {
  scenarios.forEach((scenario, i) => {
    const figure = document.getElementById(`trend-${i}`);
    const scale = document.querySelector<HTMLSelectElement>(`select[data-chart="trend-${i}"]`);
    if (figure === null || scale === null) return;
    let forget = (): void => undefined;
    const draw = (): void => {
      forget();
      forget = drawScenario(figure, scenario, scale.value === 'log');
    };
    scale.addEventListener('change', draw);
    draw();
  });
}

function drawScenario(figure: HTMLElement, { runs, percentiles, changes }: TrendPageData['scenarios'][number], isLog: boolean): () => void {
  const known = percentiles.flatMap(({ us }) => us.flatMap((value) => (value === null ? [] : [Math.max(1, value)])));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const lines = percentiles
    .map(({ name, us }, i): Line => ({ label: `p${name}`, color: COLORS[i] ?? 'c2', points: us, width: 2 }))
    .reverse();
  const runAt = (place: number): (typeof runs)[number] | undefined => (Number.isInteger(place) ? runs[place - 1] : undefined);
  return drawChart(figure, {
    x: runs.map((_, i) => i + 1),
    lines,
    left: { format: formatUs, isLog, range: isLog ? [low / 1.3, high * 1.3] : [0, high * 1.08] },
    bottom: {
      format: (place) => runAt(place)?.startedAt.slice(5, 10) ?? '',
      range: [0.5, runs.length + 0.5],
      splits: (from, to) => wholeBetween(from, to, 10),
    },
    place: { label: 'run', format: (_, i) => `${runs[i]?.id ?? ''} of ${runs[i]?.startedAt.slice(0, 16).replace('T', ' ') ?? ''}` },
    // Between the last run of the old level and the first of the new.
    marks: changes.map(({ index, isWorse }, i) => ({ number: i + 1, atSeconds: index + 0.5, label: '', isBad: isWorse })),
    height: 320,
  });
}

function wholeBetween(from: number, to: number, wanted: number): number[] {
  const step = Math.max(1, Math.ceil((to - from) / wanted));
  const first = Math.ceil(from);
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, i) => first + i * step);
}
