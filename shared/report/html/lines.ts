import { BUCKETS, highestOf, Histogram, middleOf } from '../../stats/index.ts';
import type { ColumnStore } from './column-store.ts';
import { LINE_PERCENTILES, type Heat, type LinePercentile, type TrendLines } from './page-data.ts';
import { spectrumOf } from './spectrum.ts';

/** Columns of a heat map at most: each is some pixels wide. */
const HEAT_COLUMNS_MAX = 240;
/** A row is about 9 % high. */
const ROWS_PER_OCTAVE = 8;

/** Rows of a heat map by bucket of a histogram; what took less than a microsecond is in the lowest row. */
const ROW_OF_BUCKET = Int16Array.from({ length: BUCKETS }, (_, index) =>
  Math.floor(Math.log2(Math.max(1, middleOf(index))) * ROWS_PER_OCTAVE),
);

/** Merges stores into one trend over `columns` columns. `counted`: those of them that are in totals, which the spectrum is of. */
export function trendLines(label: string, drawn: readonly ColumnStore[], counted: readonly ColumnStore[], columns: number): TrendLines {
  const counts: number[] = [];
  const max: (number | null)[] = [];
  const percentiles = { '50': [], '90': [], '99': [], '99.9': [] } as Record<LinePercentile, (number | null)[]>;
  const heat = new HeatMap(columns);
  const merged = new Histogram();
  for (let column = 0; column < columns; column++) {
    merged.reset();
    for (const store of drawn) store.addColumn(column, merged);
    counts.push(merged.count);
    max.push(merged.count === 0 ? null : merged.maxUs);
    const values = percentilesUs(merged, LINE_PERCENTILES.map(Number));
    LINE_PERCENTILES.forEach((name, i) => percentiles[name].push(values[i] ?? null));
    heat.add(column, merged);
  }
  return { label, counts, percentiles, max, heat: heat.result(), spectrum: spectrumOf(mergedTotal(counted, columns)) };
}

export function mergedTotal(stores: readonly ColumnStore[], columns: number): Histogram {
  const total = new Histogram();
  for (const store of stores) for (let column = 0; column < columns; column++) store.addColumn(column, total);
  return total;
}

/** Several percentiles in one pass, ascending, by the rule of `Histogram.percentileUs`. Empty when the histogram is. */
export function percentilesUs(histogram: Histogram, ascending: readonly number[]): number[] {
  const { count, counts, lowIndex, highIndex, maxUs } = histogram;
  if (count === 0) return [];
  const values: number[] = [];
  let seen = 0;
  let index = lowIndex;
  for (const percentile of ascending) {
    const product = (percentile / 100) * count;
    const rank = Math.max(1, Math.ceil(product - product * Number.EPSILON));
    while (index <= highIndex && seen + counts[index]! < rank) seen += counts[index++]!;
    values.push(index > highIndex ? maxUs : Math.min(highestOf(index), maxUs));
  }
  return values;
}

class HeatMap {
  private readonly span: number;
  private readonly columns: Heat['columns'][number][] = [];
  private readonly rows = new Float64Array((ROW_OF_BUCKET.at(-1) ?? 0) + 1);
  private readonly last: number;

  constructor(columns: number) {
    this.span = Math.ceil(columns / HEAT_COLUMNS_MAX);
    this.last = columns - 1;
  }

  /** Takes the columns of the page in order. */
  add(column: number, histogram: Histogram): void {
    for (let index = histogram.lowIndex; index <= histogram.highIndex; index++) {
      const samples = histogram.counts[index]!;
      if (samples > 0) this.rows[ROW_OF_BUCKET[index]!]! += samples;
    }
    if ((column + 1) % this.span === 0 || column === this.last) this.seal();
  }

  result(): Heat {
    return { span: this.span, rowsPerOctave: ROWS_PER_OCTAVE, columns: this.columns };
  }

  private seal(): void {
    const from = this.rows.findIndex((samples) => samples > 0);
    if (from < 0) {
      this.columns.push(null);
      return;
    }
    const to = this.rows.findLastIndex((samples) => samples > 0);
    this.columns.push([from, ...this.rows.subarray(from, to + 1)]);
    this.rows.fill(0);
  }
}
