import { CLEAN_UP_TAGS, seriesKey, type METRICS, type Tags } from '../../stats/index.ts';
import type { Bundle } from '../bundle.ts';
import type { Summary } from '../summary.ts';
import { ColumnStore } from './column-store.ts';

/** One series of the log, condensed into columns. */
export interface ColumnSeries {
  readonly metric: string;
  readonly tags: Tags;
  readonly store: ColumnStore;
}

export interface Columns {
  /** What one column spans: a whole number of intervals. */
  readonly columnUs: number;
  readonly count: number;
  readonly series: readonly ColumnSeries[];
  /** Series past the limit, which are in no chart. */
  readonly leftOut: number;
  /** Lines of the log that are in the columns. */
  readonly lines: number;
}

/** Columns that a chart shows at most: about one for every two pixels. */
const COLUMNS_MAX = 720;
/** Columns of all series together: at some hundred bytes each about 30 MB while condensing, and a page of a few MB. */
const STORED_COLUMNS_MAX = 60_000;
/** With the most series there still are this many columns. */
const COLUMNS_MIN = 120;
const SERIES_DRAWN_MAX = STORED_COLUMNS_MAX / COLUMNS_MIN;
/** Samples that ended long after the measured time (in a long graceful stop) get their own columns up to this factor, then share the last. */
const OVERTIME = 2;

/** Phases of a request: the tables have them, over time they would cost more than they tell. */
const NOT_OVER_TIME: ReadonlySet<string> = new Set([
  'http_req_sending',
  'http_req_waiting',
  'http_req_receiving',
  'http_req_blocked',
  'http_req_connecting',
  'http_req_tls_handshaking',
] satisfies (keyof typeof METRICS)[]);

/** True for a trend that is drawn over time. Clean-up is no load. */
export function isOverTime(metric: string, tags: Tags): boolean {
  return !NOT_OVER_TIME.has(metric) && tags['phase'] !== CLEAN_UP_TAGS.phase;
}

/** Streams the log of a bundle into columns: intervals are merged, histogram by histogram. */
export async function readColumns(bundle: Bundle): Promise<Columns> {
  const columnUs = columnLengthUs(bundle);
  const last = COLUMNS_MAX * OVERTIME - 1;
  const series = new Map<string, ColumnSeries>();
  const leftOut = new Set<string>();
  const isWanted = (metric: string, tags: Tags): boolean => {
    if (!isOverTime(metric, tags)) return false;
    const key = seriesKey(metric, tags);
    if (series.has(key)) return true;
    if (series.size >= SERIES_DRAWN_MAX) {
      leftOut.add(key);
      return false;
    }
    series.set(key, { metric, tags, store: new ColumnStore() });
    return true;
  };
  const byTags = new WeakMap<Tags, ColumnSeries | undefined>();
  let lines = 0;
  for await (const line of bundle.intervals(isWanted)) {
    // Lines of one series share their tags, so a key is made for each series once.
    let found = byTags.get(line.tags);
    if (found === undefined) {
      found = series.get(seriesKey(line.metric, line.tags));
      byTags.set(line.tags, found);
    }
    if (found === undefined) continue;
    found.store.add(Math.min(last, Math.floor(line.startUs / columnUs)), line);
    lines++;
  }
  const count = Math.max(1, Math.ceil(spanUs(bundle.summary) / columnUs), ...[...series.values()].map(({ store }) => store.length));
  return { columnUs, count, series: [...series.values()], leftOut: leftOut.size, lines };
}

function columnLengthUs({ manifest, summary }: Bundle): number {
  const intervalUs = Math.max(1, manifest.intervalMs * 1_000);
  const series = summary.series.filter(({ metric, tags, type }) => type === 'trend' && isOverTime(metric, tags)).length;
  const columns = Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, Math.floor(STORED_COLUMNS_MAX / Math.max(1, series))));
  return intervalUs * Math.max(1, Math.ceil(spanUs(summary) / intervalUs / columns));
}

function spanUs({ run }: Summary): number {
  return run.durationSeconds * 1_000_000;
}
