import type { Heat, Mark, TrendLines } from '../html/page-data.ts';
import { color, heatRamp, onColors } from './colors.ts';
import { formatClock, formatNumber } from './format.ts';
import { logSplits } from './log-splits.ts';

export interface HeatSpec {
  readonly trend: TrendLines;
  readonly columnSeconds: number;
  /** Columns of the page. */
  readonly columns: number;
  readonly marks: readonly Mark[];
  readonly format: (valueUs: number) => string;
}

const HEIGHT = 300;
/** As wide as the axes of the charts above, so that instants stand below each other. */
const PAD = { left: 64, right: 22, top: 20, bottom: 26 };

/** A map of every request: columns are times, rows are latencies on a logarithmic axis, darkness is how many. Only one is on a page. */
export class HeatMap {
  private readonly canvas: HTMLCanvasElement;
  private readonly readout: HTMLElement;
  private spec: HeatSpec | undefined;
  private cursor: { column: number; row: number } | undefined;

  constructor(canvas: HTMLCanvasElement, scale: HTMLCanvasElement, readout: HTMLElement) {
    this.canvas = canvas;
    this.readout = readout;
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement ?? canvas);
    const redraw = (): void => {
      this.draw();
      drawScale(scale);
    };
    onColors(redraw);
    drawScale(scale);
    canvas.addEventListener('mousemove', (event) => this.point(event.offsetX, event.offsetY));
    canvas.addEventListener('mouseleave', () => this.moveTo(undefined));
    canvas.addEventListener('keydown', (event) => this.key(event));
  }

  show(spec: HeatSpec): void {
    this.spec = spec;
    this.cursor = undefined;
    this.readout.textContent = '';
    this.draw();
  }

  private get rows(): { readonly from: number; readonly to: number } {
    let from = Infinity;
    let to = -Infinity;
    for (const column of this.heat.columns) {
      if (column === null) continue;
      from = Math.min(from, column[0]);
      to = Math.max(to, column[0] + column.length - 2);
    }
    return Number.isFinite(from) ? { from: from - 1, to: to + 1 } : { from: 0, to: 8 };
  }

  private get heat(): Heat {
    return this.spec?.trend.heat ?? { span: 1, rowsPerOctave: 1, columns: [] };
  }

  private draw(): void {
    const { canvas, spec } = this;
    const context = canvas.getContext('2d');
    if (spec === undefined || context === null) return;
    const width = Math.max(240, canvas.parentElement?.clientWidth ?? 0);
    canvas.width = width * devicePixelRatio;
    canvas.height = HEIGHT * devicePixelRatio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${HEIGHT}px`;
    context.scale(devicePixelRatio, devicePixelRatio);
    context.fillStyle = color('heat-none');
    context.fillRect(PAD.left, PAD.top, width - PAD.left - PAD.right, HEIGHT - PAD.top - PAD.bottom);
    this.drawCells(context);
    this.drawAxes(context, spec, width);
    this.drawCursor(context);
  }

  private drawCells(context: CanvasRenderingContext2D): void {
    const { columns } = this.heat;
    const { from } = this.rows;
    const ramp = heatRamp();
    const most = columns.reduce((max, column) => (column === null ? max : Math.max(max, ...column.slice(1))), 1);
    columns.forEach((column, at) => {
      if (column === null) return;
      const [lowest, ...counts] = column;
      counts.forEach((count, i) => {
        if (count === 0) return;
        // Logarithmic, for the one slow request among thousands must not fade into the paper.
        context.fillStyle = `rgb(${ramp(most === 1 ? 1 : Math.log1p(count) / Math.log1p(most)).join(' ')})`;
        const { x, y, width, height } = this.cell(at, lowest + i - from);
        context.fillRect(x, y, width, height);
      });
    });
  }

  private drawAxes(context: CanvasRenderingContext2D, spec: HeatSpec, width: number): void {
    const plotWidth = width - PAD.left - PAD.right;
    const bottom = HEIGHT - PAD.bottom;
    const endSeconds = spec.columns * spec.columnSeconds;
    context.font = '12px system-ui, sans-serif';
    context.fillStyle = color('ink-2');
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    const { from, to } = this.rows;
    const { rowsPerOctave } = this.heat;
    for (const value of logSplits(2 ** (from / rowsPerOctave), 2 ** ((to + 1) / rowsPerOctave), 8)) {
      const y = bottom - ((Math.log2(value) * rowsPerOctave - from) / (to - from + 1)) * (bottom - PAD.top);
      context.fillText(spec.format(value), PAD.left - 8, y);
      context.fillRect(PAD.left - 4, y, 4, 1);
    }
    context.textAlign = 'center';
    context.textBaseline = 'top';
    for (const seconds of timeSplits(endSeconds, plotWidth / 80)) {
      const x = PAD.left + (seconds / endSeconds) * plotWidth;
      context.fillText(formatClock(seconds), x, bottom + 8);
      context.fillRect(x, bottom, 1, 4);
    }
    for (const { number, atSeconds, isBad } of spec.marks) {
      const x = PAD.left + (atSeconds / endSeconds) * plotWidth;
      context.fillStyle = color(isBad ? 'bad' : 'mark');
      for (let y = PAD.top; y < bottom; y += 7) context.fillRect(x, y, 1, 4);
      context.beginPath();
      context.arc(x, PAD.top - 10, 8, 0, 2 * Math.PI);
      context.fill();
      context.fillStyle = color('paper');
      context.textBaseline = 'middle';
      context.font = '600 10px system-ui, sans-serif';
      context.fillText(String(number), x, PAD.top - 9.5);
    }
  }

  private drawCursor(context: CanvasRenderingContext2D): void {
    if (this.cursor === undefined) return;
    const { x, y, width, height } = this.cell(this.cursor.column, this.cursor.row - this.rows.from);
    context.strokeStyle = color('ink');
    context.lineWidth = 2;
    context.strokeRect(x - 1, y - 1, width + 2, height + 2);
  }

  /** Where a cell is, in pixels of the style sheet. Edges are whole pixels, so that neighbours leave no seam. */
  private cell(column: number, row: number): { x: number; y: number; width: number; height: number } {
    const { from, to } = this.rows;
    const plotWidth = this.canvas.clientWidth - PAD.left - PAD.right;
    const plotHeight = HEIGHT - PAD.top - PAD.bottom;
    // The last column of the map may span fewer columns of the page than the others.
    const across = (this.spec?.columns ?? 1) / this.heat.span;
    const edgeX = (at: number): number => PAD.left + Math.round((Math.min(at, across) / across) * plotWidth);
    const edgeY = (at: number): number => HEIGHT - PAD.bottom - Math.round((at / (to - from + 1)) * plotHeight);
    const [x, y] = [edgeX(column), edgeY(row + 1)];
    return { x, y, width: Math.max(1, edgeX(column + 1) - x), height: Math.max(1, edgeY(row) - y) };
  }

  private point(x: number, y: number): void {
    const { from, to } = this.rows;
    const plotWidth = this.canvas.clientWidth - PAD.left - PAD.right;
    const across = (this.spec?.columns ?? 1) / this.heat.span;
    const column = Math.floor(((x - PAD.left) / plotWidth) * across);
    const row = from + Math.floor(((HEIGHT - PAD.bottom - y) / (HEIGHT - PAD.top - PAD.bottom)) * (to - from + 1));
    const isInside = column >= 0 && column < this.heat.columns.length && row >= from && row <= to;
    this.moveTo(isInside ? { column, row } : undefined);
  }

  private key(event: KeyboardEvent): void {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const { from, to } = this.rows;
    const [across = 0, up = 0] = step;
    const stride = event.shiftKey ? 10 : 1;
    const at = this.cursor ?? this.busiest();
    const column = Math.min(this.heat.columns.length - 1, Math.max(0, at.column + across * stride));
    const row = Math.min(to, Math.max(from, at.row + up * stride));
    this.moveTo(this.cursor === undefined ? at : { column, row });
  }

  /** Where a keyboard enters: the fullest cell of the first column that has any. */
  private busiest(): { column: number; row: number } {
    const column = this.heat.columns.findIndex((one) => one !== null);
    const [lowest, ...counts] = this.heat.columns[column] ?? [0];
    return { column: Math.max(0, column), row: lowest + Math.max(0, counts.indexOf(Math.max(...counts))) };
  }

  private moveTo(cursor: { column: number; row: number } | undefined): void {
    if (cursor?.column === this.cursor?.column && cursor?.row === this.cursor?.row) return;
    this.cursor = cursor;
    this.readout.textContent = cursor === undefined ? '' : this.told(cursor);
    this.draw();
  }

  private told({ column, row }: { column: number; row: number }): string {
    const { spec, heat } = this;
    if (spec === undefined) return '';
    const [lowest, ...counts] = heat.columns[column] ?? [0];
    const count = counts[row - lowest] ?? 0;
    const all = counts.reduce((sum, one) => sum + one, 0);
    const seconds = heat.span * spec.columnSeconds;
    const value = (at: number): string => spec.format(2 ** (at / heat.rowsPerOctave));
    const share = all === 0 ? '' : `, ${((count / all) * 100).toFixed(count === 0 ? 0 : 2)} % of that time's`;
    return `${formatClock(column * seconds)} to ${formatClock((column + 1) * seconds)}, ${value(row)} to ${value(row + 1)}: ${formatNumber(count)}${share}`;
  }
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

function timeSplits(endSeconds: number, wanted: number): number[] {
  const step = STEPS.find((one) => endSeconds / one <= wanted) ?? endSeconds;
  return Array.from({ length: Math.floor(endSeconds / step) + 1 }, (_, i) => i * step);
}

function drawScale(canvas: HTMLCanvasElement): void {
  const context = canvas.getContext('2d');
  if (context === null) return;
  const ramp = heatRamp();
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = `rgb(${ramp(x / canvas.width).join(' ')})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
