import { describe, expect, test } from 'vitest';
import { judge, type StopCause } from '../../coordinator/outcome.ts';
import { summarise, type Summary } from '../../shared/report/index.ts';

const PERSON: StopCause = { kind: 'person', reason: 'Ctrl-C' };
const LOST: StopCause = { kind: 'agent-lost', reason: 'agent a lost: silent for 5 s' };
const ABORT: StopCause = { kind: 'threshold', reason: 'threshold checks: rate>0.9 failed' };
const THREW = 'TypeError: no such product';

describe('the exit code of a run that made load', () => {
  test.each([
    // stopped, script error, a threshold that is not a pass, grade of the result → code
    [undefined, undefined, 'pass', 'valid', 0],
    [undefined, undefined, 'pass', 'degraded', 0],
    [undefined, undefined, 'pass', 'invalid', 111],
    [undefined, undefined, 'fail', 'valid', 99],
    [undefined, undefined, 'no-data', 'valid', 99],
    [undefined, undefined, 'fail', 'invalid', 99],
    [undefined, THREW, 'pass', 'valid', 107],
    [undefined, THREW, 'fail', 'invalid', 107],
    [ABORT, undefined, 'fail', 'valid', 99],
    [ABORT, THREW, 'fail', 'valid', 107],
    [LOST, undefined, 'pass', 'valid', 112],
    [LOST, THREW, 'fail', 'invalid', 112],
    [PERSON, undefined, 'pass', 'valid', 105],
    [PERSON, THREW, 'no-data', 'invalid', 105],
  ] as const)('stop %j, script error %s, threshold %s, result %s: %i', (stop, scriptError, verdict, grade, code) => {
    const summary = summaryWith(verdict, grade);
    const outcome = judge(summary, stop, scriptError);
    expect(outcome.exitCode).toBe(code);
    expect(outcome.summary).toBe(summary);
    expect(outcome.message === '').toBe(code === 0);
  });

  test('the message names every threshold that is not a pass', () => {
    const one = summaryWith('fail', 'valid');
    const [threshold] = one.thresholds;
    if (threshold === undefined) throw new Error('there is one');
    const two = { ...one, thresholds: [threshold, { ...threshold, metric: 'checks', verdict: 'no-data' as const }] };
    expect(judge(two, undefined, undefined).message).toBe('thresholds failed: http_reqs: count>1 (fail), checks: count>1 (no-data)');
  });

  test('the message names what makes a result invalid, and not what only degrades it', () => {
    const invalid = summaryWith('pass', 'invalid');
    expect(judge(invalid, undefined, undefined).message).toBe('the result is invalid: samples-missing (10 of 20)');
  });
});

function summaryWith(verdict: 'pass' | 'fail' | 'no-data', grade: Summary['validity']['grade']): Summary {
  const threshold = {
    metric: 'http_reqs' as const,
    tags: {},
    expression: 'count>1',
    aggregation: { kind: 'count' as const },
    comparison: '>' as const,
    bound: 1,
    abortOnFail: false,
    delayAbortEvalUs: 0,
    windowUs: undefined,
  };
  const lag = { code: 'generator-lag', grade: 'degraded', detail: '12 ms' } as const;
  const missing = { code: 'samples-missing', grade: 'invalid', detail: '10 of 20' } as const;
  return summarise({
    run: { id: 'r', name: 'n', startedAt: '2026-01-01T00:00:00.000Z', seed: 1, target: '', agents: { planned: 1, reported: 1, lost: 0 } },
    durationUs: 1_000_000,
    ledger: {
      planned: 0,
      started: 0,
      dropped: 0,
      undelivered: 0,
      unknown: 0,
      completed: 0,
      interrupted: 0,
      samples: { recorded: 0, merged: 0, missing: 0, duplicate: 0 },
    },
    validity: { grade, reasons: grade === 'valid' ? [] : grade === 'degraded' ? [lag] : [lag, missing] },
    totals: [],
    verdicts: [verdict === 'no-data' ? { kind: verdict, threshold } : { kind: verdict, threshold, observed: 0, judged: 'run' }],
    health: [],
    agentsLost: [],
  });
}
