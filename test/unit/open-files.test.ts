import { describe, expect, test } from 'vitest';
import { openFilesMax, tooFewFiles } from '../../agent/open-files.ts';
import type { Plan, PlannedScenario } from '../../shared/plan/index.ts';
import { closedScenario, oneEpoch, openScenario } from '../support/plans.ts';

const EACH = { kind: 'per-vu' } as const;

describe('an agent that may not open a file for each of its VUs', () => {
  test('says how many it needs and how to get them', () => {
    const plan = planOf(closedScenario({ vus: 10_000 }));
    expect(tooFewFiles(plan, oneEpoch('a'), 'a', EACH, 1_024)).toMatch(/open 10000 connections at once.*only 1024 files.*ulimit -n 10064/);
    expect(tooFewFiles(plan, oneEpoch('a'), 'a', EACH, 10_063)).toBeDefined();
    expect(tooFewFiles(plan, oneEpoch('a'), 'a', EACH, 10_064)).toBeUndefined();
  });

  test('counts only its own share, of all scenarios', () => {
    const plan = planOf(closedScenario({ vus: 2_000 }), { ...closedScenario({ vus: 2_000 }), name: 'other' });
    const owners = oneEpoch('a', 'b', 'c', 'd');
    expect(tooFewFiles(plan, owners, 'b', EACH, 1_064)).toBeUndefined();
    expect(tooFewFiles(plan, owners, 'b', EACH, 1_063)).toContain('1000 connections');
  });

  test('of arrivals counts the VUs made ahead, not those that may never be needed', () => {
    const plan = planOf(openScenario({ preAllocatedVus: 50, maxVus: 10_000 }));
    expect(tooFewFiles(plan, oneEpoch('a'), 'a', EACH, 1_024)).toBeUndefined();
    expect(tooFewFiles(plan, oneEpoch('a'), 'a', EACH, 100)).toContain('50 connections');
  });

  test('shares connections when it is told to', () => {
    const plan = planOf(closedScenario({ vus: 10_000 }));
    expect(tooFewFiles(plan, oneEpoch('a'), 'a', { kind: 'shared', max: 100 }, 1_024)).toBeUndefined();
  });

  test('takes what the system does not say for enough', () => {
    expect(tooFewFiles(planOf(closedScenario({ vus: 10_000 })), oneEpoch('a'), 'a', EACH, undefined)).toBeUndefined();
  });

  test('reads its limit from the system', () => {
    const limit = openFilesMax();
    if (process.platform === 'linux') expect(limit).toBeGreaterThan(64);
    else expect(limit).toBeUndefined();
  });
});

function planOf(...scenarios: PlannedScenario[]): Plan {
  return { name: 'files', seed: 1, intervalMs: 1_000, scenarios };
}
