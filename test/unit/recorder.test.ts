import { describe, expect, test } from 'vitest';
import { newExchange, type Exchange } from '../../agent/protocol/index.ts';
import { Recorder, type Measured } from '../../agent/recorder.ts';
import { SERIES_MAX } from '../../shared/base/index.ts';

describe('a recorder', () => {
  test('tells counters once at nothing, with their definition, and then only when they count', () => {
    const recorder = new Recorder();
    const scenario = recorder.scenario('browse');
    const first = recorder.seal();
    expect(of(first, 'dropped_iterations')).toEqual([{ tags: { scenario: 'browse' }, value: { count: 0 } }]);
    expect(first.trends).toEqual([]);
    const second = recorder.seal();
    expect([second.defines, second.counters]).toEqual([[], []]);
    scenario.iterationsDropped(3, 0);
    expect(recorder.seal().counters.map(({ count }) => count)).toEqual([3]);
    expect(recorder.seal().counters).toEqual([]);
  });

  test('records all eight trends of a request, each from its own two instants', () => {
    const recorder = new Recorder();
    const step = recorder.step('browse', 'get', 'GET');
    step.request(
      exchange({ startedUs: 150, sentUs: 180, firstByteUs: 400, endedUs: 900, sendingUs: 40, connectingUs: 20, tlsUs: 10 }),
      100,
      undefined,
    );
    const sealed = recorder.seal();
    const durations = new Map(
      sealed.trends.map(({ series, maxUs }) => [sealed.defines.find(({ number }) => number === series)?.metric, maxUs]),
    );
    expect(Object.fromEntries(durations)).toEqual({
      http_req_response_time: 800,
      http_req_duration: 720,
      http_req_sending: 40,
      http_req_waiting: 180,
      http_req_receiving: 500,
      http_req_blocked: 30,
      http_req_connecting: 20,
      http_req_tls_handshaking: 10,
    });
    expect(recorder.samples).toBe(8);
  });

  test.each([
    ['never found a connection', { status: 0, startedUs: 150, endedUs: 350 }, { response_time: 250, blocked: 200 }],
    [
      'failed while TLS was negotiated',
      { status: 0, startedUs: 150, endedUs: 350, connectingUs: 30 },
      { response_time: 250, blocked: 200, connecting: 30 },
    ],
    [
      'was sent and never answered',
      { status: 0, startedUs: 150, sentUs: 200, endedUs: 350, sendingUs: 20, connectingUs: 30 },
      { response_time: 250, blocked: 50, connecting: 30, tls_handshaking: 0, duration: 150, sending: 20 },
    ],
  ])('a request that %s has only the phases that it came through', (_, parts, expected) => {
    const recorder = new Recorder();
    recorder.step('browse', 'get', 'GET').request(exchange({ sentUs: 0, firstByteUs: 0, ...parts }), 100, 'connect-reset');
    const sealed = recorder.seal();
    const metricOf = (series: number): string => sealed.defines.find(({ number }) => number === series)?.metric ?? '';
    expect(Object.fromEntries(sealed.trends.map(({ series, maxUs }) => [metricOf(series).replace('http_req_', ''), maxUs]))).toEqual(
      expected,
    );
    expect(recorder.samples).toBe(sealed.trends.length);
    expect(of(sealed, 'http_req_failed')[0]).toMatchObject({
      tags: { status: '0', error: 'connect-reset' },
      value: { passes: 1, fails: 0 },
    });
  });

  test('phases of no duration count like any other, in the interval that they came in', () => {
    const recorder = new Recorder();
    const step = recorder.step('browse', 'get', 'GET');
    for (const blockedUs of [0, 0, 30])
      step.request(exchange({ startedUs: 100, sentUs: 100 + blockedUs, firstByteUs: 200, endedUs: 200 }), 100, undefined);
    const blocked = of(recorder.seal(), 'http_req_blocked').map(({ value }) => value);
    expect(blocked).toMatchObject([{ count: 3, minUs: 0, maxUs: 30 }]);
    expect(recorder.seal().trends).toEqual([]);
    step.request(exchange({ startedUs: 300, sentUs: 300, firstByteUs: 400, endedUs: 400 }), 300, undefined);
    expect(recorder.seal().trends.map(({ count }) => count)).toEqual(Array.from({ length: 8 }, () => 1));
    expect(recorder.samples).toBe(32);
  });

  test('failures are series of their own and never mixed into successes', () => {
    const recorder = new Recorder();
    const step = recorder.step('browse', 'get', 'GET');
    for (let i = 0; i < 3; i++) step.request(exchange({ endedUs: 10 }), 1, undefined);
    for (let i = 0; i < 2; i++) step.request(exchange({ status: 500, endedUs: 5_000_000 }), 1, 'status');
    const base = { scenario: 'browse', name: 'get', method: 'GET' };
    const sealed = recorder.seal();
    expect(of(sealed, 'http_reqs')).toEqual([
      { tags: { ...base, status: '200' }, value: { count: 3 } },
      { tags: { ...base, status: '500', error: 'status' }, value: { count: 2 } },
    ]);
    expect(of(sealed, 'http_req_response_time').map(({ value }) => value)).toMatchObject([
      { count: 3, maxUs: 9 },
      { count: 2, minUs: 4_999_999 },
    ]);
  });

  test('past the cap, new names share one series, counted as such; what is known stays as it is', () => {
    const recorder = new Recorder();
    const first = recorder.step('browse', 'page 0', 'GET');
    first.request(exchange({}), 1, undefined);
    for (let i = 1; i < SERIES_MAX + 10; i++) recorder.step('browse', `page ${i}`, 'GET').request(exchange({}), 1, undefined);
    first.request(exchange({}), 1, undefined);
    const requests = of(recorder.seal(), 'http_reqs');
    const isOther = ({ tags }: (typeof requests)[number]): boolean => tags['name'] === '(other)';
    expect(requests.filter((one) => !isOther(one))).toHaveLength(SERIES_MAX);
    expect(requests.filter(isOther).reduce((sum, { value }) => sum + ('count' in value ? value.count : 0), 0)).toBe(10);
    expect(requests[0]).toMatchObject({ tags: { name: 'page 0' }, value: { count: 2 } });
    expect(recorder.cappedSamples).toBe(10);
  });

  test('checks have a cap of their own names too', () => {
    const recorder = new Recorder();
    const scenario = recorder.scenario('browse');
    for (let i = 0; i < SERIES_MAX + 5; i++) scenario.check(`check ${i}`, i % 2 === 0, 0);
    scenario.check('check 0', false, 0);
    const checks = of(recorder.seal(), 'checks');
    expect(checks).toHaveLength(SERIES_MAX + 1);
    expect(checks.at(0)).toEqual({ tags: { scenario: 'browse', check: 'check 0' }, value: { passes: 1, fails: 1 } });
    expect(checks.at(-1)).toEqual({ tags: { scenario: 'browse', check: '(other)' }, value: { passes: 3, fails: 2 } });
  });

  test('counts every trend sample beside the histograms, and both agree over all intervals', () => {
    const recorder = new Recorder();
    const scenario = recorder.scenario('browse');
    const step = recorder.step('browse', 'get', 'GET');
    let inHistograms = 0;
    for (let i = 0; i < 50; i++) {
      scenario.iterationStarted(i, 1, 0);
      step.request(exchange({ status: 200 + (i % 3) }), 1, i % 2 === 0 ? undefined : 'check');
      scenario.iterationEnded(i * 1_000, i % 5 !== 0, 0, 0);
      if (i % 7 === 0) inHistograms += recorder.seal().trends.reduce((sum, { count }) => sum + count, 0);
    }
    inHistograms += recorder.seal().trends.reduce((sum, { count }) => sum + count, 0);
    expect(recorder.samples).toBe(50 + 50 * 8 + 40);
    expect(inHistograms).toBe(recorder.samples);
  });

  test('the gauge of VUs keeps the extremes of its interval and begins the next where it stands', () => {
    const recorder = new Recorder();
    const scenario = recorder.scenario('browse');
    scenario.iterationStarted(0, 1, 0);
    scenario.iterationStarted(0, 2, 0);
    scenario.iterationEnded(5, true, 1, 0);
    expect(recorder.seal().gauges).toMatchObject([{ value: 1, min: 0, max: 2 }]);
    scenario.iterationStarted(0, 2, 0);
    expect(recorder.seal().gauges).toMatchObject([{ value: 2, min: 1, max: 2 }]);
  });

  test('every series is defined once, in the interval in which it begins', () => {
    const recorder = new Recorder();
    recorder.scenario('browse');
    const step = recorder.step('browse', 'get', 'GET');
    const early = recorder.seal().defines.map(({ number }) => number);
    step.request(exchange({}), 1, undefined);
    const late = recorder.seal().defines.map(({ number }) => number);
    expect(recorder.seal().defines).toEqual([]);
    expect([...early, ...late]).toEqual(Array.from({ length: early.length + late.length }, (_, i) => i));
    expect([early.length, late.length]).toEqual([7, 10]);
  });
});

function exchange(parts: Partial<Exchange>): Exchange {
  return { ...newExchange(), status: 200, startedUs: 1, sentUs: 2, firstByteUs: 3, endedUs: 10, ...parts };
}

/** The series of one metric with what was measured of each. */
function of({ defines, trends, counters, rates }: Measured, metric: string) {
  return defines
    .filter((definition) => definition.metric === metric)
    .flatMap(({ number, tags }) => [
      ...trends.filter(isOf(number)).map(({ count, minUs, maxUs }) => ({ tags, value: { count, minUs, maxUs } })),
      ...counters.filter(isOf(number)).map(({ count }) => ({ tags, value: { count } })),
      ...rates.filter(isOf(number)).map(({ passes, fails }) => ({ tags, value: { passes, fails } })),
    ]);
}

function isOf(number: number): (slice: { readonly series: number }) => boolean {
  return ({ series }) => series === number;
}
