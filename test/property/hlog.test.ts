import fc from 'fast-check';
import { HistogramLogReader } from 'hdr-histogram-js';
import { describe, expect, test } from 'vitest';
import { formatHlogHead, formatHlogLine, formatTag, parseHlog, parseTag } from '../../shared/report/index.ts';
import { HIGHEST_US, Histogram } from '../../shared/stats/index.ts';

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
const tags = fc.dictionary(text, text, { maxKeys: 4 });
const line = fc
  .record({
    metric: text,
    tags,
    startUs: fc.nat({ max: 86_400_000_000 }),
    lengthUs: fc.nat({ max: 60_000_000 }),
    values: fc.array(fc.integer({ min: 0, max: HIGHEST_US }), { minLength: 1, maxLength: 30 }),
  })
  .map(({ values, ...rest }) => ({ ...rest, histogram: recorded(values) }));

describe('HdrHistogram log', () => {
  test('tags read back whatever characters they hold, and hold none that ends a field or a line', () => {
    fc.assert(
      fc.property(text, tags, (metric, own) => {
        const tag = formatTag(metric, own);
        expect(tag).not.toMatch(/[\s,]/);
        expect(parseTag(tag)).toEqual({ metric, tags: { ...own } });
      }),
    );
  });

  test('half a surrogate pair in a tag does not break the log', () => {
    expect(parseTag(formatTag('m', { name: 'a\ud800b' }))).toEqual({ metric: 'm', tags: { name: 'a\ufffdb' } });
  });

  test('lines read back with the same times, buckets and exact maximum', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 5 }), async (lines) => {
        const log = formatHlogHead(0) + lines.map(formatHlogLine).join('');
        const read = [];
        for await (const one of parseHlog(log.split('\n'))) read.push(one);
        expect(read.map(shape)).toEqual(lines.map(shape));
      }),
    );
  });

  test('the library reads the same number of lines with the same counts', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), (lines) => {
        const reader = new HistogramLogReader(formatHlogHead(0) + lines.map(formatHlogLine).join(''), 64);
        const counts: number[] = [];
        for (let one = reader.nextIntervalHistogram(); one !== null; one = reader.nextIntervalHistogram()) counts.push(one.totalCount);
        expect(counts).toEqual(lines.map(({ histogram }) => histogram.count));
      }),
      { numRuns: 30 },
    );
  });
});

type Line = Parameters<typeof formatHlogLine>[0];

function shape({ metric, tags: own, startUs, lengthUs, histogram }: Line): unknown {
  return { metric, tags: { ...own }, startUs, lengthUs, count: histogram.count, maxUs: histogram.maxUs, buckets: [...histogram.buckets()] };
}

function recorded(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}
