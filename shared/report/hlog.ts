import { AppError, reasonOf } from '../base/index.ts';
import { addLogText, fromLogText, HIGHEST_US, indexOf, toLogText, type Histogram, type LogUnit, type Tags } from '../stats/index.ts';

/** One series in one interval. */
export interface SeriesInterval {
  readonly metric: string;
  readonly tags: Tags;
  /** From the start of the run. */
  readonly startUs: number;
  readonly lengthUs: number;
  readonly histogram: Histogram;
}

/** The same as a line of an HdrHistogram log keeps it. Decoding the histogram is nearly all that a line costs, so it waits until it is
 *  asked for, and throws `BUNDLE_INVALID` with the line number when it cannot be. */
export interface HlogLine extends SeriesInterval {
  /** As the line has it beside the histogram: exact where the log is ours. */
  readonly maxUs: number;
  /** Adds the buckets alone into `into`, without making a histogram of the line. Returns the number of samples added. */
  addTo(into: Histogram): number;
}

/** The head of an HdrHistogram log, version 1.3. Values are whole microseconds, the column of maxima is milliseconds. */
export function formatHlogHead(startedAtUs: number): string {
  const seconds = (startedAtUs / 1_000_000).toFixed(3);
  return (
    '#[Muster: values in microseconds, Interval_Max in milliseconds]\n' +
    '#[Histogram log format version 1.3]\n' +
    `#[StartTime: ${seconds} (seconds since epoch), ${new Date(startedAtUs / 1_000).toISOString()}]\n` +
    `#[BaseTime: ${seconds} (seconds since epoch)]\n` +
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
  );
}

export function formatHlogLine({ metric, tags, startUs, lengthUs, histogram }: SeriesInterval): string {
  const start = (startUs / 1_000_000).toFixed(6);
  const length = (lengthUs / 1_000_000).toFixed(6);
  const max = (histogram.maxUs / 1_000).toFixed(3);
  return `Tag=${formatTag(metric, tags)},${start},${length},${max},${toLogText(histogram)}\n`;
}

/** The metric of lines without a tag, as most tools write them. */
export const UNTAGGED = 'latency';

/** Says of a series whether its lines are to be read. */
export type SeriesFilter = (metric: string, tags: Tags) => boolean;

/** Reads the lines of a log, ours or another tool's (whose tag is then the metric). Throws `BUNDLE_INVALID` with the line number.
 *  Minimum and sum are those of the buckets; the maximum is exact where the log kept it in our unit. Lines of series that are not wanted
 *  are passed over. */
export async function* parseHlog(
  lines: AsyncIterable<string> | Iterable<string>,
  where = 'intervals.hlog',
  unit: LogUnit = {},
  isWanted: SeriesFilter = () => true,
): AsyncGenerator<HlogLine> {
  const times = new LogTimes();
  const tags = new TagReader(isWanted);
  for await (const { number, fields, tag } of hlogFields(lines, where, times)) {
    try {
      const { startUs, lengthUs } = times.of(fields);
      const series = tags.parse(tag);
      if (series === 'not wanted') continue;
      const [, , max, text = ''] = fields;
      const maxUs = microseconds(max, 1_000, 'a maximum');
      yield new ReadLine(series, { startUs, lengthUs, maxUs }, text, unit, { where, number });
    } catch (cause) {
      throw invalidLine({ where, number }, cause);
    }
  }
}

interface Place {
  readonly where: string;
  readonly number: number;
}

class ReadLine implements HlogLine {
  readonly metric: string;
  readonly tags: Tags;
  readonly startUs: number;
  readonly lengthUs: number;
  readonly maxUs: number;
  private readonly text: string;
  private readonly unit: LogUnit;
  private readonly place: Place;
  private decoded: Histogram | undefined;

  constructor(
    { metric, tags }: { readonly metric: string; readonly tags: Tags },
    { startUs, lengthUs, maxUs }: { readonly startUs: number; readonly lengthUs: number; readonly maxUs: number },
    text: string,
    unit: LogUnit,
    place: Place,
  ) {
    this.metric = metric;
    this.tags = tags;
    this.startUs = startUs;
    this.lengthUs = lengthUs;
    this.maxUs = maxUs;
    this.text = text;
    this.unit = unit;
    this.place = place;
  }

  get histogram(): Histogram {
    this.decoded ??= this.decode();
    return this.decoded;
  }

  addTo(into: Histogram): number {
    try {
      return addLogText(this.text, into);
    } catch (cause) {
      throw invalidLine(this.place, cause);
    }
  }

  private decode(): Histogram {
    const { text, unit, maxUs } = this;
    try {
      const histogram = fromLogText(text, unit, bucketsUpTo(maxUs));
      // Buckets widen the maximum by up to 1 in 1024. The column has it exactly, in our unit at least: then it lies in the top bucket.
      if (maxUs <= HIGHEST_US && indexOf(maxUs) === histogram.highIndex) histogram.maxUs = maxUs;
      return histogram;
    } catch (cause) {
      throw invalidLine(this.place, cause);
    }
  }
}

/** Room beyond the highest bucket: a decoder that has it need not look for the end at every step. */
const ROOM_BUCKETS = 256;

/** Buckets of a histogram with this maximum. */
export function bucketsUpTo(maxUs: number): number {
  return indexOf(Math.min(maxUs, HIGHEST_US)) + ROOM_BUCKETS;
}

function invalidLine({ where, number }: Place, cause: unknown): AppError {
  return cause instanceof AppError ? cause : new AppError('BUNDLE_INVALID', `${where}: line ${number}: ${reasonOf(cause)}`, { cause });
}

/** What a log holds, read without its histograms. */
export interface HlogOutline {
  /** Epoch microseconds; `undefined` when the log does not say. */
  readonly startedAtUs: number | undefined;
  /** Of the first line; 0 when there is none. */
  readonly lengthUs: number;
  readonly lines: number;
  /** Names of metrics: tags without their `{…}`. */
  readonly metrics: ReadonlySet<string>;
}

/** Metrics that are told of one log; its further ones are read all the same. */
const OUTLINED_METRICS_MAX = 10_000;

/** Reads a whole log but for its histograms. Throws `BUNDLE_INVALID` with the line number. */
export async function outlineHlog(lines: AsyncIterable<string> | Iterable<string>, where: string): Promise<HlogOutline> {
  const times = new LogTimes();
  const metrics = new Set<string>();
  let count = 0;
  let firstLengthUs = 0;
  for await (const { number, fields, tag } of hlogFields(lines, where, times)) {
    try {
      const { lengthUs } = times.of(fields);
      if (count++ === 0) firstLengthUs = lengthUs;
      if (metrics.size < OUTLINED_METRICS_MAX) metrics.add(parseTag(tag).metric);
    } catch (cause) {
      throw invalidLine({ where, number }, cause);
    }
  }
  return { startedAtUs: times.startedAtUs, lengthUs: firstLengthUs, lines: count, metrics };
}

/** The lines with a histogram, cut at their commas, without the tag. */
async function* hlogFields(
  lines: AsyncIterable<string> | Iterable<string>,
  where: string,
  times: LogTimes,
): AsyncGenerator<{ readonly number: number; readonly fields: readonly string[]; readonly tag: string }> {
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.startsWith('#')) times.comment(line);
    if (line === '' || line.startsWith('#') || line.startsWith('"StartTimestamp"')) continue;
    const fields = line.split(',');
    const tag = fields[0]?.startsWith('Tag=') === true ? (fields.shift() ?? '').slice('Tag='.length) : '';
    if (fields.length !== 4) {
      throw new AppError(
        'BUNDLE_INVALID',
        `${where}: line ${number}: expected start, length, max and histogram, got ${fields.length} fields`,
      );
    }
    yield { number, fields, tag };
  }
}

/** Timestamps this far before the start of the log cannot be absolute ones: HdrHistogram's own reader tells them apart so. */
const A_YEAR_S = 365 * 24 * 3_600;

/** Makes times of a log relative to its start, whichever of the ways of HdrHistogram's log format it writes them in: relative to a
 *  `BaseTime`, to the `StartTime`, or absolute. */
class LogTimes {
  private startS: number | undefined;
  private baseS: number | undefined;
  private hasStart = false;

  get startedAtUs(): number | undefined {
    return this.hasStart && this.startS !== undefined ? Math.round(this.startS * 1_000_000) : undefined;
  }

  comment(line: string): void {
    const [, name, seconds] = /^#\[(StartTime|BaseTime): (\d+(?:\.\d+)?)/.exec(line) ?? [];
    if (name === 'StartTime') {
      this.startS = Number(seconds);
      this.hasStart = true;
    } else if (name === 'BaseTime') this.baseS = Number(seconds);
  }

  of([start, length]: readonly string[]): { readonly startUs: number; readonly lengthUs: number } {
    const stampUs = microseconds(start, 1_000_000, 'a start in seconds');
    const lengthUs = microseconds(length, 1_000_000, 'a length in seconds');
    this.startS ??= stampUs / 1_000_000;
    this.baseS ??= stampUs / 1_000_000 < this.startS - A_YEAR_S ? this.startS : 0;
    // First the two large numbers, which are mostly equal: microseconds of an epoch would lose their last digits otherwise.
    const shiftUs = Math.round((this.baseS - this.startS) * 1_000_000);
    return { startUs: Math.max(0, stampUs + shiftUs), lengthUs };
  }
}

/** `metric{name=value;name=value}`. A tag of the log ends at a comma and a line at a line break, so names and values are
 *  percent-encoded, which leaves none of the characters that hold the form together. */
export function formatTag(metric: string, tags: Tags): string {
  const names = Object.keys(tags).sort();
  if (names.length === 0) return encode(metric);
  return `${encode(metric)}{${names.map((name) => `${encode(name)}=${encode(tags[name] ?? '')}`).join(';')}}`;
}

const TAGGED = /^([^{}]*)\{([^{}]*)\}$/;

export function parseTag(text: string): { readonly metric: string; readonly tags: Tags } {
  if (text === '') return { metric: UNTAGGED, tags: {} };
  const match = TAGGED.exec(text);
  if (match === null) return { metric: decode(text), tags: {} };
  const pairs = (match[2] ?? '').split(';').map((pair) => {
    const equals = pair.indexOf('=');
    if (equals < 0) throw new RangeError(`expected name=value in the tag, got "${pair}"`);
    return [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))] as const;
  });
  return { metric: decode(match[1] ?? ''), tags: Object.fromEntries(pairs) };
}

/** Distinct tags remembered; a log of another tool may have one per line. */
const TAGS_REMEMBERED_MAX = 10_000;

type ReadTag = { readonly metric: string; readonly tags: Tags } | 'not wanted';

/** Parses each tag once: a log repeats them with every interval. */
class TagReader {
  private readonly isWanted: SeriesFilter;
  private readonly read = new Map<string, ReadTag>();

  constructor(isWanted: SeriesFilter) {
    this.isWanted = isWanted;
  }

  parse(text: string): ReadTag {
    const known = this.read.get(text);
    if (known !== undefined) return known;
    if (this.read.size >= TAGS_REMEMBERED_MAX) this.read.clear();
    const { metric, tags } = parseTag(text);
    const parsed = this.isWanted(metric, tags) ? { metric, tags } : 'not wanted';
    this.read.set(text, parsed);
    return parsed;
  }
}

function microseconds(text: string | undefined, unitUs: number, expected: string): number {
  const value = Number(text);
  if (text === undefined || text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new RangeError(`expected ${expected}, got "${text ?? ''}"`);
  }
  return Math.round(value * unitUs);
}

/** Half of a surrogate pair cannot be encoded, so it becomes U+FFFD on the way through UTF-8. */
function encode(text: string): string {
  const wellFormed = /[\uD800-\uDFFF]/.test(text) ? Buffer.from(text, 'utf8').toString('utf8') : text;
  return encodeURIComponent(wellFormed);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Another tool's tag may hold a bare percent sign; then it stands for itself.
    return text;
  }
}
