import fc from 'fast-check';
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { describe, expect, test } from 'vitest';
import {
  addEncoded,
  countEncoded,
  encodeHistogram,
  fromLogText,
  HIGHEST_US,
  Histogram,
  takeEncoded,
  toLogText,
} from '../../shared/stats/index.ts';

/** Values and how often each was seen: up to 2^40 times, far past 32 bits. */
const counted = fc.array(
  fc.tuple(
    fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: HIGHEST_US })),
    fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 2 ** 40 })),
  ),
  { maxLength: 100 },
);

describe('HDR V2 payload', () => {
  test('decoding what was encoded gives the same buckets, counts above 2^31 and values up to an hour included', () => {
    fc.assert(
      fc.property(counted, (values) => {
        const histogram = filled(values);
        const decoded = new Histogram();
        expect(addEncoded(encodeHistogram(histogram), decoded)).toBe(histogram.count);
        expect([...decoded.buckets()]).toEqual([...histogram.buckets()]);
      }),
    );
  });

  test('a count of 2^52 in the bucket of one hour survives', () => {
    const histogram = filled([[HIGHEST_US, 2 ** 52]]);
    const decoded = new Histogram();
    addEncoded(encodeHistogram(histogram), decoded);
    expect([...decoded.buckets()]).toEqual([...histogram.buckets()]);
  });

  test('adding a payload to what is there is the merge of both', () => {
    fc.assert(
      fc.property(counted, counted, (a, b) => {
        const sum = filled(a);
        addEncoded(encodeHistogram(filled(b)), sum);
        expect([...sum.buckets()]).toEqual([...filled([...a, ...b]).buckets()]);
      }),
    );
  });

  test('samples are counted without adding them anywhere', () => {
    fc.assert(fc.property(counted, (values) => samplesIn(encodeHistogram(filled(values))) === filled(values).count));
  });

  test('hdr-histogram-js decodes the same buckets from our log text', () => {
    fc.assert(
      fc.property(counted, (values) => {
        const histogram = filled(values);
        const library = decodeFromCompressedBase64(toLogText(histogram), 64, false) as unknown as LibraryCounts;
        const theirs: (readonly [number, number])[] = [];
        for (let index = 0; index < library.countsArrayLength; index++) {
          const samples = library.getCountAtIndex(index);
          if (samples > 0) theirs.push([library.valueFromIndex(index), samples]);
        }
        expect(theirs).toEqual([...histogram.buckets()].map(({ lowestUs, samples }) => [lowestUs, samples]));
      }),
      { numRuns: 50 },
    );
  });

  test('our log text reads back with the same buckets', () => {
    fc.assert(
      fc.property(counted, (values) => {
        const histogram = filled(values);
        const read = fromLogText(toLogText(histogram));
        expect([...read.buckets()]).toEqual([...histogram.buckets()]);
        expect(read.count).toBe(histogram.count);
      }),
    );
  });

  test("a log of another tool's configuration reads with values within the precision of its buckets", () => {
    const foreign = build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: 7_200_000_000,
      numberOfSignificantValueDigits: 2,
      bitBucketSize: 64,
    });
    foreign.recordValueWithCount(1_000, 3);
    foreign.recordValueWithCount(50_000_000, 2);
    foreign.recordValueWithCount(7_000_000_000, 1);
    const read = fromLogText(encodeIntoCompressedBase64(foreign));
    expect([read.count, read.overflow]).toEqual([6, 1]);
    const [first, second] = [...read.buckets()];
    expect([first?.samples, second?.samples]).toEqual([3, 2]);
    expect(Math.abs((first?.lowestUs ?? 0) - 1_000)).toBeLessThanOrEqual(10);
    expect(Math.abs((second?.lowestUs ?? 0) - 50_000_000)).toBeLessThanOrEqual(500_000);
  });
});

describe('bytes that are no histogram', () => {
  test('a payload of random bytes throws a RangeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => samplesIn(bytes)).toThrow(RangeError);
        expect(() => addEncoded(bytes, new Histogram())).toThrow(RangeError);
      }),
    );
  });

  test('random counts behind a right head either decode within the buckets or throw a RangeError', () => {
    const head = encodeHistogram(new Histogram());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (tail) => {
        const payload = new Uint8Array([...head, ...tail]);
        new DataView(payload.buffer).setInt32(4, tail.length);
        const into = filled(THERE_BEFORE);
        const before = [...into.buckets()];
        try {
          const added = addEncoded(payload, into);
          expect(samplesIn(payload)).toBe(added);
          expect(bucketSum(into)).toBe(bucketSum(filled(THERE_BEFORE)) + added);
          takeEncoded(payload, into);
          expect([...into.buckets()], 'what was added can be taken back').toEqual(before);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(RangeError);
          expect(() => samplesIn(payload)).toThrow(RangeError);
          expect([...into.buckets()], 'what throws adds nothing').toEqual(before);
        }
      }),
    );
  });

  test('more samples than can be counted exactly throw a RangeError, and nothing is added', () => {
    const payload = encodeHistogram(filled([[1, Number.MAX_SAFE_INTEGER], ...Array.from({ length: 8 }, (_, i) => [2 + i, 3] as const)]));
    const into = filled([[9, 1]]);
    expect(() => samplesIn(payload)).toThrow(RangeError);
    expect(() => addEncoded(payload, into)).toThrow(RangeError);
    expect([...into.buckets()]).toEqual([...filled([[9, 1]]).buckets()]);
  });

  test('a cut payload throws a RangeError wherever it is cut', () => {
    const payload = encodeHistogram(
      filled([
        [1, 1],
        [70_000, 300],
        [HIGHEST_US, 5],
      ]),
    );
    for (let length = 0; length < payload.length; length++) {
      const into = filled(THERE_BEFORE);
      expect(() => samplesIn(payload.subarray(0, length))).toThrow(RangeError);
      expect(() => addEncoded(payload.subarray(0, length), into)).toThrow(RangeError);
      expect([...into.buckets()]).toEqual([...filled(THERE_BEFORE).buckets()]);
    }
  });

  test('a payload of another configuration throws a RangeError', () => {
    for (const at of [8, 15, 16, 23, 24, 31]) {
      const payload = encodeHistogram(filled([[5, 5]]));
      payload[at] = (payload[at] ?? 0) ^ 1;
      expect(() => samplesIn(payload), `byte ${at}`).toThrow(RangeError);
    }
  });

  test('log text that is no histogram throws a RangeError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => {
        expect(() => fromLogText(text)).toThrow(RangeError);
      }),
    );
  });

  test('a flipped byte in log text never hangs and throws nothing but a RangeError', () => {
    const bytes = Buffer.from(
      toLogText(
        filled([
          [1, 1],
          [70_000, 300],
          [HIGHEST_US, 5],
        ]),
      ),
      'base64',
    );
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const broken = Buffer.from(bytes);
        broken[at] = (broken[at] ?? 0) ^ flip;
        try {
          fromLogText(broken.toString('base64'));
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});

interface LibraryCounts {
  readonly countsArrayLength: number;
  getCountAtIndex(index: number): number;
  valueFromIndex(index: number): number;
}

function filled(values: readonly (readonly [valueUs: number, times: number])[]): Histogram {
  const histogram = new Histogram();
  for (const [valueUs, times] of values) {
    const one = new Histogram();
    one.record(valueUs);
    histogram.addToBucket(one.highIndex, times);
    histogram.addTotals({ count: times, sumUs: valueUs * times, minUs: valueUs, maxUs: valueUs, overflow: 0 });
  }
  return histogram;
}

/** In buckets that short runs and long ones reach. */
const THERE_BEFORE = [
  [0, 3],
  [9, 1],
  [70_000, 2],
] as const;

function bucketSum(histogram: Histogram): number {
  return [...histogram.buckets()].reduce((sum, { samples }) => sum + samples, 0);
}

function samplesIn(payload: Uint8Array): number {
  return countEncoded(payload);
}
