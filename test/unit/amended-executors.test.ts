import { describe, expect, test } from 'vitest';
import type { Epoch } from '../../shared/plan/index.ts';
import { DrivenExecutor } from '../support/driven-executor.ts';
import { closedScenario, oneEpoch, openScenario } from '../support/plans.ts';

function then(epochs: readonly Epoch[], fromUs: number, parts: Partial<Epoch>): Epoch[] {
  return [...epochs, { number: epochs.length, fromUs, owners: epochs.at(-1)?.owners ?? [], ...parts }];
}

describe('an arrival-rate executor that holds its fire', () => {
  test('forfeits what falls due, and what waited, counts both, and begins none of it when it may fire again', () => {
    const driven = new DrivenExecutor(openScenario({ maxVus: 2 }), oneEpoch('a'), 'a');
    driven.turnAt(250_000);
    expect(driven.counts).toMatchObject({ started: 2, waiting: 1 });
    driven.leaseEndsUs = 300_000;
    driven.turnAt(650_000);
    driven.complete(driven.busy[0]);
    expect(driven.counts).toMatchObject({ started: 2, undelivered: 1 + 4, waiting: 0 });
    driven.leaseEndsUs = Infinity;
    driven.turnAt(750_000);
    expect(driven.started.map(({ index }) => index)).toEqual([0, 1, 7]);
  });

  test('is forgiven what was somebody else’s by then, and owes what it has become its own too late', () => {
    const driven = new DrivenExecutor(openScenario(), oneEpoch('a', 'b'), 'a');
    driven.turnAt(0);
    driven.leaseEndsUs = 100_000;
    // It was frozen from 100 ms to 650 ms. From 310 ms on everything was b's, from 490 ms on everything is a's.
    driven.turnAt(650_000);
    expect(driven.counts).toMatchObject({ started: 1, undelivered: 3 });
    driven.amend(then(then(oneEpoch('a', 'b'), 310_000, { owners: ['b'] }), 490_000, { owners: ['a'] }));
    // Of 2, 4 and 6, which it forfeited, the 4 was b's; 5 and 6 have become its own, and passed.
    expect(driven.counts).toMatchObject({ started: 1, undelivered: 3 });
    driven.leaseEndsUs = Infinity;
    driven.turnAt(950_000);
    expect([driven.started.map(({ index }) => index), driven.executor.astray]).toEqual([[0, 7, 8, 9], 0]);
  });
});

describe('an executor that hears of an epoch too late', () => {
  test('says how much it fired that was no longer its own', () => {
    const driven = new DrivenExecutor(openScenario(), oneEpoch('a'), 'a');
    driven.turnAt(650_000);
    driven.amend(then(oneEpoch('a'), 350_000, { owners: ['b'] }));
    driven.turnAt(1_000_000);
    expect([driven.counts.started, driven.executor.astray, driven.executor.isDone]).toEqual([7, 3, false]);
  });
});

test('a turn past every instant there is ends an arrival-rate executor, and ends itself', () => {
  const driven = new DrivenExecutor(openScenario(), then(oneEpoch('a'), 350_000, { owners: ['a'] }), 'a');
  driven.turnAt(Infinity);
  for (const actor of driven.busy) driven.complete(actor);
  expect(driven.executor.isDone).toBe(true);
});

describe('an arrival-rate executor whose VUs move', () => {
  test('closes those that went when they are free, and makes those that came', () => {
    const driven = new DrivenExecutor(openScenario({ maxVus: 4 }), oneEpoch('a', 'b'), 'a');
    driven.turnAt(250_000);
    expect(driven.actors.map(({ vu }) => vu)).toEqual([0, 2]);
    driven.amend(then(oneEpoch('a', 'b'), 310_000, { owners: ['b', 'a'] }));
    driven.complete(driven.busy[0]);
    driven.turnAt(350_000);
    expect(driven.actors.map(({ vu, isClosed }) => [vu, isClosed])).toEqual([
      [0, true],
      [2, false],
    ]);
    driven.complete(driven.busy[0]);
    driven.turnAt(550_000);
    expect(driven.actors.map(({ vu, isClosed }) => [vu, isClosed])).toEqual([
      [0, true],
      [2, true],
      [1, false],
    ]);
  });
});

describe('an agent that hears of two epochs after their instant', () => {
  test('owes nothing of what the first gave it and the second took away again', () => {
    const given = then(oneEpoch('b'), 500_000, { owners: ['a'] });
    const taken = then(given, 500_000, { owners: ['b'] });
    const driven = new DrivenExecutor(openScenario({ seconds: 1 }), oneEpoch('b'), 'a');
    driven.turnAt(800_000);
    driven.amend(given);
    expect(driven.counts.undelivered).toBeGreaterThan(0);
    driven.amend(taken);
    expect([driven.counts.undelivered, driven.executor.astray]).toEqual([0, 0]);
  });
});

describe('a constant-vus executor', () => {
  test('that holds its fire lets iterations end, and goes on when it may', () => {
    const driven = new DrivenExecutor(closedScenario({ vus: 2 }), oneEpoch('a'), 'a');
    driven.turnAt(0);
    driven.leaseEndsUs = 100_000;
    driven.turnAt(200_000);
    driven.complete(driven.busy[0]);
    driven.turnAt(300_000);
    expect([driven.busy.length, driven.started.length]).toEqual([1, 2]);
    driven.leaseEndsUs = Infinity;
    driven.turnAt(400_000);
    expect(driven.started.at(-1)).toEqual({ vu: 0, index: 2, intendedUs: 400_000, atUs: 400_000 });
  });

  test('takes over VUs as new incarnations with numbers of their own, and gives up others when their iteration has ended', () => {
    const epochs = then(oneEpoch('a', 'b'), 500_000, { owners: ['b', 'a'] });
    const driven = new DrivenExecutor(closedScenario({ vus: 2 }), oneEpoch('a', 'b'), 'a');
    driven.turnAt(0);
    driven.amend(epochs);
    driven.turnAt(500_000);
    expect(driven.busy.map(({ vu }) => vu)).toEqual([0, 1]);
    driven.complete(driven.busy[0]);
    expect(driven.busy.map(({ vu }) => vu)).toEqual([1]);
    expect(driven.started.at(-1)).toEqual({ vu: 1, index: 1_000_000_000_001, intendedUs: 500_000, atUs: 500_000 });
  });

  test('is scaled and paused', () => {
    const scaled = then(oneEpoch('a'), 200_000, { amendments: [{ kind: 'vus', scenario: 'loop', vus: 3 }] });
    const paused = then(scaled, 400_000, { amendments: [{ kind: 'pause' }] });
    const driven = new DrivenExecutor(closedScenario({ vus: 1 }), oneEpoch('a'), 'a');
    driven.turnAt(0);
    driven.amend(then(paused, 600_000, { amendments: [{ kind: 'resume' }] }));
    driven.turnAt(200_000);
    expect(driven.busy.map(({ vu }) => vu)).toEqual([0, 1, 2]);
    driven.turnAt(400_000);
    for (const actor of driven.busy) driven.complete(actor);
    expect(driven.busy).toEqual([]);
    expect(driven.executor.dueUs).toBe(600_000);
    driven.turnAt(600_000);
    expect(driven.busy.map(({ vu }) => vu)).toEqual([0, 1, 2]);
  });
});
