import { createRequire } from 'node:module';
import type * as Library from 'hdr-histogram-js';
import { BUCKETS, HIGHEST_US, LOWEST_US, SIGNIFICANT_DIGITS } from './hdr-layout.ts';
import type { Histogram } from './histogram.ts';

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

/** Walks a V2 payload without adding it anywhere, and returns the number of samples in it. Throws `RangeError` on all that is not to be added. */
export function countEncoded(payload: Uint8Array): number {
  const end = endOfCounts(payload);
  const lastOfFour = end - 3;
  let at = HEADER_BYTES;
  let index = 0;
  // Apart, so that what is added four bytes at a time stays a small integer.
  let samples = 0;
  let further = 0;
  while (at < end) {
    while (at < lastOfFour) {
      const a = payload[at]!;
      const b = payload[at + 1]!;
      const c = payload[at + 2]!;
      const d = payload[at + 3]!;
      if ((a | b | c | d) >= 0x80) break;
      samples += samplesIn(a) + samplesIn(b) + samplesIn(c) + samplesIn(d);
      index += bucketsIn(a) + bucketsIn(b) + bucketsIn(c) + bucketsIn(d);
      at += 4;
    }
    if (at >= end) break;
    const bytes = varintBytes(payload, at);
    if (at + bytes > end) throw new RangeError('a truncated HDR histogram');
    const value = varint(payload, at, bytes);
    at += bytes;
    if (value % 2 === 0) further += value / 2;
    index += value % 2 === 0 ? 1 : (value + 1) / 2;
    // Also where a payload is all long runs: it must not count past what a number holds exactly.
    if (index > BUCKETS) break;
  }
  if (index > BUCKETS) throw new RangeError('an HDR histogram with too many buckets');
  if (samples + further > Number.MAX_SAFE_INTEGER) throw new RangeError('an HDR histogram with more samples than can be counted exactly');
  return samples + further;
}

/** Adds the buckets of a V2 payload into `into`; the caller adds the exact totals. Returns the number of samples added.
 *  Throws `RangeError` on anything but our own configuration, and then nothing was added: a merge must be exact or not be.
 *
 *  This is most of what merging costs. Small counts alternate with short runs of zeros without a pattern, so a branch on which of the two a
 *  byte is would be guessed wrongly every other time: the walk does arithmetic instead, four bytes a turn, which halves its cost. And it
 *  adds what it has not read to its end yet, because a look before would cost as much again (`npm run bench:merge`): what turns out to be
 *  wrong is taken back, exactly as long as no bucket comes near 2^53. */
export function addEncoded(payload: Uint8Array, into: Histogram): number {
  const end = endOfCounts(payload);
  const lastOfFour = end - 3;
  let at = HEADER_BYTES;
  let index = 0;
  let first = 0;
  // Apart, so that what is added four bytes at a time stays a small integer.
  let samples = 0;
  let further = 0;
  let { counts } = into;
  while (at < end) {
    const lastIndex = counts.length - BUCKETS_IN_FOUR;
    while (at < lastOfFour && index < lastIndex) {
      const a = payload[at]!;
      const b = payload[at + 1]!;
      const c = payload[at + 2]!;
      const d = payload[at + 3]!;
      if ((a | b | c | d) >= 0x80) break;
      const inA = samplesIn(a);
      const inB = samplesIn(b);
      const inC = samplesIn(c);
      const inD = samplesIn(d);
      counts[index]! += inA;
      index += bucketsIn(a);
      counts[index]! += inB;
      index += bucketsIn(b);
      counts[index]! += inC;
      index += bucketsIn(c);
      counts[index]! += inD;
      index += bucketsIn(d);
      samples += inA + inB + inC + inD;
      at += 4;
    }
    if (at >= end) break;
    const bytes = varintBytes(payload, at);
    if (at + bytes > end) takeBackAndThrow('a truncated HDR histogram', payload, at, into);
    const value = varint(payload, at, bytes);
    const isRun = value % 2 === 1;
    const buckets = isRun ? (value + 1) / 2 : 1;
    if (index + buckets > BUCKETS) takeBackAndThrow('an HDR histogram with too many buckets', payload, at, into);
    if (isRun) {
      if (at === HEADER_BYTES) first = buckets;
    } else if (value > 0) {
      counts = into.room(index);
      further += value / 2;
      if (further + samples > Number.MAX_SAFE_INTEGER)
        takeBackAndThrow('an HDR histogram with more samples than can be counted exactly', payload, at, into);
      counts[index]! += value / 2;
    }
    index += buckets;
    at += bytes;
  }
  if (samples + further > Number.MAX_SAFE_INTEGER)
    takeBackAndThrow('an HDR histogram with more samples than can be counted exactly', payload, end, into);
  into.noteBuckets(first, index);
  return samples + further;
}

/** Takes back what `addEncoded` has added of a payload, whose other buckets stay. */
export function takeEncoded(payload: Uint8Array, from: Histogram): void {
  takeBack(payload, endOfCounts(payload), from.counts);
}

function takeBackAndThrow(reason: string, payload: Uint8Array, until: number, from: Histogram): never {
  takeBack(payload, until, from.counts);
  throw new RangeError(reason);
}

function takeBack(payload: Uint8Array, until: number, counts: Float64Array): void {
  let index = 0;
  for (let at = HEADER_BYTES; at < until;) {
    const bytes = varintBytes(payload, at);
    const value = varint(payload, at, bytes);
    if (value % 2 === 0 && value > 0) counts[index]! -= value / 2;
    index += value % 2 === 0 ? 1 : (value + 1) / 2;
    at += bytes;
  }
}

/** Samples that a byte below 0x80 stands for: none when it is a run of zeros. */
function samplesIn(byte: number): number {
  return (byte >> 1) & ((byte & 1) - 1);
}

/** Buckets that a byte below 0x80 stands for: one, or a run of empty ones. */
function bucketsIn(byte: number): number {
  return 1 + ((byte >> 1) & -(byte & 1));
}

/** The most buckets that four bytes below 0x80 can stand for. */
const BUCKETS_IN_FOUR = 4 * 64;

/** Length of the LEB128 number at `at`, which may reach past the end of the payload. */
function varintBytes(payload: Uint8Array, at: number): number {
  let bytes = 1;
  while (bytes < COUNT_BYTES_MAX && payload[at + bytes - 1]! >= 0x80) bytes++;
  return bytes;
}

function varint(payload: Uint8Array, at: number, bytes: number): number {
  let value = 0;
  let scale = 1;
  for (let taken = 1; taken <= bytes; taken++) {
    const byte = payload[at + taken - 1]!;
    value += (taken === COUNT_BYTES_MAX ? byte : byte & 0x7f) * scale;
    scale *= 0x80;
  }
  return value;
}

/** Where the counts end, after checking that the head is that of our own configuration. */
function endOfCounts(payload: Uint8Array): number {
  if (payload.byteLength < HEADER_BYTES || readInt32(payload, 0) !== V2_COOKIE) throw new RangeError('not an HDR V2 histogram');
  if (!isOurs(payload)) throw new RangeError('an HDR histogram of another configuration (expected 1 µs to 1 hour at 3 digits)');
  const length = readInt32(payload, 4);
  if (length < 0 || HEADER_BYTES + length > payload.byteLength) throw new RangeError('a truncated HDR histogram');
  return HEADER_BYTES + length;
}

/** True when the head of a V2 payload is that of our own configuration. */
export function isOurs(payload: Uint8Array): boolean {
  return (
    payload.byteLength >= HEADER_BYTES &&
    readInt32(payload, 8) === 0 &&
    readInt32(payload, 12) === SIGNIFICANT_DIGITS &&
    readInt32(payload, 16) === 0 &&
    readInt32(payload, 20) === LOWEST_US &&
    readInt32(payload, 24) === 0 &&
    readInt32(payload, 28) >>> 0 === HIGHEST_US
  );
}

/** Big-endian, as all of a head is. A `DataView` would have to be made for every payload. */
function readInt32(payload: Uint8Array, at: number): number {
  return (payload[at]! << 24) | (payload[at + 1]! << 16) | (payload[at + 2]! << 8) | payload[at + 3]!;
}

const requireHere = createRequire(import.meta.url);

/** Decodes log text of any configuration with the library, which trusts the head: check that first. Throws `RangeError`.
 *  The library is loaded here and not before: every process has this module, and few ever read another tool's histogram. */
export function decodeForeign(text: string): RecordedValues {
  const { decodeFromCompressedBase64 } = requireHere('hdr-histogram-js') as typeof Library;
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
