import { describe, expect, test } from 'vitest';
import { WaitingLine } from '../../agent/executors/waiting-line.ts';
import { DrivenExecutor } from '../support/driven-executor.ts';
import { closedScenario, oneEpoch, openScenario } from '../support/plans.ts';

describe('an arrival-rate executor', () => {
  test('starts every arrival that is due, on one VU after the other, each with the instant of the plan', () => {
    const driven = new DrivenExecutor(openScenario(), oneEpoch('a'), 'a');
    expect(driven.executor.dueUs).toBe(0);
    driven.turnAt(10);
    expect(driven.executor.dueUs).toBeCloseTo(100_000, 3);
    driven.turnAt(250_000);
    expect(driven.started).toEqual([
      { vu: 0, index: 0, intendedUs: 0, atUs: 10 },
      { vu: 1, index: 1, intendedUs: 100_000, atUs: 250_000 },
      { vu: 2, index: 2, intendedUs: 200_000, atUs: 250_000 },
    ]);
    expect(driven.lagsUs.map(Math.round)).toEqual([10, 150_000, 50_000]);
    expect(driven.executor.activeVus).toBe(3);
  });

  test('uses the VU that was free last first, so that a light load stays on few connections', () => {
    const driven = new DrivenExecutor(openScenario({ preAllocatedVus: 10 }), oneEpoch('a'), 'a');
    for (let i = 0; i < 10; i++) {
      driven.turnAt(i * 100_000);
      driven.complete(driven.busy[0]);
    }
    expect(new Set(driven.started.map(({ vu }) => vu)).size).toBe(1);
  });

  test('after a stall, arrivals take the VUs that answers already here set free, before they take new ones', () => {
    const driven = new DrivenExecutor(openScenario({ preAllocatedVus: 3, maxVus: 5 }), oneEpoch('a'), 'a');
    driven.turnAt(0);
    // Three arrivals are due and one answer is still to be read: they wait for it, and stay due.
    driven.turnAt(350_000, false);
    expect(driven.started).toHaveLength(1);
    expect(driven.executor.dueUs).toBeCloseTo(100_000, 3);
    driven.complete(driven.busy[0]);
    driven.turnAt(350_001, false);
    expect(driven.started.map(({ vu, index }) => ({ vu, index }))).toEqual([
      { vu: 2, index: 0 },
      { vu: 2, index: 1 },
    ]);
    // Nothing more is to be read: now new ones are used, those that are ready first.
    driven.turnAt(350_002, true);
    expect(driven.started.map(({ vu, index }) => ({ vu, index })).slice(2)).toEqual([
      { vu: 1, index: 2 },
      { vu: 0, index: 3 },
    ]);
  });

  test('an arrival without a free VU waits, keeps its instant, and is next when a VU is free', () => {
    const driven = new DrivenExecutor(openScenario({ maxVus: 2 }), oneEpoch('a'), 'a');
    driven.turnAt(450_000);
    expect(driven.counts).toEqual({ started: 2, dropped: 0, undelivered: 0, completed: 0, interrupted: 0, waiting: 3 });
    driven.nowUs = 480_000;
    driven.complete(driven.busy[0]);
    expect(driven.started.at(-1)).toEqual({ vu: 0, index: 2, intendedUs: 200_000, atUs: 480_000 });
    expect(driven.counts).toEqual({ started: 3, dropped: 0, undelivered: 0, completed: 1, interrupted: 0, waiting: 2 });
  });

  test('the wait for a VU shows as schedule lag', () => {
    const driven = new DrivenExecutor(openScenario({ maxVus: 1 }), oneEpoch('a'), 'a');
    driven.turnAt(100_000);
    driven.nowUs = 700_000;
    driven.complete(driven.busy[0]);
    const measured = driven.recorder.seal();
    const lag = measured.defines.find(({ metric }) => metric === 'schedule_lag')?.number;
    expect(measured.trends.find(({ series }) => series === lag)).toMatchObject({ count: 2, minUs: 100_000, maxUs: 600_000 });
  });

  test('drops and counts what arrives past a million waiting', () => {
    const driven = new DrivenExecutor(openScenario({ ratePerSecond: 1_000_010, maxVus: 1 }), oneEpoch('a'), 'a');
    driven.turnAt(1_000_000);
    expect(driven.counts).toMatchObject({ started: 1, dropped: 9, completed: 0, waiting: 1_000_000 });
  });

  test('starts none of the arrivals planned at or after the instant of a stop, and drops who waits', () => {
    const driven = new DrivenExecutor(openScenario({ maxVus: 2 }), oneEpoch('a'), 'a');
    driven.turnAt(350_000);
    driven.executor.stop(600_000, 5_000_000);
    expect(driven.counts).toEqual({ started: 2, dropped: 2, undelivered: 0, completed: 0, interrupted: 0, waiting: 0 });
    driven.complete(driven.busy[0]);
    driven.turnAt(10_000_000 - 1);
    // 0 and 1 ran before; 4 found the VU that became free; 5 waited in vain; 6 and later are no longer part of the plan.
    expect(driven.started.map(({ index }) => index)).toEqual([0, 1, 4]);
    expect(driven.executor.isDone).toBe(true);
    expect(driven.counts).toEqual({ started: 3, dropped: 3, undelivered: 0, completed: 1, interrupted: 2, waiting: 0 });
  });

  test('is done at the end of the load when nothing is under way, without waiting for the grace: until then an epoch may bring more', () => {
    const driven = new DrivenExecutor(openScenario({ ratePerSecond: 2 }), oneEpoch('a'), 'a');
    driven.turnAt(500_000);
    driven.complete(driven.busy[0]);
    driven.complete(driven.busy[0]);
    expect([driven.executor.isDone, driven.executor.dueUs]).toEqual([false, 1_000_000]);
    driven.turnAt(1_000_000);
    expect([driven.executor.isDone, driven.executor.dueUs]).toEqual([true, Infinity]);
  });

  test('interrupts at the end of the grace what still runs, and drops what still waits', () => {
    const driven = new DrivenExecutor(openScenario({ maxVus: 3 }), oneEpoch('a'), 'a');
    driven.turnAt(1_000_000);
    expect(driven.executor.dueUs).toBe(2_000_000);
    driven.turnAt(1_999_999);
    expect(driven.executor.isDone).toBe(false);
    driven.turnAt(2_000_000);
    expect(driven.executor.isDone).toBe(true);
    expect(driven.counts).toEqual({ started: 3, dropped: 7, undelivered: 0, completed: 0, interrupted: 3, waiting: 0 });
  });

  test('a second stop never puts the end of the plan later', () => {
    const driven = new DrivenExecutor(openScenario(), oneEpoch('a'), 'a');
    driven.turnAt(0);
    driven.executor.stop(150_000, 0);
    driven.executor.stop(900_000, 5_000_000);
    driven.turnAt(1_000_000);
    expect(driven.counts).toMatchObject({ started: 2, interrupted: 2 });
    expect(driven.executor.isDone).toBe(true);
  });

  test('covers the run up to its next arrival, and never past the stop', () => {
    const driven = new DrivenExecutor(openScenario(), oneEpoch('a'), 'a');
    driven.turnAt(0);
    expect(driven.executor.ledger(99_999).coveredUntilUs).toBe(99_999);
    expect(driven.executor.ledger(150_000).coveredUntilUs).toBeCloseTo(100_000, 3);
    driven.executor.stop(50_000, 0);
    expect(driven.executor.ledger(150_000).coveredUntilUs).toBe(50_000);
  });

  test('without a share of the plan it only waits for the end of the load', () => {
    const driven = new DrivenExecutor(openScenario(), oneEpoch('b'), 'a');
    driven.turnAt(500_000);
    expect([driven.executor.isDone, driven.executor.dueUs]).toEqual([false, 1_000_000]);
    driven.turnAt(1_000_000);
    expect([driven.executor.isDone, driven.started, driven.actors]).toEqual([true, [], []]);
  });

  test('takes its part of the VUs kept ready, and closes every VU it made', () => {
    const driven = new DrivenExecutor(openScenario({ preAllocatedVus: 4, maxVus: 8 }), oneEpoch('a', 'b'), 'b');
    expect(driven.actors.map(({ vu }) => vu)).toEqual([1, 3]);
    driven.executor.close();
    expect(driven.actors.every(({ isClosed }) => isClosed)).toBe(true);
  });
});

describe('a constant-vus executor', () => {
  test('begins all its VUs at the start, and each again when it has ended', () => {
    const driven = new DrivenExecutor(closedScenario({}, { startUs: 300_000 }), oneEpoch('a', 'b'), 'b');
    driven.turnAt(200_000);
    expect([driven.started, driven.executor.dueUs, driven.executor.isDone]).toEqual([[], 300_000, false]);
    driven.turnAt(300_050);
    driven.nowUs = 400_000;
    driven.complete(driven.busy[1]);
    expect(driven.started).toEqual([
      { vu: 1, index: 1, intendedUs: 300_000, atUs: 300_050 },
      { vu: 3, index: 3, intendedUs: 300_000, atUs: 300_050 },
      { vu: 3, index: 7, intendedUs: 400_000, atUs: 400_000 },
    ]);
    expect(driven.lagsUs).toEqual([50, 50]);
  });

  test('no two iterations of the cluster have the same index', () => {
    const agents = ['a', 'b', 'c'].map((agent) => new DrivenExecutor(closedScenario({ vus: 7 }), oneEpoch('a', 'b', 'c'), agent));
    for (const [position, driven] of agents.entries()) {
      driven.turnAt(0);
      // Every agent is differently fast.
      for (let i = 0; i < 10 + position * 7; i++) driven.complete(driven.busy[0]);
    }
    const indices = agents.flatMap(({ started }) => started.map(({ index }) => index));
    expect(new Set(indices).size).toBe(indices.length);
  });

  test('begins nothing at or after its end, and waits for who is under way', () => {
    const driven = new DrivenExecutor(closedScenario({ vus: 2 }), oneEpoch('a'), 'a');
    driven.turnAt(0);
    driven.nowUs = 999_999;
    driven.complete(driven.busy[0]);
    driven.nowUs = 1_000_000;
    driven.complete(driven.busy[0]);
    expect([driven.started.length, driven.executor.activeVus, driven.executor.dueUs]).toEqual([3, 1, 2_000_000]);
    driven.complete(driven.busy[0]);
    expect([driven.executor.isDone, driven.counts]).toEqual([
      true,
      { started: 3, dropped: 0, undelivered: 0, completed: 3, interrupted: 0, waiting: 0 },
    ]);
  });

  test('interrupts at the end of the grace, and no VU begins again', () => {
    const driven = new DrivenExecutor(closedScenario({ vus: 3 }), oneEpoch('a'), 'a');
    driven.turnAt(0);
    driven.complete(driven.busy[0]);
    driven.turnAt(2_000_000);
    expect(driven.executor.isDone).toBe(true);
    expect(driven.counts).toEqual({ started: 4, dropped: 0, undelivered: 0, completed: 1, interrupted: 3, waiting: 0 });
  });

  test('a stop ends it early, with a grace of its own', () => {
    const driven = new DrivenExecutor(closedScenario({ vus: 2 }), oneEpoch('a'), 'a');
    driven.turnAt(0);
    driven.executor.stop(400_000, 100_000);
    driven.nowUs = 450_000;
    driven.complete(driven.busy[0]);
    expect([driven.started.length, driven.executor.dueUs]).toEqual([2, 500_000]);
    driven.turnAt(500_000);
    expect(driven.counts).toEqual({ started: 2, dropped: 0, undelivered: 0, completed: 1, interrupted: 1, waiting: 0 });
  });

  test('stopped before it began, it never begins', () => {
    const driven = new DrivenExecutor(closedScenario({}, { startUs: 500_000 }), oneEpoch('a'), 'a');
    driven.executor.stop(400_000, 0);
    driven.turnAt(600_000);
    expect([driven.started, driven.executor.isDone, driven.executor.dueUs]).toEqual([[], true, Infinity]);
  });
});

describe('the line of waiting arrivals', () => {
  test('refuses what is beyond its bound and keeps what it has', () => {
    const line = new WaitingLine(3);
    expect([10, 11, 12, 13].map((index) => line.push(index, index * 100))).toEqual([true, true, true, false]);
    expect([line.length, line.firstIndex, line.firstIntendedUs]).toEqual([3, 10, 1_000]);
    line.shift();
    expect([line.push(14, 1_400), line.length, line.firstIndex]).toEqual([true, 3, 11]);
  });
});
