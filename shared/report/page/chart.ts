import type UPlot from 'uplot';
import type { Mark, Span } from '../html/page-data.ts';
import { color, onColors } from './colors.ts';
import { formatClock } from './format.ts';
import { logSplits } from './log-splits.ts';

/** Inlined beside this script as it comes from its package. */
declare const uPlot: typeof UPlot;

type Points = readonly (number | null)[];

export interface Line {
  readonly label: string;
  /** Name of a colour of the style sheet. */
  readonly color: string;
  readonly points: Points;
  readonly width?: number;
  readonly dash?: number[];
  readonly isFilled?: boolean;
  readonly isHidden?: boolean;
  /** What the legend says of a point, where it is not the drawn value. */
  readonly shown?: Points;
  /** Lines on the second axis, at the right. */
  readonly onRight?: boolean;
}

export interface Axis {
  readonly format: (value: number) => string;
  readonly isLog?: boolean;
  /** Ends of the scale; by default those of the lines. */
  readonly range?: readonly [number, number];
}

export interface ChartSpec {
  readonly x: readonly number[];
  readonly lines: readonly Line[];
  readonly left: Axis;
  readonly right?: Axis;
  readonly height?: number;
  /** How a place on the x axis is told; time along the run by default. */
  readonly bottom?: Partial<Axis> & { readonly splits?: (from: number, to: number) => number[] };
  /** What the legend calls the place of the cursor. */
  readonly place?: { readonly label: string; readonly format: (value: number, index: number) => string };
  readonly marks?: readonly Mark[];
  readonly spans?: readonly Span[];
  /** Charts that share a cursor and a zoom. */
  readonly sync?: string;
}

const TIME_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];
const AXIS_WIDTH = 64;
const HEIGHT = 260;
/** The numbers behind enums of uPlot's types. Those enums are in its types only, so there is nothing to take the numbers from. */
/* eslint-disable @typescript-eslint/no-unsafe-enum-assignment */
const LOGARITHMIC = 3 as UPlot.Scale.Distr;
const LEFT = 3 as UPlot.Axis.Side;
const RIGHT = 1 as UPlot.Axis.Side;
/* eslint-enable @typescript-eslint/no-unsafe-enum-assignment */
const LABEL_FONT = '12px system-ui, sans-serif';

/** Draws a chart into the plot of the figure `id` and keeps it drawn: when the window, the colours or the paper change.
 *  Returns how to take it away again. */
export function drawChart(figure: HTMLElement, spec: ChartSpec): () => void {
  const host = figure.querySelector<HTMLElement>('.plot') ?? figure;
  host.replaceChildren();
  const chart = new uPlot(optionsOf(spec, widthOf(host)), dataOf(spec), host);
  const resized = new ResizeObserver(() => {
    const width = widthOf(host);
    if (Math.abs(width - chart.width) > 1) chart.setSize({ width, height: spec.height ?? HEIGHT });
  });
  resized.observe(host);
  const forget = onColors(() => {
    chart.redraw(false);
    paintLegend(chart, spec.lines);
  });
  const unkey = walkByKeys(host, chart, spec.sync);
  nameLegend(chart);
  paintLegend(chart, spec.lines);
  return () => {
    resized.disconnect();
    forget();
    unkey();
    chart.destroy();
  };
}

function widthOf(host: HTMLElement): number {
  return Math.max(240, Math.floor(host.clientWidth));
}

function dataOf({ x, lines }: ChartSpec): UPlot.AlignedData {
  return [[...x], ...lines.map(({ points }) => [...points])];
}

function optionsOf(spec: ChartSpec, width: number): UPlot.Options {
  const { lines, left, right, bottom, height = HEIGHT, sync } = spec;
  const place = spec.place ?? { label: 'at', format: (value: number) => formatClock(value) };
  return {
    width,
    height,
    padding: [spec.marks === undefined || spec.marks.length === 0 ? 8 : 20, right === undefined ? 22 : 0, 0, 0],
    scales: {
      x: { time: false, ...(bottom?.isLog === true ? { distr: LOGARITHMIC } : {}), range: wholeRange(spec) },
      y: scaleOf(left),
      ...(right === undefined ? {} : { right: scaleOf(right) }),
    },
    axes: [bottomAxis(bottom), sideAxis(left, 'y', LEFT), ...(right === undefined ? [] : [sideAxis(right, 'right', RIGHT)])],
    cursor: {
      points: { size: 7 },
      drag: { x: bottom?.isLog !== true, y: false, setScale: true },
      ...(sync === undefined ? {} : { sync: { key: sync, scales: ['x', null], setSeries: false } }),
    },
    legend: { live: true },
    series: [
      { label: place.label, value: (_, value: number | null, __, index) => (value === null ? '–' : place.format(value, index ?? 0)) },
      ...lines.map((line) => seriesOf(line, (line.onRight === true ? right : left) ?? left)),
    ],
    hooks: { drawAxes: [(chart) => drawSpans(chart, spec.spans ?? [])], draw: [(chart) => drawMarks(chart, spec.marks ?? [])] },
  };
}

/** All of the range that was asked for until somebody zooms; without one, all of the points. */
function wholeRange({ x, bottom }: ChartSpec): UPlot.Range.Function {
  const [first, last] = [x[0], x.at(-1)];
  return (_, min, max) => (bottom?.range !== undefined && min === first && max === last ? [...bottom.range] : [min, max]);
}

function seriesOf(line: Line, axis: Axis): UPlot.Series {
  const { label, points, shown } = line;
  const isSparse = line.dash === undefined && points.filter((point) => point !== null).length <= 40;
  return {
    label,
    scale: line.onRight === true ? 'right' : 'y',
    width: line.width ?? 1.5,
    stroke: () => color(line.color),
    ...(line.isFilled === true ? { fill: () => color(`${line.color}-fill`) || color(line.color) } : {}),
    ...(line.dash === undefined ? {} : { dash: line.dash }),
    show: line.isHidden !== true,
    points: { show: isSparse, size: 4 },
    value: (_, value, __, index) => {
      const told: number | null | undefined = shown === undefined || index === null ? value : shown[index];
      return told === null || told === undefined ? '–' : axis.format(told);
    },
  };
}

function scaleOf({ isLog, range }: Axis): UPlot.Scale {
  if (range !== undefined) return { ...(isLog === true ? { distr: LOGARITHMIC } : {}), range: [...range] as [number, number] };
  if (isLog === true) {
    return { distr: LOGARITHMIC, range: (_, min, max) => (Number.isFinite(min) && min > 0 ? [min / 1.3, max * 1.3] : [1, 10]) };
  }
  return { range: (_, __, max) => [0, Number.isFinite(max) && max > 0 ? max * 1.08 : 1] };
}

function sideAxis({ format, isLog }: Axis, scale: string, side: UPlot.Axis.Side): UPlot.Axis {
  return {
    scale,
    side,
    size: AXIS_WIDTH,
    font: LABEL_FONT,
    stroke: () => color('ink-2'),
    grid: { show: side === LEFT, stroke: () => color('grid'), width: 1 },
    ticks: { show: false },
    filter: (_, splits) => splits,
    values: (_, splits) => splits.map(format),
    ...(isLog === true
      ? { splits: (chart: UPlot, __: number, min: number, max: number) => logSplits(min, max, chart.bbox.height / devicePixelRatio / 34) }
      : {}),
  };
}

function bottomAxis(bottom: ChartSpec['bottom']): UPlot.Axis {
  const { format = formatClock, splits } = bottom ?? {};
  return {
    size: 34,
    font: LABEL_FONT,
    stroke: () => color('ink-2'),
    grid: { stroke: () => color('grid'), width: 1 },
    ticks: { stroke: () => color('grid'), size: 4 },
    space: 70,
    filter: (_, ticks) => ticks,
    values: (_, ticks) => ticks.map(format),
    ...(splits === undefined ? { incrs: TIME_STEPS } : { splits: (_: UPlot, __: number, min: number, max: number) => splits(min, max) }),
  };
}

/** Warm-ups lie behind the lines. */
function drawSpans(chart: UPlot, spans: readonly Span[]): void {
  const { ctx, bbox } = chart;
  ctx.save();
  for (const { fromSeconds, toSeconds } of spans) {
    const from = Math.max(bbox.left, chart.valToPos(fromSeconds, 'x', true));
    const to = Math.min(bbox.left + bbox.width, chart.valToPos(toSeconds, 'x', true));
    if (to <= from) continue;
    ctx.fillStyle = color('span');
    ctx.fillRect(from, bbox.top, to - from, bbox.height);
    ctx.fillStyle = color('ink-2');
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'top';
    if (to - from > 60 * devicePixelRatio) ctx.fillText('warm-up', from + 5 * devicePixelRatio, bbox.top + 4 * devicePixelRatio);
  }
  ctx.restore();
}

/** What happened stands over the lines, under its number in the table of events. */
function drawMarks(chart: UPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.font = `600 ${10 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  for (const { number, atSeconds, isBad } of marks) {
    const x = Math.round(chart.valToPos(atSeconds, 'x', true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = color(isBad ? 'bad' : 'mark');
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.arc(x, bbox.top - 9 * devicePixelRatio, 8 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.fill();
    ctx.fillStyle = color('paper');
    ctx.fillText(String(number), x, bbox.top - 8.5 * devicePixelRatio);
  }
  ctx.restore();
}

/** Left and right walk the cursor along the columns, Home and End to the ends, Escape takes a zoom back. */
function walkByKeys(host: HTMLElement, chart: UPlot, sync: string | undefined): () => void {
  let index = 0;
  const onKey = (event: KeyboardEvent): void => {
    if (event.target !== host) return;
    const last = chart.data[0].length - 1;
    const stride = event.shiftKey ? Math.max(1, Math.round(last / 20)) : 1;
    if (event.key === 'ArrowRight') index = Math.min(last, index + stride);
    else if (event.key === 'ArrowLeft') index = Math.max(0, index - stride);
    else if (event.key === 'Home') index = 0;
    else if (event.key === 'End') index = last;
    else if (event.key === 'Escape') {
      // As a double click does: in all that share the zoom.
      for (const one of sync === undefined ? [chart] : uPlot.sync(sync).plots) one.setData(one.data, true);
      return;
    } else return;
    event.preventDefault();
    const line = chart.series.findIndex((series, i) => i > 0 && series.show === true);
    const value = chart.data[line]?.[index];
    const top = typeof value === 'number' ? chart.valToPos(value, chart.series[line]?.scale ?? 'y') : 0;
    chart.setCursor({ left: chart.valToPos(chart.data[0][index] ?? 0, 'x'), top });
  };
  host.addEventListener('keydown', onKey);
  return () => host.removeEventListener('keydown', onKey);
}

/** uPlot paints the marks of a legend once; a canvas it paints anew. */
function paintLegend(chart: UPlot, lines: readonly Line[]): void {
  chart.root.querySelectorAll<HTMLElement>('.u-legend .u-series').forEach((row, i) => {
    const [line, mark] = [lines[i - 1], row.querySelector<HTMLElement>('.u-marker')];
    if (line !== undefined && mark !== null) mark.style.borderColor = mark.style.background = color(line.color);
  });
}

/** A legend's entries switch lines; make them buttons for everybody. */
function nameLegend(chart: UPlot): void {
  const rows = chart.root.querySelectorAll<HTMLElement>('.u-legend .u-series');
  rows.forEach((row, i) => {
    const label = row.querySelector<HTMLElement>('th');
    if (i === 0 || label === null) return;
    label.tabIndex = 0;
    label.setAttribute('role', 'button');
    const tell = (): void => label.setAttribute('aria-pressed', String(chart.series[i]?.show === true));
    tell();
    label.addEventListener('click', () => queueMicrotask(tell));
    label.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      chart.setSeries(i, { show: chart.series[i]?.show !== true });
      tell();
    });
  });
}
