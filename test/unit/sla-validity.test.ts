import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  countRequests,
  gradeValidity,
  HealthWatch,
  VALIDITY_RULES,
  type ValidityInput,
  type ValidityLimit,
} from '../../shared/sla/index.ts';
import type { Health, Ledger, Series } from '../../shared/stats/index.ts';

const LEDGER: Ledger = {
  planned: 1_000,
  started: 1_000,
  dropped: 0,
  undelivered: 0,
  unknown: 0,
  completed: 1_000,
  interrupted: 0,
  samples: { recorded: 8_000, merged: 8_000, missing: 0, duplicate: 0 },
};
const CLEAN: ValidityInput = {
  ledger: LEDGER,
  agentsLost: [],
  health: [],
  scheduleLagP99Us: 900,
  vuWaitP99Us: 0,
  clocks: [{ agent: 'a', uncertaintyUs: 300 }],
  requests: { sent: 1_000, answered: 1_000 },
  bundleFailure: undefined,
  samplesUnderOther: 0,
  versionSkew: [],
  coordinatorRestarts: 0,
};

describe('validity', () => {
  test('an undisturbed run is valid', () => {
    expect(gradeValidity(CLEAN)).toEqual({ grade: 'valid', reasons: [] });
  });

  const missing = { ...LEDGER, samples: { recorded: 8_000, merged: 7_990, missing: 10, duplicate: 0 } };
  test.each([
    ['an agent was lost', { agentsLost: ['a'] }, 'agents-lost', 'degraded'],
    ['one iteration was dropped', { ledger: { ...LEDGER, started: 999, completed: 999, dropped: 1 } }, 'load-not-delivered', 'degraded'],
    ['5 % were not delivered', { ledger: { ...LEDGER, started: 950, completed: 950, undelivered: 50 } }, 'load-not-delivered', 'degraded'],
    ['more than 5 % are unknown', { ledger: { ...LEDGER, started: 949, completed: 949, unknown: 51 } }, 'load-not-delivered', 'invalid'],
    ['samples are missing', { ledger: missing }, 'samples-missing', 'invalid'],
    ['the ledger does not add up', { ledger: { ...LEDGER, planned: 1_001 } }, 'ledger-imbalance', 'invalid'],
    ['a clock is known to 5.1 ms', { clocks: [{ agent: 'a', uncertaintyUs: 5_100 }] }, 'clock-uncertain', 'degraded'],
    ['a clock has drifted by 51 ms', { clocks: [{ agent: 'a', uncertaintyUs: 300, driftUs: 51_000 }] }, 'clock-uncertain', 'degraded'],
    ['nothing was answered', { requests: { sent: 3, answered: 0 } }, 'target-unreachable', 'invalid'],
    ['arrivals waited for VUs', { vuWaitP99Us: 10_001 }, 'vus-exhausted', 'degraded'],
    ['the disk was full', { bundleFailure: 'intervals.hlog: no space left on device' }, 'bundle-incomplete', 'invalid'],
    ['series were capped', { samplesUnderOther: 4 }, 'series-capped', 'degraded'],
    ['an agent runs another version', { versionSkew: [{ agent: 'a', version: '0.2.0' }] }, 'version-skew', 'degraded'],
    ['the coordinator was restarted', { coordinatorRestarts: 1 }, 'coordinator-restarted', 'degraded'],
    [
      'an agent was asked for more than was shown',
      { calibrated: [{ agent: 'a', askedPerSecond: 501, shownPerSecond: 500 }] },
      'beyond-calibration',
      'degraded',
    ],
  ] as const)('when %s, the run says so', (_name, change, code, grade) => {
    const validity = gradeValidity({ ...CLEAN, ...change });
    expect(validity.grade).toBe(grade);
    expect(validity.reasons.map((reason) => [reason.code, reason.grade])).toEqual([[code, grade]]);
  });

  test('a calibrated agent that was asked for no more than was shown is no reason', () => {
    const calibrated = [{ agent: 'a', askedPerSecond: 500, shownPerSecond: 500 }];
    expect(gradeValidity({ ...CLEAN, calibrated }).grade).toBe('valid');
  });

  test('a target that answers nothing because nothing was sent is not unreachable', () => {
    expect(gradeValidity({ ...CLEAN, requests: { sent: 0, answered: 0 } }).grade).toBe('valid');
  });

  test('the worst reason decides and stands first, and every reason is kept', () => {
    const validity = gradeValidity({ ...CLEAN, agentsLost: ['a', 'b'], ledger: missing });
    expect([validity.grade, validity.reasons.map(({ code, agent }) => [code, agent])]).toEqual([
      'invalid',
      [
        ['samples-missing', undefined],
        ['agents-lost', 'a'],
        ['agents-lost', 'b'],
      ],
    ]);
  });

  test('a number that is none speaks against the run', () => {
    expect(gradeValidity({ ...CLEAN, vuWaitP99Us: Number.NaN }).grade).toBe('degraded');
  });

  test('every code of the table has a meaning and at least one limit', () => {
    for (const { meaning, limits } of Object.values(VALIDITY_RULES)) {
      expect(meaning).not.toBe('');
      for (const limit of Object.values(limits)) expect('degradedAbove' in limit || 'invalidAbove' in limit).toBe(true);
    }
  });
});

describe('requests', () => {
  test('a response of any status is an answer, a request without one is not', () => {
    const reqs = (count: number, tags: Record<string, string>): Series => ({
      metric: 'http_reqs',
      tags,
      value: { kind: 'counter', count },
    });
    expect(
      countRequests([
        reqs(5, { status: '200' }),
        reqs(3, { status: '500', error: 'status' }),
        reqs(2, { status: '0', error: 'connect-refused' }),
        reqs(1, { name: '(other)' }),
      ]),
    ).toEqual({ sent: 11, answered: 9 });
  });
});

describe('generator lag', () => {
  const late = (p99Us: number, maxUs = p99Us): Partial<Health> => ({ pacerLagP99Us: p99Us, pacerLagMaxUs: maxUs });

  test('one late interval in a punctual run is no reason', () => {
    expect(graded([late(20_000), ...Array.from({ length: 9 }, () => late(200))], { scheduleLagP99Us: 1_000 })).toEqual([]);
  });

  test('a p99 above 10 ms over the run degrades it, above 100 ms makes it invalid', () => {
    expect(graded([late(20_000), late(200), late(200)], { scheduleLagP99Us: 15_000 })).toEqual(['generator-lag degraded']);
    expect(graded([late(140_000), late(200), late(200)], { scheduleLagP99Us: 110_000 })).toEqual(['generator-lag invalid']);
  });

  test('arrivals that waited for a VU are no lag of the generator', () => {
    expect(graded([late(200), late(300)], { scheduleLagP99Us: 5_000_000, vuWaitP99Us: 5_000_000 })).toEqual(['vus-exhausted degraded']);
  });

  test('an agent that is late most of the time is a reason by itself, however punctual the rest', () => {
    expect(graded([late(20_000), late(20_000), late(200)], { scheduleLagP99Us: 500 })).toEqual(['generator-lag degraded']);
    expect(graded([late(120_000), late(120_000), late(200)], { scheduleLagP99Us: 500 })).toContain('generator-lag invalid');
  });

  test('a single stall of more than 150 ms is a reason', () => {
    const calm = Array.from({ length: 9 }, () => late(200));
    expect(graded([...calm, late(200, 151_000)], {})).toEqual(['generator-lag degraded']);
    expect(graded([...calm, { loopDelayMaxUs: 151_000 }], {})).toEqual(['generator-lag degraded']);
  });

  test('CPU counts when it stays high for three intervals', () => {
    const busy = (cpu: number): Partial<Health> => ({ cpu });
    expect(graded([busy(1), busy(1), busy(0.5), busy(1), busy(1)], {})).toEqual([]);
    expect(graded([busy(0.2), busy(1), busy(0.95), busy(0.9)], {})).toEqual(['generator-saturated degraded']);
  });

  test('says how many agents the plan takes when one of them ran out of CPU, from what an iteration cost', () => {
    const watch = new HealthWatch();
    for (let interval = 0; interval < 10; interval++) {
      watch.add('a', health({ cpu: 1 }));
      watch.add('b', health({ cpu: 0.6 }));
    }
    const busy = { ...CLEAN, health: watch.agents(), intervalUs: 1_000_000 };
    // 16 core-seconds for 1,000 iterations: 16 ms each, so that 200/s take 3.2 cores, which is 0.7 cores each for 5 agents.
    expect(gradeValidity({ ...busy, plannedPerSecond: 200 }).reasons.map(({ detail }) => detail)).toEqual([
      'agent a used 1.00 cores over 3 intervals; an iteration cost 16.00 ms of CPU, so 200/s take 3.2 cores: 5 agents like these, 3 more; ' +
        'above 0.9 cores a run is degraded',
    ]);
    expect(gradeValidity({ ...busy, plannedPerSecond: undefined }).reasons[0]?.detail, 'no rate, no advice').not.toContain('more');
  });

  function graded(intervals: readonly Partial<Health>[], change: Partial<ValidityInput>): string[] {
    const watch = new HealthWatch();
    for (const interval of intervals) watch.add('a', health(interval));
    return gradeValidity({ ...CLEAN, ...change, health: watch.agents() }).reasons.map(({ code, grade }) => `${code} ${grade}`);
  }
});

describe('the table of reasons', () => {
  const reasons: Readonly<Record<string, { readonly meaning: string; readonly limits: Readonly<Record<string, ValidityLimit>> }>> =
    VALIDITY_RULES;

  test('stands in docs/validity.md, every reason with its limits and nothing else', async () => {
    const docs = await readFile(new URL('../../docs/validity.md', import.meta.url), 'utf8');
    const limit = (above: number | undefined, unit: string): string =>
      above === undefined ? '' : above === 0 ? 'any' : `above ${above} ${unit}`;
    const cells = Object.entries(reasons).flatMap(([code, { meaning, limits }]) =>
      Object.values(limits).map(({ measure, of, unit, degradedAbove, invalidAbove }) =>
        [`\`${code}\``, meaning, measure, of, limit(degradedAbove, unit), limit(invalidAbove, unit)].join(' | ').replaceAll('  ', ' '),
      ),
    );
    const table = docs.split('\n').filter((line) => line.startsWith('| `'));
    expect(table.map((line) => line.slice(1, -1).trim().replaceAll(/ +/g, ' '))).toEqual(cells.map((row) => row.trim()));
  });
});

describe('health watch', () => {
  test('keeps the worst of every agent by itself', () => {
    const watch = new HealthWatch();
    watch.add('a', health({ pacerLagP99Us: 5, rssBytes: 100, cpu: 0.2 }));
    watch.add('b', health({ pacerLagP99Us: 900, openSockets: 7 }));
    watch.add('a', health({ pacerLagP99Us: 3, rssBytes: 300, cpu: 0.4 }));
    expect(watch.agents()).toMatchObject([
      { agent: 'a', intervals: 2, pacerLagP99WorstUs: 5, rssMaxBytes: 300, cpuWorst: 0 },
      { agent: 'b', intervals: 1, pacerLagP99WorstUs: 900, openSocketsMax: 7 },
    ]);
    expect(watch.agents()[0]?.cpuMean).toBeCloseTo(0.3);
  });
});

function health(parts: Partial<Health>): Health {
  return {
    loopDelayP99Us: 0,
    loopDelayMaxUs: 0,
    pacerLagP99Us: 0,
    pacerLagMaxUs: 0,
    cpu: 0,
    gcPauseUs: 0,
    rssBytes: 0,
    openSockets: 0,
    activeVus: 0,
    outboxBatches: 0,
    ...parts,
  };
}
