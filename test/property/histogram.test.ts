import fc from 'fast-check';
import { build, type Histogram as LibraryHistogram } from 'hdr-histogram-js';
import { describe, expect, test } from 'vitest';
import { BUCKETS, HIGHEST_US, highestOf, Histogram, indexOf, lowestOf } from '../../shared/stats/index.ts';

/** Durations as they come: mostly small, some up to an hour, a few above it. */
const durationUs = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 5_000 }) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 3_000_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: HIGHEST_US }) },
);
const withOverflow = fc.oneof(
  { weight: 20, arbitrary: durationUs },
  { weight: 1, arbitrary: fc.integer({ min: HIGHEST_US + 1, max: 9_000_000_000 }) },
);
const samples = fc.array(withOverflow, { maxLength: 300 });

describe('histogram', () => {
  test('merging is commutative', () => {
    fc.assert(
      fc.property(samples, samples, (a, b) => {
        expect(content(merged([recorded(a), recorded(b)]))).toEqual(content(merged([recorded(b), recorded(a)])));
      }),
    );
  });

  test('merging is associative', () => {
    fc.assert(
      fc.property(samples, samples, samples, (a, b, c) => {
        const left = merged([merged([recorded(a), recorded(b)]), recorded(c)]);
        const right = merged([recorded(a), merged([recorded(b), recorded(c)])]);
        expect(content(left)).toEqual(content(right));
      }),
    );
  });

  test('merging any number of parts equals recording everything in one place, bucket for bucket', () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 12 }), (all, parts) => {
        expect(content(merged(split(all, parts)))).toEqual(content(recorded(all)));
      }),
    );
  });

  test('seven parts of 10,000 samples merge to the histogram of all of them', () => {
    const all = Array.from({ length: 10_000 }, (_, i) => Math.round(Math.exp((i * 7919) % 21)) % HIGHEST_US);
    expect(content(merged(split(all, 7)))).toEqual(content(recorded(all)));
  });

  test('zeros recorded together are zeros recorded one by one, whatever is there', () => {
    fc.assert(
      fc.property(samples, fc.nat(500), (before, zeros) => {
        const histogram = recorded(before);
        histogram.recordZeros(zeros);
        expect(content(histogram)).toEqual(content(recorded([...before, ...Array.from({ length: zeros }, () => 0)])));
      }),
    );
  });

  test('a reset histogram is a new one', () => {
    fc.assert(
      fc.property(samples, samples, (before, after) => {
        const histogram = recorded(before);
        histogram.reset();
        for (const value of after) histogram.record(value);
        expect(content(histogram)).toEqual(content(recorded(after)));
      }),
    );
  });

  test('a percentile never lies below the sample of its rank, nor more than 1 in 1000 above it, nor above the maximum', () => {
    fc.assert(
      fc.property(
        fc.array(durationUs, { minLength: 1, maxLength: 300 }),
        fc.double({ min: 0.001, max: 100, noNaN: true }),
        (values, percentile) => {
          const sorted = [...values].sort((a, b) => a - b);
          const product = (percentile / 100) * sorted.length;
          const rank = Math.min(sorted.length, Math.max(1, Math.ceil(product - 1e-9)));
          const exact = sorted[rank - 1] ?? 0;
          const shown = recorded(values).percentileUs(percentile) ?? -1;
          expect(shown).toBeGreaterThanOrEqual(exact);
          expect(shown).toBeLessThanOrEqual(exact * 1.001);
          expect(shown).toBeLessThanOrEqual(sorted.at(-1) ?? 0);
        },
      ),
    );
  });

  test('an empty histogram has no percentiles, no mean and no deviation', () => {
    const empty = new Histogram();
    expect([empty.percentileUs(99), empty.meanUs, empty.stdDevUs]).toEqual([undefined, undefined, undefined]);
  });

  test('samples above one hour count, but in no bucket, and stand above every percentile they reach', () => {
    const histogram = recorded([1, 2, HIGHEST_US + 1]);
    expect([...histogram.buckets()].map(({ samples: n }) => n)).toEqual([1, 1]);
    expect([histogram.count, histogram.overflow, histogram.maxUs, histogram.percentileUs(100)]).toEqual([
      3,
      1,
      HIGHEST_US + 1,
      HIGHEST_US + 1,
    ]);
  });

  test('a duration that is not a number, or negative, counts as 0 and does not poison the sum', () => {
    const histogram = recorded([Number.NaN, -3, 5]);
    expect([histogram.count, histogram.sumUs, histogram.minUs, histogram.maxUs]).toEqual([3, 5, 0, 5]);
  });
});

describe('bucket layout against hdr-histogram-js', () => {
  test('every value falls into the bucket that the library gives it, with the same bounds', () => {
    const library = createLibrary() as unknown as LibraryLayout;
    fc.assert(
      fc.property(durationUs, (value) => {
        const index = indexOf(value);
        expect(index).toBe(library.countsArrayIndex(value));
        expect(lowestOf(index)).toBe(library.lowestEquivalentValue(value));
        expect(highestOf(index)).toBe(library.highestEquivalentValue(value));
      }),
      { numRuns: 2_000 },
    );
  });

  test('buckets are consecutive and their bounds invert the index, from the first to the last', () => {
    for (let index = 0; index < BUCKETS; index++) {
      if (indexOf(lowestOf(index)) !== index || indexOf(highestOf(index)) !== index) expect.fail(`bucket ${index}`);
      if (index > 0 && lowestOf(index) !== highestOf(index - 1) + 1) expect.fail(`gap before bucket ${index}`);
    }
    expect(BUCKETS).toBe(indexOf(HIGHEST_US) + 1);
  });

  test('percentiles, mean and deviation agree with the library', () => {
    fc.assert(
      fc.property(fc.array(durationUs, { minLength: 1, maxLength: 200 }), (values) => {
        const ours = recorded(values);
        const library = createLibrary();
        for (const value of values) library.recordValue(value);
        for (const percentile of [1, 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100]) {
          // The library shows the top of the bucket; we never show more than the exact maximum.
          expect(ours.percentileUs(percentile)).toBe(Math.min(library.getValueAtPercentile(percentile), Math.max(...values)));
        }
        const tolerance = Math.max(...values) / 1_000 + 1e-6;
        expect(Math.abs((ours.meanUs ?? 0) - library.mean)).toBeLessThanOrEqual(tolerance);
        expect(Math.abs((ours.stdDevUs ?? 0) - library.stdDeviation)).toBeLessThanOrEqual(tolerance);
      }),
    );
  });
});

interface LibraryLayout {
  countsArrayIndex(value: number): number;
  lowestEquivalentValue(value: number): number;
  highestEquivalentValue(value: number): number;
}

function createLibrary(): LibraryHistogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 64,
    autoResize: false,
    useWebAssembly: false,
  });
}

function recorded(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

function merged(parts: readonly Histogram[]): Histogram {
  const total = new Histogram();
  for (const part of parts) total.add(part);
  return total;
}

function split(values: readonly number[], parts: number): Histogram[] {
  return Array.from({ length: parts }, (_, part) => recorded(values.filter((_value, i) => i % parts === part)));
}

function content(histogram: Histogram): unknown {
  const { count, sumUs, minUs, maxUs, overflow } = histogram;
  return { count, sumUs, minUs, maxUs, overflow, buckets: [...histogram.buckets()] };
}
