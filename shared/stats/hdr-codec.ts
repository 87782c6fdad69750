import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { BUCKETS, HIGHEST_US, LOWEST_US, SIGNIFICANT_DIGITS } from './hdr-layout.ts';
import { BucketList, type Histogram } from './histogram.ts';

/** HdrHistogram's V2 wire format: 40 bytes of configuration, then the counts as ZigZag LEB128, runs of zeros as negative numbers. */
export const V2_COOKIE = 0x1c849313;
export const HEADER_BYTES = 40;
/** A count takes at most 9 bytes, and a bucket is either a count or part of a run that takes fewer. */
export const COUNT_BYTES_MAX = 9;

let scratch = Buffer.allocUnsafe(64 * 1024);

/** The buckets in the uncompressed V2 format. Count, sum, min and max travel beside it: the format does not keep them exactly. */
export function encodeHistogram(histogram: Histogram): Uint8Array<ArrayBuffer> {
  const most = HEADER_BYTES + COUNT_BYTES_MAX * (Math.max(0, histogram.highIndex - histogram.lowIndex + 1) + 1);
  if (scratch.length < most) scratch = Buffer.allocUnsafe(most);
  const out = scratch;
  let at = HEADER_BYTES;
  let zeros = histogram.highIndex < 0 ? 0 : histogram.lowIndex;
  for (let index = histogram.lowIndex; index <= histogram.highIndex; index++) {
    const samples = histogram.counts[index]!;
    if (samples === 0) {
      zeros++;
      continue;
    }
    if (zeros > 0) {
      // One zero is written as the count 0, a longer run as its negated length, as the reference implementation does.
      at = zeros === 1 ? putVarint(out, at, 0) : putVarint(out, at, zeros * 2 - 1);
      zeros = 0;
    }
    at = putVarint(out, at, samples * 2);
  }
  out.writeInt32BE(V2_COOKIE, 0);
  out.writeInt32BE(at - HEADER_BYTES, 4);
  out.writeInt32BE(0, 8);
  out.writeInt32BE(SIGNIFICANT_DIGITS, 12);
  out.writeInt32BE(0, 16);
  out.writeInt32BE(LOWEST_US, 20);
  out.writeUInt32BE(Math.floor(HIGHEST_US / 0x1_0000_0000), 24);
  out.writeUInt32BE(HIGHEST_US % 0x1_0000_0000, 28);
  out.writeDoubleBE(1, 32);
  return Uint8Array.from(out.subarray(0, at));
}

/** Adds the buckets of a V2 payload into `into`; the caller adds the exact totals. Returns the number of samples added.
 *  Throws `RangeError` on anything but our own configuration, and then nothing was added: a merge must be exact or not be. */
export function addEncoded(payload: Uint8Array, into: Histogram): number {
  decoded.clear();
  const samples = decodeBuckets(payload, decoded);
  into.addBuckets(decoded, 0, decoded.length);
  return samples;
}

const decoded = new BucketList();

/** Appends the non-empty buckets of a V2 payload to `list`, in ascending order, and returns the number of samples in them.
 *  Throws `RangeError` as `addEncoded` does; what it appended until then is to be thrown away. */
export function decodeBuckets(payload: Uint8Array, list: BucketList): number {
  const end = endOfCounts(payload);
  let at = HEADER_BYTES;
  let index = 0;
  let added = 0;
  while (at < end) {
    let value = payload[at++]!;
    if (value >= 0x80) {
      value -= 0x80;
      let scale = 0x80;
      let byte = 0x80;
      for (let more = 1; byte >= 0x80 && more < COUNT_BYTES_MAX; more++) {
        if (at >= end) throw new RangeError('a truncated HDR histogram');
        byte = payload[at++]!;
        value += (more === COUNT_BYTES_MAX - 1 ? byte : byte & 0x7f) * scale;
        scale *= 0x80;
      }
    }
    if (value % 2 === 1) {
      index += (value + 1) / 2;
      if (index > BUCKETS) throw new RangeError('an HDR histogram with too many buckets');
      continue;
    }
    if (index >= BUCKETS) throw new RangeError('an HDR histogram with too many buckets');
    if (value > 0) {
      list.push(index, value / 2);
      added += value / 2;
    }
    index++;
  }
  if (added > Number.MAX_SAFE_INTEGER) throw new RangeError('an HDR histogram with more samples than can be counted exactly');
  return added;
}

/** Where the counts end, after checking that the head is that of our own configuration. */
function endOfCounts(payload: Uint8Array): number {
  if (payload.byteLength < HEADER_BYTES) throw new RangeError('not an HDR V2 histogram');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.getInt32(0) !== V2_COOKIE) throw new RangeError('not an HDR V2 histogram');
  if (!isOurs(payload)) throw new RangeError('an HDR histogram of another configuration (expected 1 µs to 1 hour at 3 digits)');
  const length = view.getInt32(4);
  if (length < 0 || HEADER_BYTES + length > payload.byteLength) throw new RangeError('a truncated HDR histogram');
  return HEADER_BYTES + length;
}

/** True when the head of a V2 payload is that of our own configuration. */
export function isOurs(payload: Uint8Array): boolean {
  if (payload.byteLength < HEADER_BYTES) return false;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return (
    view.getInt32(8) === 0 &&
    view.getInt32(12) === SIGNIFICANT_DIGITS &&
    view.getInt32(16) === 0 &&
    view.getInt32(20) === LOWEST_US &&
    view.getInt32(24) === 0 &&
    view.getUint32(28) === HIGHEST_US
  );
}

/** Decodes log text of any configuration with the library, which trusts the head: check that first. Throws `RangeError`. */
export function decodeForeign(text: string): RecordedValues {
  try {
    // The decoder's 32-bit buckets would wrap counts above 2^31; 64 keeps them.
    return decodeFromCompressedBase64(text, 64, false) as unknown as RecordedValues;
  } catch (cause) {
    throw new RangeError('an HDR histogram that cannot be decoded', { cause });
  }
}

/** What we need of the library's histogram; its public type hides the counts. */
export interface RecordedValues {
  readonly countsArrayLength: number;
  getCountAtIndex(index: number): number;
  valueFromIndex(index: number): number;
  medianEquivalentValue(value: number): number;
}

function putVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  let next = at;
  for (let written = 1; rest >= 0x80 && written < COUNT_BYTES_MAX; written++) {
    out[next++] = (rest % 0x80) + 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[next++] = rest;
  return next;
}
