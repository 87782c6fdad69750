import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  AppError,
  assert,
  closestTo,
  formatBytes,
  formatDurationUs,
  parseBytes,
  parseDurationUs,
  parseRate,
  reasonOf,
  systemClock,
} from '../../shared/base/index.ts';

describe('durations', () => {
  test.each([
    ['250ms', 250_000],
    ['1.5s', 1_500_000],
    ['1m30s', 90_000_000],
    ['2h', 7_200_000_000],
    ['1d', 86_400_000_000],
    ['10us', 10],
    ['10µs', 10],
    ['0', 0],
    [' 1s ', 1_000_000],
    [250, 250_000],
    [0.0015, 2],
  ])('%j are %d µs', (text, us) => {
    expect(parseDurationUs(text)).toBe(us);
  });

  test.each(['', 's', '1', '1x', '1s x', 'x1s', '-1s', '1 s', '1s 2', '1e3s', -1, NaN, Infinity])('%j are none', (text) => {
    expect(parseDurationUs(text)).toBeUndefined();
  });

  test.each([
    [0, '0µs'],
    [999, '999µs'],
    [1_500, '1.5ms'],
    [250_000, '250ms'],
    [1_500_000, '1.5s'],
    [125_000_000, '2m05s'],
    [3_720_000_000, '1h02m'],
  ])('%d µs are shown as %s', (us, text) => {
    expect(formatDurationUs(us)).toBe(text);
  });

  test('a duration that is shown reads back as itself to the last digit shown', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 86_400_000_000 }), (us) => {
        const back = parseDurationUs(formatDurationUs(us)) ?? NaN;
        const stepUs = us < 1_000 ? 1 : us < 1_000_000 ? 100 : us < 60_000_000 ? 10_000 : us < 3_600_000_000 ? 1_000_000 : 60_000_000;
        expect(Math.abs(back - us)).toBeLessThanOrEqual(stepUs);
      }),
    );
  });
});

describe('rates', () => {
  test.each([
    ['200', 200, undefined],
    ['200/s', 200, 1_000_000],
    ['2k/s', 2_000, 1_000_000],
    ['30/m', 30, 60_000_000],
    ['5/100ms', 5, 100_000],
    ['1.5 / s', 1.5, 1_000_000],
    [200, 200, undefined],
  ])('%j', (text, events, unitUs) => {
    expect(parseRate(text)).toEqual({ events, unitUs });
  });

  test.each(['', '/s', 'fast', '-1/s', '2m/s', '1/0s', '1/x', NaN, -1, Infinity])('%j is none', (text) => {
    expect(parseRate(text)).toBeUndefined();
  });
});

describe('bytes', () => {
  test.each([
    ['64KiB', 65_536],
    ['10MB', 10_000_000],
    ['1.5kB', 1_500],
    ['12', 12],
    [12, 12],
  ])('%j are %d', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(['', 'kB', '1 XB', '-1', 1.5, -1])('%j are none', (text) => {
    expect(parseBytes(text)).toBeUndefined();
  });

  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_200_000, '1.2 MB'],
    [5e15, '5000.0 TB'],
  ])('%d are shown as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('errors', () => {
  test('an error of ours passes through unchanged; anything else is wrapped with its reason and kept as the cause', () => {
    const ours = new AppError('NO_AGENTS', 'none', { problems: [{ path: '--agents', message: 'too many' }] });
    expect(AppError.from(ours, 'USAGE', 'unused')).toBe(ours);
    const cause = new Error('ECONNREFUSED');
    const wrapped = AppError.from(cause, 'NATS_UNAVAILABLE', 'no NATS server');
    expect(wrapped).toMatchObject({
      code: 'NATS_UNAVAILABLE',
      message: 'no NATS server: ECONNREFUSED',
      cause,
      exitCode: 108,
      problems: [],
    });
    expect(AppError.from('text', 'USAGE', 'bad flag').message).toBe('bad flag: text');
  });

  test.each([
    [new Error('broken'), 'broken'],
    [new TypeError(), 'TypeError'],
    [new AggregateError([new Error('connect ECONNREFUSED ::1'), new Error('other')]), 'connect ECONNREFUSED ::1'],
    [new AggregateError([], ''), 'AggregateError'],
    ['text', 'text'],
    [undefined, 'undefined'],
  ])('%s has the reason %s', (thrown, reason) => {
    expect(reasonOf(thrown)).toBe(reason);
  });

  test('an assertion that fails is a bug, not an AppError', () => {
    expect(() => assert(false, 'cannot be')).toThrow(new Error('assertion failed: cannot be'));
    expect(() => assert(true, 'fine')).not.toThrow();
  });
});

describe('the system clock', () => {
  test('counts in microseconds of the Unix epoch and never goes back', () => {
    const readings = Array.from({ length: 10_000 }, () => systemClock.nowUs());
    for (let i = 1; i < readings.length; i++) expect(readings[i]! >= readings[i - 1]!).toBe(true);
    expect(Math.abs((readings[0] ?? 0) / 1000 - Date.now())).toBeLessThan(60_000);
  });

  test('a sleep ends when its signal aborts, before or while it lasts, and leaves no listener behind', async () => {
    const abort = new AbortController();
    const hour = systemClock.sleep(3_600_000, abort.signal);
    abort.abort();
    await hour;
    await systemClock.sleep(3_600_000, abort.signal);
  });

  test('a sleep lasts as long as asked, to within a timer’s millisecond', async () => {
    const fromUs = systemClock.nowUs();
    await systemClock.sleep(5);
    expect(systemClock.nowUs() - fromUs).toBeGreaterThanOrEqual(4_000);
  });
});

describe('suggestions', () => {
  test.each([
    ['duraton', 'duration'],
    ['MAX_VUS', 'maxVUs'],
    ['rtae', 'rate'],
    ['colour', undefined],
  ])('%s is taken for %s', (wrong, meant) => {
    expect(closestTo(wrong, ['rate', 'duration', 'maxVUs', 'timeUnit'])).toBe(meant);
  });
});
