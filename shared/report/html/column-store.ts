import { addEncoded, encodeHistogram, Histogram } from '../../stats/index.ts';

/** The histograms of one series, column by column along the run. Columns are kept encoded, some hundred bytes each, and only the one being
 *  filled is open, so memory is bounded by columns however many intervals there are; lines may come in any order.
 *  Law: a column equals all its intervals merged, bucket for bucket. */
export class ColumnStore {
  private readonly sealed: (Uint8Array | undefined)[] = [];
  private readonly maximaUs: number[] = [];
  private readonly open = new Histogram();
  private openColumn = -1;

  add(column: number, histogram: Histogram): void {
    if (column !== this.openColumn) this.reopen(column);
    this.open.add(histogram);
    this.maximaUs[column] = Math.max(this.maximaUs[column] ?? 0, histogram.maxUs);
  }

  /** Adds a column into `into`. The count is that of the buckets. */
  addColumn(column: number, into: Histogram): void {
    if (this.openColumn >= 0) this.reopen(-1);
    const bytes = this.sealed[column];
    if (bytes === undefined) return;
    const count = addEncoded(bytes, into);
    const maxUs = this.maximaUs[column] ?? 0;
    into.addTotals({ count, sumUs: 0, minUs: Infinity, maxUs, overflow: 0 });
  }

  /** The columns reach up to here, exclusive. */
  get length(): number {
    return Math.max(this.sealed.length, this.openColumn + 1);
  }

  private reopen(column: number): void {
    if (this.openColumn >= 0) this.sealed[this.openColumn] = encodeHistogram(this.open);
    this.open.reset();
    this.openColumn = column;
    const bytes = this.sealed[column];
    if (bytes !== undefined) addEncoded(bytes, this.open);
  }
}
