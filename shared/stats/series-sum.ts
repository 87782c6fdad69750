import { addLater, emptyValue, seriesKey, type Series, type Tags } from './series.ts';

/** Adds up the series of intervals, in the order of time, into totals of a run.
 *  Law: the same intervals give the same totals as the rollup that closed them. */
export class SeriesSum {
  private readonly byKey = new Map<string, Series>();
  /** Readers hand out the same tags for the same series, so a key is built once for each. */
  private readonly byTags = new WeakMap<Tags, Map<string, Series>>();

  add(series: Iterable<Series>): void {
    for (const one of series) addLater(this.total(one).value, one.value);
  }

  /** Has these series too, empty where nothing was added to them. */
  declare(series: Iterable<Series>): void {
    for (const one of series) this.total(one);
  }

  /** Totals so far, in the order in which series came up. They are the sum's own: later adds change them. */
  series(): Series[] {
    return [...this.byKey.values()];
  }

  private total({ metric, tags, value }: Series): Series {
    let ofTags = this.byTags.get(tags);
    if (ofTags === undefined) {
      ofTags = new Map();
      this.byTags.set(tags, ofTags);
    }
    let total = ofTags.get(metric);
    if (total === undefined) {
      const key = seriesKey(metric, tags);
      total = this.byKey.get(key) ?? { metric, tags, value: emptyValue(value.kind) };
      this.byKey.set(key, total);
      ofTags.set(metric, total);
    }
    return total;
  }
}
