import { addEncoded, encodeHistogram, Histogram, HIGHEST_US, highestOf, indexOf } from '../../stats/index.ts';
import type { HlogLine } from '../hlog.ts';

/** Lines that wait to be added to a column. Those of fifty series come in turns, and a histogram is larger than what a processor keeps at
 *  hand for each of them: one after the other costs four times as much as many at once. */
const WAITING_MAX = 32;

/** The histograms of one series, column by column along the run. Columns are kept encoded, some hundred bytes each, and only the one being
 *  filled is open, so memory is bounded by columns however many intervals there are; lines may come in any order.
 *  Law: a column equals all its intervals merged, bucket for bucket. */
export class ColumnStore {
  private readonly sealed: (Uint8Array | undefined)[] = [];
  private readonly maximaUs: number[] = [];
  private readonly open = new Histogram();
  private openColumn = -1;
  /** Of the open column. */
  private readonly waiting: LineOfColumn[] = [];

  /** A line that cannot be decoded throws when it is added up: here, or where the column is read. */
  add(column: number, line: LineOfColumn): void {
    if (column !== this.openColumn) this.reopen(column);
    this.waiting.push(line);
    if (this.waiting.length >= WAITING_MAX) this.addWaiting(column);
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
    if (this.openColumn >= 0) this.seal(this.openColumn);
    this.open.reset();
    this.openColumn = column;
    const bytes = this.sealed[column];
    if (bytes !== undefined) addEncoded(bytes, this.open);
  }

  private seal(column: number): void {
    this.addWaiting(column);
    this.sealed[column] = encodeHistogram(this.open);
    // In another unit than ours, a log's maxima mean nothing: then the top of the highest bucket is what is known.
    const { highIndex } = this.open;
    const maxUs = this.maximaUs[column] ?? 0;
    const isOfTopBucket = maxUs <= HIGHEST_US && indexOf(maxUs) === highIndex;
    if (highIndex >= 0 && !isOfTopBucket) this.maximaUs[column] = Math.min(highestOf(highIndex), HIGHEST_US);
  }

  private addWaiting(column: number): void {
    for (const line of this.waiting) {
      line.addTo(this.open);
      this.maximaUs[column] = Math.max(this.maximaUs[column] ?? 0, line.maxUs);
    }
    this.waiting.length = 0;
  }
}

type LineOfColumn = Pick<HlogLine, 'addTo' | 'maxUs'>;
