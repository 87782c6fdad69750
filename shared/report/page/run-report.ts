import { HEALTH, LINE_PERCENTILES, type AgentLine, type HealthName, type PageData, type TrendLines, type View } from '../html/page-data.ts';
import { drawChart, type ChartSpec, type Line } from './chart.ts';
import { category, color, onColors } from './colors.ts';
import { formatBytes, formatClock, formatNumber, formatterOf, formatUs } from './format.ts';
import { HeatMap } from './heat-map.ts';
import { liveTables } from './tables.ts';

/** Lines of agents in one chart; more are a carpet. */
const AGENTS_DRAWN_MAX = 12;

/** From the top of a logarithmic axis of spectra to its bottom at most. */
const SPECTRUM_SPAN_MAX = 1e5;

/** Brings the report of a run to life. */
export function showRun(page: PageData): void {
  const report = new RunReport(page);
  report.load();
  report.errors();
  report.latency();
  report.sparks();
  report.health();
  liveTables((opened) => report.opened(opened));
}

class RunReport {
  private readonly page: PageData;
  private readonly time: Pick<ChartSpec, 'x' | 'marks' | 'spans' | 'sync' | 'place' | 'bottom'>;
  private readonly drawn = new Map<string, () => void>();
  private heatMap: HeatMap | undefined;

  constructor(page: PageData) {
    this.page = page;
    const { columns, columnSeconds, marks, warmUps } = page;
    this.time = {
      // A column stands for all of its time, so its point is in the middle.
      x: Array.from({ length: columns }, (_, i) => (i + 0.5) * columnSeconds),
      marks,
      spans: warmUps,
      sync: 'run',
      bottom: { range: [0, columns * columnSeconds] },
      place: {
        label: 'at',
        format: (_, i) => `${formatClock(i * columnSeconds)} to ${formatClock((i + 1) * columnSeconds)}`,
      },
    };
  }

  load(): void {
    const { load } = this.page;
    const planned: Line[] =
      load.planned === undefined ? [] : [{ label: 'planned', color: 'planned', points: load.planned, dash: [6, 4], width: 2 }];
    const dropped: Line[] = load.dropped.some((rate) => rate > 0) ? [{ label: 'dropped', color: 'bad', points: load.dropped }] : [];
    this.draw('chart-load', {
      ...this.time,
      lines: [{ label: 'started', color: 'c0', points: load.started, isFilled: true }, ...planned, ...dropped],
      left: { format: formatNumber },
    });
    const vus: Line[] = load.vus.some((busy) => busy !== null) ? [{ label: 'busy VUs', color: 'c1', points: load.vus, onRight: true }] : [];
    this.draw('chart-requests', {
      ...this.time,
      lines: [{ label: 'requests', color: 'c0', points: load.requests, isFilled: true }, ...vus],
      left: { format: formatNumber },
      ...(vus.length === 0 ? {} : { right: { format: formatNumber } }),
    });
  }

  errors(): void {
    const { errors, columns } = this.page;
    if (errors.length === 0) return;
    // Stacked from the back: the first area is the sum of all, each next one lacks the kind before it and covers the rest.
    const left = new Array<number>(columns).fill(0);
    for (const { perSecond } of errors) perSecond.forEach((rate, i) => (left[i] = (left[i] ?? 0) + rate));
    const lines = errors.map(({ kind, perSecond }, i): Line => {
      const points = [...left];
      perSecond.forEach((rate, column) => (left[column] = (left[column] ?? 0) - rate));
      return { label: kind, color: category(i + 2), points, shown: perSecond, isFilled: true, width: 1 };
    });
    this.draw('chart-errors', { ...this.time, lines, left: { format: formatNumber } });
  }

  latency(): void {
    const select = document.querySelector<HTMLSelectElement>('#view');
    const scale = document.querySelector<HTMLSelectElement>('#scale');
    const trendOf = document.querySelector<HTMLSelectElement>('#heat-trend');
    const canvas = document.querySelector<HTMLCanvasElement>('#heat-map');
    const legend = document.querySelector<HTMLCanvasElement>('#heat-scale');
    const readout = document.querySelector<HTMLElement>('#heat-readout');
    if (select === null || scale === null || trendOf === null || canvas === null || legend === null || readout === null) return;
    this.heatMap = new HeatMap(canvas, legend, readout);
    const view = (): View | undefined => this.page.views.find(({ id }) => id === select.value);
    const draw = (): void => {
      const chosen = view();
      if (chosen !== undefined) this.showView(chosen, scale.value === 'log', trendOf);
    };
    select.addEventListener('change', draw);
    scale.addEventListener('change', draw);
    trendOf.addEventListener('change', () => {
      const chosen = view();
      if (chosen !== undefined) this.showHeat(chosen, Number(trendOf.value));
    });
    for (const button of document.querySelectorAll<HTMLButtonElement>('button.show')) {
      button.addEventListener('click', () => {
        select.value = button.dataset['view'] ?? '';
        draw();
        document.getElementById('latency')?.scrollIntoView({ behavior: 'smooth' });
        select.focus({ preventScroll: true });
      });
    }
    draw();
  }

  private showView(view: View, isLog: boolean, trendOf: HTMLSelectElement): void {
    const format = formatterOf(view.unit);
    const range = rangeOf(view.trends, isLog);
    [0, 1].forEach((i) => {
      const id = `chart-trend-${i}`;
      const figure = document.getElementById(id);
      const trend = view.trends[i];
      if (figure === null) return;
      figure.hidden = trend === undefined;
      const title = figure.querySelector('h3');
      if (trend === undefined || title === null) return;
      title.textContent = trend.label;
      this.draw(id, {
        ...this.time,
        lines: percentileLines(trend, isLog),
        left: { format, isLog, ...(range === undefined ? {} : { range }) },
      });
    });
    trendOf.replaceChildren(...view.trends.map(({ label }, i) => new Option(shortLabel(label), String(i))));
    this.showHeat(view, 0);
    this.showSpectra(view, isLog);
  }

  private showHeat(view: View, i: number): void {
    const trend = view.trends[i];
    const { columnSeconds, columns, marks } = this.page;
    if (trend !== undefined) this.heatMap?.show({ trend, columnSeconds, columns, marks, format: formatterOf(view.unit) });
  }

  /** The spectrum of the view and, beside it on equal axes, that of the generator's own lag. */
  private showSpectra(view: View, isLog: boolean): void {
    const lag = this.page.views.find(({ id }) => id === this.page.lag);
    const isComparable = view.unit === 'ms' && lag !== undefined;
    const all = [...view.trends, ...(isComparable ? lag.trends : [])];
    const nines = Math.max(10, ...all.map(({ spectrum }) => nineOf(spectrum.at(-1)?.[0] ?? 0)));
    // The fastest of all tells nothing, and a lag of nothing would stretch the axis down to it.
    const values = all.flatMap(({ spectrum }) => spectrum.slice(1).map(([, us]) => us));
    const high = Math.max(1, ...values);
    const low = Math.max(1, high / SPECTRUM_SPAN_MAX, Math.min(...values));
    const range: readonly [number, number] | undefined =
      values.length === 0 ? undefined : isLog ? [low / 1.3, high * 1.3] : [0, high * 1.08];
    const spec = (trends: readonly TrendLines[], colors: readonly string[], unit: string): ChartSpec => ({
      ...spectrumLines(trends, colors, isLog),
      left: { format: formatterOf(unit), isLog, ...(range === undefined ? {} : { range }) },
      bottom: { format: percentileText, isLog: true, range: [1, nines], splits: nineSplits },
      place: { label: 'percentile', format: percentileText },
    });
    this.draw('chart-spectrum', spec(view.trends, ['c0', 'c1'], view.unit));
    if (lag !== undefined)
      this.draw(
        'chart-lag',
        isComparable ? spec(lag.trends, ['c3'], 'ms') : { ...spec(lag.trends, ['c3'], 'ms'), left: { format: formatUs, isLog } },
      );
  }

  sparks(): void {
    const views = new Map(this.page.views.map((view) => [view.id, view]));
    const draw = (): void => {
      for (const canvas of document.querySelectorAll<HTMLCanvasElement>('canvas.spark')) {
        const trend = views.get(canvas.dataset['view'] ?? '')?.trends[0];
        if (trend !== undefined) drawSpark(canvas, trend.percentiles['99']);
      }
    };
    onColors(draw);
    draw();
  }

  health(): void {
    const select = document.querySelector<HTMLSelectElement>('#health');
    if (select === null) return;
    const draw = (): void => {
      const name = select.value as HealthName;
      this.draw('chart-health', { ...this.time, lines: healthLines(this.page.agents, name), left: { format: healthFormat(name) } });
    };
    select.addEventListener('change', draw);
    draw();
  }

  /** A row was opened: charts of an agent are drawn when somebody looks. */
  opened(opened: HTMLElement): void {
    const host = opened.querySelector<HTMLElement>('.agent-charts');
    const line = this.page.agents.find(({ agent }) => agent === host?.dataset['agent']);
    if (host === null || host.childElementCount > 0) return;
    if (line === undefined) {
      host.textContent = 'This agent has no lines of its own in this report.';
      return;
    }
    const one = (title: string, points: readonly (number | null)[], format: (value: number) => string): void => {
      const figure = document.createElement('figure');
      figure.className = 'chart small';
      const heading = document.createElement('h4');
      heading.textContent = title;
      const plot = document.createElement('div');
      plot.className = 'plot';
      plot.tabIndex = 0;
      plot.setAttribute('role', 'group');
      plot.setAttribute('aria-roledescription', 'chart');
      plot.setAttribute('aria-label', `${title}, ${line.agent}`);
      figure.append(heading, plot);
      host.append(figure);
      drawChart(figure, { ...this.time, height: 150, lines: [{ label: title, color: 'c0', points, isFilled: true }], left: { format } });
    };
    one('Iterations started a second', line.startedPerSecond, formatNumber);
    for (const name of Object.keys(HEALTH) as HealthName[]) one(HEALTH[name].title, line.health[name], healthFormat(name));
  }

  private draw(id: string, spec: ChartSpec): void {
    const figure = document.getElementById(id);
    if (figure === null) return;
    this.drawn.get(id)?.();
    this.drawn.set(id, drawChart(figure, spec));
  }
}

function percentileLines({ percentiles, max }: TrendLines, isLog: boolean): Line[] {
  const drawable = (points: readonly (number | null)[]): (number | null)[] => (isLog ? points.map(aboveZero) : [...points]);
  return [
    { label: 'max', color: 'max', points: drawable(max), shown: max, width: 1, dash: [2, 3] },
    ...LINE_PERCENTILES.toReversed().map((name, i): Line => ({
      label: `p${name}`,
      color: `p${3 - i}`,
      points: drawable(percentiles[name]),
      shown: percentiles[name],
      width: i === 3 ? 2 : 1.5,
    })),
  ];
}

/** A logarithm has no zero; what took less than a microsecond stands at one. */
function aboveZero(us: number | null): number | null {
  return us === null ? null : Math.max(1, us);
}

/** The same axis for response and service time: the difference between them is what one looks for. */
function rangeOf(trends: readonly TrendLines[], isLog: boolean): readonly [number, number] | undefined {
  const values = (points: readonly (number | null)[]): number[] => points.flatMap((point) => (point === null ? [] : [Math.max(1, point)]));
  const lows = trends.flatMap(({ percentiles }) => values(percentiles['50']));
  const highs = trends.flatMap(({ max }) => values(max));
  if (lows.length === 0 || highs.length === 0) return undefined;
  const low = lows.reduce((least, value) => Math.min(least, value));
  const high = highs.reduce((most, value) => Math.max(most, value));
  return isLog ? [low / 1.3, high * 1.3] : [0, high * 1.08];
}

function spectrumLines(trends: readonly TrendLines[], colors: readonly string[], isLog: boolean): Pick<ChartSpec, 'x' | 'lines'> {
  const places = new Set(trends.flatMap(({ spectrum }) => spectrum.map(([percentile]) => percentile)));
  const percentiles = [...places].sort((a, b) => a - b);
  const lines = trends.map(({ label, spectrum }, i): Line => {
    const values = new Map(spectrum);
    const points = percentiles.map((percentile) => interpolated(spectrum, values, percentile));
    return { label: shortLabel(label), color: colors[i] ?? 'c2', points: isLog ? points.map(aboveZero) : points, shown: points, width: 2 };
  });
  return { x: percentiles.map(nineOf), lines };
}

/** Spectra have the same places but for their last; between two places the value of the next one holds, as percentiles are steps. */
function interpolated(spectrum: TrendLines['spectrum'], values: ReadonlyMap<number, number>, percentile: number): number | null {
  return values.get(percentile) ?? spectrum.find(([at]) => at >= percentile)?.[1] ?? null;
}

/** Where a percentile stands: 0 at 1, 90 at 10, 99 at 100. */
function nineOf(percentile: number): number {
  return 1 / Math.max(1e-9, 1 - percentile / 100);
}

function percentileText(nine: number): string {
  const percentile = 100 * (1 - 1 / nine);
  return `${Number(percentile.toFixed(Math.max(0, Math.ceil(Math.log10(nine))) + 1))} %`.replace(' ', '\u202f');
}

function nineSplits(_: number, to: number): number[] {
  const decades = Math.floor(Math.log10(to) + 1e-9);
  return [1, 2, 4, ...Array.from({ length: decades }, (__, i) => 10 ** (i + 1))];
}

function healthLines(agents: readonly AgentLine[], name: HealthName): Line[] {
  const worst = ({ health }: AgentLine): number => health[name].reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  return [...agents]
    .sort((a, b) => worst(b) - worst(a))
    .slice(0, AGENTS_DRAWN_MAX)
    .map((agent, i) => ({ label: agent.agent, color: category(i), points: agent.health[name], ...(i >= 8 ? { dash: [4, 3] } : {}) }));
}

function healthFormat(name: HealthName): (value: number) => string {
  switch (HEALTH[name].unit) {
    case 'us':
      return formatUs;
    case 'bytes':
      return formatBytes;
    case 'cores':
    case '':
      return formatNumber;
  }
}

function shortLabel(label: string): string {
  return label.replace(/ \(.*\)$|: .*$/, '');
}

/** A line without axes: the shape of a step's p99, from its lowest to its highest. */
function drawSpark(canvas: HTMLCanvasElement, points: readonly (number | null)[]): void {
  const context = canvas.getContext('2d');
  const { width, height } = canvas;
  if (context === null) return;
  context.clearRect(0, 0, width, height);
  const known = points.flatMap((point) => (point === null ? [] : [Math.log(Math.max(1, point))]));
  const low = known.reduce((least, value) => Math.min(least, value), Infinity);
  const high = known.reduce((most, value) => Math.max(most, value), -Infinity);
  const y = (point: number): number => height - 3 - ((Math.log(Math.max(1, point)) - low) / Math.max(0.2, high - low)) * (height - 6);
  context.strokeStyle = color('p2');
  context.lineWidth = 1.5;
  context.lineJoin = 'round';
  context.beginPath();
  let isDown = false;
  points.forEach((point, i) => {
    if (point === null) {
      isDown = false;
      return;
    }
    const x = 1 + (points.length === 1 ? 0.5 : i / (points.length - 1)) * (width - 2);
    if (isDown) context.lineTo(x, y(point));
    else context.moveTo(x, y(point));
    isDown = true;
  });
  context.stroke();
}
