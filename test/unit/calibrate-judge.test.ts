import { describe, expect, test } from 'vitest';
import { judgeRun, SUSPICIONS } from '../../coordinator/calibrate/judge.ts';
import { quantile } from '../../coordinator/calibrate/truth.ts';
import { simulateCalibration, TRUE_RECORDING, type Recording } from '../support/simulated-calibration.ts';

const SECONDS = 4;
/** Exponential with a mean of 30 µs. */
const QUIET = (draw: number): number => -30 * Math.log(draw);

describe('judging a calibration', () => {
  test('a right measurement agrees in every figure', () => {
    const { reference, summary } = simulateCalibration(SECONDS, QUIET, 1);
    const { comparisons, findings } = judgeRun(reference, summary);
    expect(findings).toEqual([]);
    expect(comparisons.map(({ pattern, metric }) => `${pattern} ${metric}`)).toContain('stalls http_req_response_time');
    expect(comparisons.flatMap(({ figures }) => figures).filter(({ verdict }) => verdict !== 'agrees')).toEqual([]);
  });

  const faults: readonly (readonly [string, Partial<Recording>, string, readonly string[]])[] = [
    ['milliseconds recorded as seconds', { service: ({ startedUs, endedUs }) => [(endedUs - startedUs) / 1_000] }, 'units-mixed', ['constant', 'two-point', 'heavy-tail', 'stalls', 'all together']],
    ['seconds recorded as milliseconds', { service: ({ startedUs, endedUs }) => [(endedUs - startedUs) * 1_000] }, 'units-mixed', ['constant', 'two-point', 'heavy-tail', 'stalls', 'all together']],
    ['every sample recorded twice', { service: ({ startedUs, endedUs }) => [endedUs - startedUs, endedUs - startedUs] }, 'counted-twice', ['constant', 'two-point', 'heavy-tail', 'stalls', 'all together']],
    ['samples of one agent lost', { service: ({ agent, startedUs, endedUs }) => (agent === 0 ? [endedUs - startedUs] : []) }, 'samples-lost', ['constant']],
    ['percentiles averaged over agents', { averages: true }, 'percentiles-averaged', ['two-point']],
    ['time counted from the actual start', { response: ({ startedUs, endedUs }) => [endedUs - startedUs] }, 'omits-waiting', ['stalls']],
    ['a tenth of the time left out', { service: ({ startedUs, endedUs }) => [(endedUs - startedUs) * 0.9] }, 'time-missing', ['constant', 'two-point', 'heavy-tail']],
    ['two milliseconds too much', { service: ({ startedUs, endedUs }) => [endedUs - startedUs + 2_000] }, 'time-added', ['constant', 'two-point']],
  ]; // prettier-ignore
  test.each(faults)('%s: found, and named', (_name, recording, suspicion, patterns) => {
    const { reference, summary } = simulateCalibration(SECONDS, QUIET, 2, { ...TRUE_RECORDING, ...recording });
    const found = judgeRun(reference, summary).findings.filter((finding) => finding.suspicion === suspicion);
    expect(found.map(({ pattern }) => pattern)).toEqual(expect.arrayContaining([...patterns]));
    for (const { text } of found) expect(text).toContain(SUSPICIONS[found[0]?.suspicion ?? 'run-invalid']);
  });

  test.each([1, 2, 3, 4, 5])('averaged percentiles are named although some requests were delayed (seed %i)', (seed) => {
    const delayed = (draw: number): number => (draw < 0.002 ? 150_000 : QUIET(draw));
    const { reference, summary } = simulateCalibration(SECONDS, delayed, seed, { ...TRUE_RECORDING, averages: true });
    const found = judgeRun(reference, summary).findings.find(
      ({ pattern, metric }) => pattern === 'two-point' && metric === 'http_req_duration',
    );
    expect(found?.suspicion).toBe('percentiles-averaged');
  });

  test('only what noise can do is worth another try', () => {
    const tooLong = simulateCalibration(SECONDS, QUIET, 3, {
      ...TRUE_RECORDING,
      service: ({ startedUs, endedUs }) => [endedUs - startedUs + 2_000],
    });
    const tooShort = simulateCalibration(SECONDS, QUIET, 3, { ...TRUE_RECORDING, service: ({ startedUs, endedUs }) => [(endedUs - startedUs) / 2] }); // prettier-ignore
    expect(judgeRun(tooLong.reference, tooLong.summary).findings.every(({ mayBeNoise }) => mayBeNoise)).toBe(true);
    expect(judgeRun(tooShort.reference, tooShort.summary).findings.every(({ mayBeNoise }) => !mayBeNoise)).toBe(true);
  });

  test('a metric that is not there speaks against the measurement', () => {
    const { reference, summary } = simulateCalibration(SECONDS, QUIET, 4);
    const without = { ...summary, series: summary.series.filter(({ metric }) => metric !== 'http_req_duration') };
    expect(judgeRun(reference, without).findings.map(({ pattern, metric, suspicion }) => [pattern, metric, suspicion])).toEqual(
      ['constant', 'two-point', 'heavy-tail', 'stalls'].flatMap((pattern) => [
        [pattern, 'count', 'samples-lost'],
        [pattern, 'http_req_duration', 'samples-lost'],
      ]),
    );
  });

  test('a request that never arrived, and one that came twice, are not the plan', () => {
    const { reference, summary } = simulateCalibration(SECONDS, QUIET, 5);
    const truths = reference.truths.map((truth) => ({ ...truth, missing: 1, repeated: 1 }));
    const { findings } = judgeRun({ ...reference, truths }, summary);
    expect(findings.map(({ suspicion }) => suspicion)).toEqual(truths.map(() => 'plan-not-fired'));
  });

  test('what makes the run invalid is a finding', () => {
    const { reference, summary } = simulateCalibration(SECONDS, QUIET, 6);
    const reason = { code: 'samples-missing', grade: 'invalid', detail: '3 recorded samples never arrived' } as const;
    const { findings } = judgeRun(reference, { ...summary, validity: { grade: 'invalid', reasons: [reason] } });
    expect(findings.map(({ text }) => text)).toEqual(['the run itself says samples-missing: 3 recorded samples never arrived']);
  });

  test('the start spread and the lateness come from the log', () => {
    const { reference } = simulateCalibration(SECONDS, QUIET, 7);
    // The zeros of the simulated agents are 400 µs apart; each is known to the quickest of its requests.
    expect(Math.abs(reference.startSpreadUs - 400)).toBeLessThan(30);
    expect(quantile(reference.jitterUs, 0)).toBe(0);
    expect(reference.jitterUs.length).toBe(900 * SECONDS);
  });
});
