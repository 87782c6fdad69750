import { describe, expect, test } from 'vitest';
import type { ClosedLoad, PlannedScenario } from '../../shared/plan/index.ts';
import { DrivenExecutor } from '../support/driven-executor.ts';
import { oneEpoch } from '../support/plans.ts';

const MS = 1_000;

function scenario(load: ClosedLoad, gracefulStopUs = 1_000 * MS): PlannedScenario {
  return { name: 'closed', startUs: 0, gracefulStopUs, load };
}

/** Lets every iteration take `lengthUs`, in turns of a millisecond, until `untilUs`. */
function drive(driven: DrivenExecutor, lengthUs: number, untilUs: number): void {
  for (let us = 0; us <= untilUs; us += MS) {
    driven.turnAt(us);
    for (const actor of driven.busy) if ((actor.running?.atUs ?? 0) + lengthUs <= us) driven.complete(actor);
  }
}

describe('ramping-vus', () => {
  const ramp: ClosedLoad = {
    kind: 'ramping-vus',
    startVus: 0,
    stages: [
      { durationUs: 100 * MS, targetVus: 4 },
      { durationUs: 100 * MS, targetVus: 0 },
    ],
    gracefulRampDownUs: 20 * MS,
  };

  test('VUs come when the line passes half of them, the lowest number first', () => {
    const driven = new DrivenExecutor(scenario(ramp), oneEpoch('a'), 'a');
    drive(driven, 1_000 * MS, 99 * MS);
    expect(driven.started.map(({ vu, intendedUs }) => [vu, intendedUs])).toEqual([
      [0, 12.5 * MS],
      [1, 37.5 * MS],
      [2, 62.5 * MS],
      [3, 87.5 * MS],
    ]);
  });

  test('a VU that is ramped down ends its iteration within the graceful ramp-down, or is interrupted', () => {
    const driven = new DrivenExecutor(scenario(ramp), oneEpoch('a'), 'a');
    drive(driven, 1_000 * MS, 132 * MS);
    expect(driven.counts).toMatchObject({ started: 4, interrupted: 0 });
    driven.turnAt(133 * MS);
    // VU 3 left at 112.5 ms.
    expect(driven.counts).toMatchObject({ started: 4, interrupted: 1 });
    expect(driven.executor.activeVus).toBe(3);
  });

  test('a VU that is wanted again before its iteration ended goes on with it', () => {
    const dip: ClosedLoad = {
      kind: 'ramping-vus',
      startVus: 1,
      stages: [
        { durationUs: 0, targetVus: 1 },
        { durationUs: 10 * MS, targetVus: 0 },
        { durationUs: 10 * MS, targetVus: 1 },
        { durationUs: 80 * MS, targetVus: 1 },
      ],
      gracefulRampDownUs: 30 * MS,
    };
    const driven = new DrivenExecutor(scenario(dip), oneEpoch('a'), 'a');
    drive(driven, 60 * MS, 90 * MS);
    expect(driven.counts).toMatchObject({ started: 2, interrupted: 0, completed: 1 });
  });

  test('is done when the last VU has left', () => {
    const driven = new DrivenExecutor(scenario(ramp), oneEpoch('a'), 'a');
    drive(driven, 5 * MS, 250 * MS);
    expect(driven.executor.isDone).toBe(true);
    const { started, completed, interrupted } = driven.counts;
    expect(started).toBe(completed + interrupted);
  });
});

describe('per-vu-iterations', () => {
  const load: ClosedLoad = { kind: 'per-vu-iterations', vus: 3, iterations: 4, maxDurationUs: 100 * MS };

  test('every VU runs its number and the indices are used once', () => {
    const driven = new DrivenExecutor(scenario(load), oneEpoch('a'), 'a');
    drive(driven, 3 * MS, 50 * MS);
    expect(driven.executor.isDone).toBe(true);
    expect(driven.started.map(({ index }) => index).sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => n));
    expect(driven.counts).toMatchObject({ started: 12, completed: 12, dropped: 0 });
  });

  test('what is not begun when the time is up is dropped and counted', () => {
    const driven = new DrivenExecutor(scenario(load), oneEpoch('a'), 'a');
    drive(driven, 60 * MS, 200 * MS);
    expect(driven.executor.isDone).toBe(true);
    expect(driven.counts).toMatchObject({ started: 6, completed: 6, dropped: 6 });
  });

  test('a stop takes the rest out of the plan instead of dropping it', () => {
    const driven = new DrivenExecutor(scenario(load), oneEpoch('a'), 'a');
    drive(driven, 10 * MS, 15 * MS);
    driven.executor.stop(20 * MS, 50 * MS);
    for (let us = 16 * MS; us <= 200 * MS; us += MS) driven.turnAt(us);
    expect(driven.executor.isDone).toBe(true);
    expect(driven.counts).toMatchObject({ started: 6, completed: 3, interrupted: 3, dropped: 0 });
  });
});

describe('shared-iterations', () => {
  const load: ClosedLoad = { kind: 'shared-iterations', vus: 2, iterations: 11, maxDurationUs: 100 * MS };

  test('a fast VU takes more than a slow one, and the pile is used up exactly', () => {
    const driven = new DrivenExecutor(scenario(load), oneEpoch('a'), 'a');
    for (let us = 0; us <= 60 * MS && !driven.executor.isDone; us += MS) {
      driven.turnAt(us);
      for (const actor of driven.busy) {
        if ((actor.running?.atUs ?? 0) + (actor.vu === 0 ? 2 : 20) * MS <= us) driven.complete(actor);
      }
    }
    expect(driven.started.map(({ index }) => index)).toEqual(Array.from({ length: 11 }, (_, n) => n));
    expect(driven.started.filter(({ vu }) => vu === 0).length).toBe(10);
  });

  test('three agents share one pile without a gap and without an index twice', () => {
    const indices = ['a', 'b', 'c'].flatMap((agent) => {
      const driven = new DrivenExecutor(scenario({ ...load, vus: 5 }), oneEpoch('a', 'b', 'c'), agent);
      drive(driven, 2 * MS, 60 * MS);
      return driven.started.map(({ index }) => index);
    });
    expect(indices.sort((a, b) => a - b)).toEqual(Array.from({ length: 11 }, (_, n) => n));
  });
});
