import { describe, expect, test } from 'vitest';
import { newExchange } from '../../agent/protocol/index.ts';
import { createRecorder } from '../../agent/warm-up.ts';
import { warmupEndUs, type Plan, type PlannedScenario } from '../../shared/plan/index.ts';
import { renderProgress, renderSummary, summarise, type Snapshot, type SummaryInput } from '../../shared/report/index.ts';
import { countingOf, countRequests, ThresholdWatch, type Threshold } from '../../shared/sla/index.ts';
import { isPartOfTotals, selectValue, type Series } from '../../shared/stats/index.ts';
import { closedScenario, openScenario } from '../support/plans.ts';

const SECOND_US = 1_000_000;
/** The run's zero on the agent's clock. */
const ZERO_US = 1_700_000_000 * SECOND_US;
const WARM = { phase: 'warmup' };

describe('a plan with a warm-up', () => {
  test('it ends so long after the scenario’s own start', () => {
    expect(warmupEndUs({ ...openScenario(), startUs: 5 * SECOND_US, warmupUs: 2 * SECOND_US })).toBe(7 * SECOND_US);
    expect(warmupEndUs(openScenario())).toBe(-Infinity);
  });

  test('totals count from the first end of a warm-up when every scenario has one, and from the start otherwise', () => {
    const late = { ...openScenario(), startUs: 5 * SECOND_US, warmupUs: 2 * SECOND_US };
    const early = { ...closedScenario(), warmupUs: 3 * SECOND_US };
    expect(countingOf([late, early]).fromUs({})).toBe(3 * SECOND_US);
    expect(countingOf([late, closedScenario()]).fromUs({})).toBe(0);
    expect(countingOf([openScenario()]).fromUs({})).toBe(0);
  });

  test('what is told of one scenario counts from the end of its own, and what is told of a warm-up while that lasts', () => {
    const browse = { ...openScenario(), startUs: SECOND_US, warmupUs: 2 * SECOND_US };
    const both = plan(browse, closedScenario());
    const untilUs = 10 * SECOND_US;
    expect(countingOf(both.scenarios).us({}, untilUs)).toBe(10 * SECOND_US);
    expect(countingOf(both.scenarios).us({ scenario: 'browse' }, untilUs)).toBe(7 * SECOND_US);
    expect(countingOf(both.scenarios).us({ scenario: 'loop' }, untilUs)).toBe(10 * SECOND_US);
    expect(countingOf(both.scenarios).us({ scenario: 'browse', phase: 'warmup' }, untilUs)).toBe(2 * SECOND_US);
    expect(countingOf(both.scenarios).us({ phase: 'warmup' }, 1.5 * SECOND_US)).toBe(0.5 * SECOND_US);
    expect(countingOf(both.scenarios).us({ scenario: 'loop', phase: 'warmup' }, untilUs)).toBe(0);
  });
});

describe('a recorder of a scenario that warms up', () => {
  test('records apart what was wanted before the end of the warm-up, however late it was answered', () => {
    const { recorder, begin } = createRecorder(plan({ ...openScenario(), startUs: SECOND_US, warmupUs: SECOND_US }));
    const step = recorder.step('browse', 'get', 'GET');
    begin(ZERO_US);
    const endUs = ZERO_US + 2 * SECOND_US;
    const answered = {
      ...newExchange(),
      status: 200,
      startedUs: endUs,
      sentUs: endUs,
      firstByteUs: endUs + 1,
      endedUs: endUs + 9 * SECOND_US,
    };
    step.request(answered, endUs - 1, undefined);
    step.request(answered, endUs, undefined);
    const sealed = recorder.seal();
    const requests = sealed.counters.map(({ series, count }) => [sealed.defines.find(({ number }) => number === series)?.tags, count]);
    const tags = { scenario: 'browse', name: 'get', method: 'GET', status: '200' };
    expect(requests).toEqual([
      [{ ...tags, ...WARM }, 1],
      [tags, 1],
    ]);
    // Eight trends of two requests: what is measured apart is measured all the same.
    expect(recorder.samples).toBe(16);
  });

  test('iterations, drops, bytes and checks go with the start they are about; VUs belong to no phase', () => {
    const { recorder, begin } = createRecorder(plan({ ...openScenario(), warmupUs: SECOND_US }));
    const scenario = recorder.scenario('browse');
    begin(ZERO_US);
    for (const startUs of [ZERO_US, ZERO_US + SECOND_US - 1, ZERO_US + SECOND_US]) {
      scenario.iterationStarted(5, 1, startUs);
      scenario.check('holds', true, startUs);
      scenario.bytes(10, 100, startUs);
      scenario.iterationEnded(5, true, 0, startUs);
      scenario.iterationsDropped(7, startUs);
    }
    const { defines, counters, rates, gauges, trends } = recorder.seal();
    const told = (slices: readonly { readonly series: number; readonly count?: number; readonly passes?: number }[]): object =>
      Object.fromEntries(
        slices.map(({ series, count, passes }) => {
          const known = defines.find(({ number }) => number === series);
          return [`${known?.metric ?? ''} ${known?.tags['phase'] ?? '-'}`, count ?? passes];
        }),
      );
    expect({ ...told(counters), ...told(rates), ...told(trends) }).toEqual({
      'iterations warmup': 2,
      'dropped_iterations warmup': 14,
      'data_sent warmup': 20,
      'data_received warmup': 200,
      'checks warmup': 2,
      'schedule_lag warmup': 2,
      'iteration_duration warmup': 2,
      'iterations -': 1,
      'dropped_iterations -': 7,
      'data_sent -': 10,
      'data_received -': 100,
      'checks -': 1,
      'schedule_lag -': 1,
      'iteration_duration -': 1,
    });
    expect(gauges.length).toBe(1);
  });

  test('only the scenario that has one is split; without any the plain recorder does it all', () => {
    const { recorder, begin } = createRecorder(plan({ ...openScenario(), warmupUs: SECOND_US }, closedScenario()));
    const loop = recorder.scenario('loop');
    begin(ZERO_US);
    loop.iterationsDropped(1, ZERO_US);
    expect(recorder.seal().defines.every(({ tags }) => isPartOfTotals(tags))).toBe(true);
    expect(createRecorder(plan(openScenario())).recorder.constructor.name).toBe('Recorder');
  });
});

describe('totals of a run with a warm-up', () => {
  const totals: Series[] = [
    { metric: 'http_reqs', tags: { scenario: 'browse', status: '200' }, value: { kind: 'counter', count: 80 } },
    { metric: 'http_reqs', tags: { scenario: 'browse', status: '0', error: 'timeout', ...WARM }, value: { kind: 'counter', count: 20 } },
    { metric: 'iterations', tags: { scenario: 'browse', ...WARM }, value: { kind: 'counter', count: 19 } },
    { metric: 'checks', tags: { scenario: 'browse', check: 'fine' }, value: { kind: 'rate', passes: 80, fails: 0 } },
    { metric: 'checks', tags: { scenario: 'browse', check: 'fine', ...WARM }, value: { kind: 'rate', passes: 0, fails: 20 } },
  ];

  test('are without it, unless a selector names the phase', () => {
    expect(selectValue(totals, 'http_reqs')).toMatchObject({ count: 80 });
    expect(selectValue(totals, 'http_reqs', { error: 'timeout' })).toBeUndefined();
    expect(selectValue(totals, 'http_reqs', WARM)).toMatchObject({ count: 20 });
    expect(countRequests(totals)).toEqual({ sent: 80, answered: 80 });
  });

  test('the summary divides counters by the time that counts, and says what is not in them', () => {
    const summary = summarise(input(totals));
    expect(summary.metrics).toEqual({
      http_reqs: { type: 'counter', count: 80, rate: 10 },
      checks: { type: 'rate', rate: 1, passes: 80, fails: 0 },
    });
    expect(summary.run.durationSeconds).toBe(10);
    expect(summary.warmUps).toEqual([{ scenario: 'browse', seconds: 2, iterations: 19, requests: 20 }]);
    expect(summary.series.length).toBe(totals.length);
    const text = renderSummary(summary, { color: false });
    expect(text).toContain('WARM-UP\n  browse: 19 iterations and 20 requests of its first 2s are in the ledger only\n');
    expect(text).toContain('checks_succeeded............: 100.00% 80 out of 80');
    expect(text).not.toContain('timeout');
  });

  test('a summary of a run without one does not mention it', () => {
    const summary = summarise({ ...input(totals.slice(0, 1)), warmUps: [] });
    expect('warmUps' in summary).toBe(false);
    expect(renderSummary(summary, { color: false })).not.toContain('WARM-UP');
  });

  test('the progress line says that a scenario is warming up', () => {
    const snapshot: Snapshot = {
      ...{ runId: 'r', name: 'n', state: 'running', elapsedUs: SECOND_US, durationUs: 10 * SECOND_US },
      ...{ plannedPerSecond: 0, deliveredPerSecond: 5, responseMs: undefined, errorRate: 0, totalRequests: 0, totalErrors: 0 },
      ...{ activeVus: 1, agents: { ready: 1, running: 1, lost: 0, planned: 1 }, lagP99Ms: 0, dropped: 0, verdicts: [], events: [] },
    };
    expect(renderProgress({ ...snapshot, isWarmingUp: true }, 120)).toContain('1s/10s  warming up  5/s');
    expect(renderProgress(snapshot, 120)).not.toContain('warming up');
  });
});

describe('thresholds of a run with a warm-up', () => {
  const atRate: Threshold = {
    ...{ metric: 'http_reqs', tags: {}, expression: 'rate>9', aggregation: { kind: 'rate' }, comparison: '>', bound: 9 },
    ...{ abortOnFail: true, delayAbortEvalUs: 0, windowUs: undefined },
  };
  /** A counter that is told at nothing while the warm-up lasts, as agents do, and stands at ten a second from then on. */
  const counterAfter = (seconds: number): Series[] => [
    { metric: 'http_reqs', tags: {}, value: { kind: 'counter', count: Math.max(0, seconds - 2) * 10 } },
  ];

  test.each([
    ['the whole run', undefined],
    ['windows', 2 * SECOND_US],
  ])('of %s count from its end: a counter that stands at nothing until then ends no run', (_, windowUs) => {
    const counting = { fromUs: () => 2 * SECOND_US, us: (_tags: object, untilUs: number) => untilUs - 2 * SECOND_US };
    const watch = new ThresholdWatch([{ ...atRate, windowUs }], SECOND_US, Infinity, counting);
    for (let index = 0; index < 5; index++) {
      const inInterval = index < 2 ? 0 : 10;
      const series: Series[] = [{ metric: 'http_reqs', tags: {}, value: { kind: 'counter', count: inInterval } }];
      watch.add({ index, series }, counterAfter(index + 1), (index + 1) * SECOND_US);
    }
    expect(watch.abort).toBeUndefined();
    expect(watch.final(counterAfter(5), 5 * SECOND_US)).toMatchObject([{ kind: 'pass', observed: 10 }]);
  });
});

function plan(...scenarios: PlannedScenario[]): Plan {
  return { name: 'warm', seed: 1, intervalMs: 1_000, scenarios };
}

function input(totals: readonly Series[]): SummaryInput {
  const samples = { recorded: 0, merged: 0, missing: 0, duplicate: 0 };
  return {
    run: { id: 'r', name: 'n', startedAt: '2026-01-01T00:00:00.000Z', agents: { planned: 1, reported: 1, lost: 0 } },
    durationUs: 10 * SECOND_US,
    countedUs: () => 8 * SECOND_US,
    warmUps: [{ scenario: 'browse', us: 2 * SECOND_US }],
    ledger: { planned: 100, started: 100, dropped: 0, undelivered: 0, unknown: 0, completed: 100, interrupted: 0, samples },
    validity: { grade: 'valid', reasons: [] },
    totals,
    verdicts: [],
    health: [],
    agentsLost: [],
  };
}
