import { constants, deflateSync, inflateSync } from 'node:zlib';
import { addEncoded, COUNT_BYTES_MAX, decodeForeign, encodeHistogram, HEADER_BYTES, isOurs, V2_COOKIE } from './hdr-codec.ts';
import { HIGHEST_US, highestOf, indexOf, LOWEST_US, lowestOf, middleOf, SIGNIFICANT_DIGITS } from './hdr-layout.ts';
import { Histogram } from './histogram.ts';

const V2_COMPRESSED_COOKIE = 0x1c849314;

/** Counts repeat, longer patterns are rare: repeats alone are looked for, which is quicker and makes hardly more bytes. */
const DEFLATE = { level: 1, strategy: constants.Z_RLE };

/** The form of a histogram in an HdrHistogram log: V2, deflated, base64. */
export function toLogText(histogram: Histogram): string {
  const deflated = deflateSync(encodeHistogram(histogram), DEFLATE);
  const head = Buffer.allocUnsafe(8);
  head.writeInt32BE(V2_COMPRESSED_COOKIE, 0);
  head.writeInt32BE(deflated.length, 4);
  return Buffer.concat([head, deflated]).toString('base64');
}

/** A decoded histogram of another configuration may have this many buckets: 5 digits over 63 bits take 7.3 million. */
const FOREIGN_BUCKETS_MAX = 8_000_000;
/** What one line of a log may inflate to: `FOREIGN_BUCKETS_MAX` counts of the longest form. */
const INFLATED_BYTES_MAX = HEADER_BYTES + FOREIGN_BUCKETS_MAX * COUNT_BYTES_MAX;

export interface LogUnit {
  /** What one unit of the log means in microseconds; 1 for ours. */
  readonly unitUs?: number;
  /** Refuse buckets that are not ours: samples would move when they are put into those. */
  readonly mustBeExact?: boolean;
}

/** Reads a histogram of an HdrHistogram log, ours or another tool's. The log keeps buckets only, so minimum, maximum and sum are those
 *  of the buckets: lowest, highest and middle values. `buckets`: how far it is known to reach. Throws `RangeError` on what is no histogram. */
export function fromLogText(text: string, unit: LogUnit = {}, buckets?: number): Histogram {
  const payload = inflateLogText(text);
  if (!isOurUnit(unit) || !isOurs(payload)) return fromForeign(text, payload, unit);
  const histogram = new Histogram(buckets);
  addBucketTotals(histogram, addEncoded(payload, histogram));
  return histogram;
}

/** Adds the buckets of a log's histogram into `into`, and no count, sum or extremes: who adds up many lines need not make a histogram of
 *  each, which is most of what one costs. Returns the number of samples added. Throws `RangeError` on what is no histogram. */
export function addLogText(text: string, into: Histogram): number {
  const payload = inflateLogText(text);
  if (isOurs(payload)) return addEncoded(payload, into);
  const histogram = fromForeign(text, payload, {});
  for (const { index, samples } of histogram.buckets()) into.addToBucket(index, samples);
  return histogram.count - histogram.overflow;
}

function isOurUnit({ unitUs = 1 }: LogUnit): boolean {
  return unitUs === 1;
}

function inflateLogText(text: string): Uint8Array {
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length < 8 || bytes.readInt32BE(0) !== V2_COMPRESSED_COOKIE) throw new RangeError('not a compressed HDR V2 histogram');
  const length = bytes.readInt32BE(4);
  if (length < 0 || 8 + length > bytes.length) throw new RangeError('a truncated HDR histogram');
  try {
    return inflateSync(bytes.subarray(8, 8 + length), { maxOutputLength: INFLATED_BYTES_MAX });
  } catch (cause) {
    throw new RangeError('a compressed HDR histogram that does not inflate', { cause });
  }
}

/** Totals as far as buckets tell them. */
function addBucketTotals(histogram: Histogram, count: number): void {
  if (count === 0) return;
  const { counts, lowIndex, highIndex } = histogram;
  let sumUs = 0;
  for (let index = lowIndex; index <= highIndex; index++) {
    const samples = counts[index]!;
    if (samples > 0) sumUs += samples * middleOf(index);
  }
  const maxUs = Math.min(highestOf(histogram.highIndex), HIGHEST_US);
  histogram.addTotals({ count, sumUs, minUs: lowestOf(histogram.lowIndex), maxUs, overflow: 0 });
}

/** Another tool's configuration: every bucket goes into the one of ours that its middle lies in. Of the same digits and unit that is the
 *  same bucket, however high the other reaches. The library trusts the numbers in the head, so they are checked before. */
function fromForeign(text: string, payload: Uint8Array, unit: LogUnit): Histogram {
  checkForeign(payload);
  const { unitUs = 1, mustBeExact = false } = unit;
  if (mustBeExact && !(isOurUnit(unit) && hasOurBuckets(payload))) {
    throw new RangeError(`buckets other than those of ${SIGNIFICANT_DIGITS} digits from ${LOWEST_US} µs: adding them would not be exact`);
  }
  const histogram = new Histogram();
  const recorded = decodeForeign(text);
  for (let index = 0; index < recorded.countsArrayLength; index++) {
    const samples = recorded.getCountAtIndex(index);
    if (samples <= 0) continue;
    const lowest = recorded.valueFromIndex(index);
    const middleUs = Math.round(recorded.medianEquivalentValue(lowest) * unitUs);
    const isInRange = middleUs <= HIGHEST_US;
    if (isInRange) histogram.addToBucket(indexOf(middleUs), samples);
    const minUs = Math.round(lowest * unitUs);
    const maxUs = Math.max(minUs, Math.round((recorded.valueFromIndex(index + 1) - 1) * unitUs));
    histogram.addTotals({ count: samples, sumUs: middleUs * samples, minUs, maxUs, overflow: isInRange ? 0 : samples });
  }
  return histogram;
}

/** 3 digits, from 1 µs: then only the highest value can differ, which moves no bucket. */
function hasOurBuckets(payload: Uint8Array): boolean {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return view.getInt32(12) === SIGNIFICANT_DIGITS && view.getBigInt64(16) === BigInt(LOWEST_US);
}

function checkForeign(payload: Uint8Array): void {
  if (payload.byteLength < HEADER_BYTES) throw new RangeError('not an HDR V2 histogram');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const digits = view.getInt32(12);
  const lowest = Number(view.getBigInt64(16));
  const highest = Number(view.getBigInt64(24));
  const length = view.getInt32(4);
  const offset = view.getInt32(8);
  if (view.getInt32(0) !== V2_COOKIE) throw new RangeError('not an HDR V2 histogram');
  // hdr-histogram-js writes a 1 here and means nothing by it. The reference implementation shifts by whole octaves, which nobody else reads.
  if (offset !== 0 && offset !== 1) throw new RangeError('an HDR histogram whose values were shifted');
  if (digits < 0 || digits > 5 || lowest < 1 || highest < 2 * lowest)
    throw new RangeError('an HDR histogram of an impossible configuration');
  if (length < 0 || HEADER_BYTES + length > payload.byteLength) throw new RangeError('a truncated HDR histogram');
  // A run of zeros takes few bytes and names as many buckets as it likes: the library would walk them all.
  let buckets = 0;
  for (const value of varints(payload.subarray(HEADER_BYTES, HEADER_BYTES + length))) {
    buckets += value % 2 === 1 ? (value + 1) / 2 : 1;
    if (buckets > FOREIGN_BUCKETS_MAX) throw new RangeError('an HDR histogram with too many buckets');
  }
}

function* varints(bytes: Uint8Array): Generator<number> {
  let at = 0;
  while (at < bytes.length) {
    let value = 0;
    let scale = 1;
    for (let taken = 1; ; taken++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError('a truncated HDR histogram');
      value += (taken === COUNT_BYTES_MAX ? byte : byte & 0x7f) * scale;
      if (byte < 0x80 || taken === COUNT_BYTES_MAX) break;
      scale *= 0x80;
    }
    yield value;
  }
}
