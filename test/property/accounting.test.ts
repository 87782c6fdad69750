import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settle, type AgentAccount } from '../../coordinator/accounting.ts';
import { createSchedule, Stripe, type Epoch, type OpenLoad, type Plan, type PlannedScenario } from '../../shared/plan/index.ts';
import { imbalances } from '../../shared/stats/index.ts';
import { scenarioLedger } from '../support/intervals.ts';
import { closedScenario, oneEpoch, openScenario } from '../support/plans.ts';

const AGENTS = ['a', 'b', 'c', 'd'];
const SEED = 11;

/** How one agent's part went. Instants are run-relative. */
interface Fate {
  /** When it was last heard of, and what it had accounted for by then; `undefined` for one that ended its part. */
  readonly lost: { readonly lastSeenUs: number; readonly silentUs: number } | undefined;
  /** Of what it started or dropped, so many parts in a hundred were dropped; of what it started, so many completed. */
  readonly droppedPercent: number;
  readonly completedPercent: number;
}

const scenario: fc.Arbitrary<PlannedScenario & { readonly load: OpenLoad }> = fc
  .record({
    segments: fc.array(
      fc.record({
        durationUs: fc.integer({ min: 1, max: 900_000 }),
        startRate: fc.integer({ min: 1, max: 300 }),
        endRate: fc.nat({ max: 300 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    arrivals: fc.constantFrom('uniform', 'poisson'),
    maxVus: fc.integer({ min: 1, max: 12 }),
    startUs: fc.nat({ max: 500_000 }),
  })
  .map(({ startUs, ...load }) => openScenario({ kind: 'ramping-arrival-rate', ...load }, { startUs }));
const epochs: fc.Arbitrary<Epoch[]> = fc
  .array(fc.tuple(fc.nat({ max: 2_000_000 }), fc.array(fc.constantFrom(...AGENTS), { minLength: 1, maxLength: 6 })), {
    minLength: 1,
    maxLength: 4,
  })
  .map(
    (list) =>
    list.map(([atUs, owners]) => ({ atUs, owners })).sort((a, b) => a.atUs - b.atUs).map(({ atUs, owners }, number) => ({ number, fromUs: number === 0 ? 0 : atUs, owners })), // prettier-ignore
  );
const fate: fc.Arbitrary<Fate> = fc.record({
  lost: fc.option(fc.record({ lastSeenUs: fc.nat({ max: 3_000_000 }), silentUs: fc.nat({ max: 1_000_000 }) }), { nil: undefined }),
  droppedPercent: fc.nat({ max: 100 }),
  completedPercent: fc.nat({ max: 100 }),
});
const fates = fc.tuple(fate, fate, fate, fate);
const cut = fc.oneof(fc.constant(Infinity), fc.nat({ max: 3_000_000 }));

describe('a settled run', () => {
  test('balances, whichever agents are lost, whenever they were last heard of and wherever the run was cut', () => {
    fc.assert(
      fc.property(scenario, epochs, fates, cut, (one, ownership, parts, cutUs) => {
        const plan = planOf(one);
        const schedule = createSchedule(one, SEED);
        const accounts = parts.map((part, i) => accountOf(one, ownership, AGENTS[i] ?? '', part, cutUs));
        const recorded = accounts.reduce((sum, { samplesRecorded }) => sum + samplesRecorded, 0);
        const ledger = settle(plan, ownership, cutUs, accounts, { merged: recorded, duplicate: 0 });
        expect(imbalances(ledger)).toEqual([]);
        expect(ledger.planned).toBe(cutUs === Infinity ? schedule.count : schedule.countBefore(cutUs));
        for (const count of [ledger.undelivered, ledger.unknown, ledger.interrupted]) expect(count).toBeGreaterThanOrEqual(0);

        // By definition, index by index: what no lost agent accounted for is unknown up to its last sign of life, and nobody's after it.
        let unknown = 0;
        let undelivered = 0;
        parts.forEach(({ lost }, i) => {
          if (lost === undefined) return;
          const instants = stripeOf(one, ownership, AGENTS[i] ?? '').filter((us) => us < cutUs);
          const accounted = instants.filter((us) => us < lost.lastSeenUs - lost.silentUs).length;
          const seen = instants.filter((us) => us < lost.lastSeenUs).length;
          unknown += seen - accounted;
          undelivered += instants.length - seen;
        });
        expect([ledger.unknown, ledger.undelivered]).toEqual([unknown, undelivered]);
        if (parts.every(({ lost }) => lost === undefined)) expect([unknown, undelivered]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });

  test('does not balance when an agent that ended its part says one iteration more or less than the plan', () => {
    fc.assert(
      fc.property(scenario, cut, fc.constantFrom(-1, 1), (one, cutUs, error) => {
        const ownership = oneEpoch(...AGENTS);
        const whole: Fate = { lost: undefined, droppedPercent: 0, completedPercent: 100 };
        const accounts = AGENTS.map((agent) => accountOf(one, ownership, agent, whole, cutUs));
        const [first, ...others] = accounts;
        const said = first?.ledgers[0]?.ledger;
        fc.pre(first !== undefined && said !== undefined && said.started + error >= 0);
        const started = said.started + error;
        const wrong = { ...first, ledgers: [scenarioLedger(one.name, { started, completed: started })] };
        const ledger = settle(planOf(one), ownership, cutUs, [wrong, ...others], { merged: 0, duplicate: 0 });
        expect(imbalances(ledger)).toHaveLength(1);
      }),
    );
  });

  test('of VUs that loop plans what they started, and counts what a lost agent had under way as interrupted', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 99 }), fc.nat({ max: 99 }), fc.boolean()), { minLength: 1, maxLength: 4 }),
        cut,
        (said, cutUs) => {
          const loop = closedScenario();
          const accounts = said.map(([completed, underWay, isFinal], i) => ({
            agent: AGENTS[i] ?? '',
            ledgers: [scenarioLedger(loop.name, { started: completed + underWay, completed, interrupted: isFinal ? underWay : 0 })],
            samplesRecorded: 0,
            epochs: 1,
            isFinal,
            lastSeenUs: 500_000,
          }));
          const ledger = settle(planOf(loop), oneEpoch(...AGENTS), cutUs, accounts, { merged: 0, duplicate: 0 });
          const started = said.reduce((sum, [completed, underWay]) => sum + completed + underWay, 0);
          const interrupted = said.reduce((sum, [, underWay]) => sum + underWay, 0);
          expect(ledger).toMatchObject({ planned: started, started, interrupted, undelivered: 0, unknown: 0 });
          expect(imbalances(ledger)).toEqual([]);
        },
      ),
    );
  });
});

describe('the settlement of an agent that was lost', () => {
  const plan = planOf(openScenario({ ratePerSecond: 10, seconds: 10 }));

  test('worked: heard of at 4.05 s with 30 accounted for, 11 are unknown and the 59 after it undelivered', () => {
    const account = lostAt(4_050_000, { started: 28, dropped: 2, completed: 25 });
    const ledger = settle(plan, oneEpoch('a'), Infinity, [account], { merged: 25, duplicate: 0 });
    expect(ledger).toEqual({
      planned: 100,
      started: 28,
      dropped: 2,
      undelivered: 59,
      unknown: 11,
      completed: 25,
      interrupted: 3,
      samples: { recorded: 25, merged: 25, missing: 0, duplicate: 0 },
    });
  });

  test('worked: a stop just before 3 s makes nothing of the plan after it undelivered', () => {
    const account = lostAt(2_050_000, { started: 15, completed: 15 });
    const ledger = settle(plan, oneEpoch('a'), 2_990_000, [account], { merged: 25, duplicate: 0 });
    expect(ledger).toMatchObject({ planned: 30, started: 15, unknown: 6, undelivered: 9 });
  });

  test('does not balance when it went on firing past a stop that never reached it, instead of counting backwards', () => {
    const account = lostAt(5_000_000, { started: 50, completed: 50 });
    const ledger = settle(plan, oneEpoch('a'), 2_990_000, [account], { merged: 25, duplicate: 0 });
    expect(ledger).toMatchObject({ planned: 30, started: 50, unknown: 0, undelivered: 0 });
    expect(imbalances(ledger)).toHaveLength(1);
  });

  test('an agent that never said a word owes its whole share', () => {
    const silent: AgentAccount = { agent: 'b', ledgers: [], samplesRecorded: 0, epochs: 1, isFinal: false, lastSeenUs: -400_000 };
    const ended: AgentAccount = { ...lostAt(0, { started: 50, completed: 50 }), isFinal: true };
    const ledger = settle(plan, oneEpoch('a', 'b'), Infinity, [ended, silent], { merged: 25, duplicate: 0 });
    expect(ledger).toMatchObject({ planned: 100, started: 50, unknown: 0, undelivered: 50 });
  });

  test('samples that never arrived are missing, and samples nobody recorded are an imbalance', () => {
    const account = lostAt(10_000_000, { started: 100, completed: 100 });
    const lost = settle(plan, oneEpoch('a'), Infinity, [account], { merged: 20, duplicate: 3 });
    expect([lost.samples, imbalances(lost)]).toEqual([{ recorded: 25, merged: 20, missing: 5, duplicate: 3 }, []]);
    const invented = settle(plan, oneEpoch('a'), Infinity, [account], { merged: 26, duplicate: 0 });
    expect([invented.samples.missing, imbalances(invented).length]).toEqual([0, 1]);
  });

  function lostAt(lastSeenUs: number, said: Parameters<typeof scenarioLedger>[1]): AgentAccount {
    return { agent: 'a', ledgers: [scenarioLedger('browse', said)], samplesRecorded: 25, epochs: 1, isFinal: false, lastSeenUs };
  }
});

describe('the settlement of an agent that ended its part without hearing of the last epoch', () => {
  const plan = planOf(openScenario({ ratePerSecond: 10, seconds: 10 }));
  const before = oneEpoch('a', 'b');
  const scaled: Epoch = {
    ...{ number: 1, fromUs: 6_000_000, owners: ['a', 'b'] },
    amendments: [{ kind: 'rate', scenario: 'browse', ratePerSecond: 20, maxVus: 10 }],
  };

  test.each([
    ['more', 20, 140, 40 - 20],
    ['less', 5, 80, 10 - 20],
  ])('worked: it forfeited 20 of its 50 after 6 s, and the load became %s', (_, ratePerSecond, planned, more) => {
    const epochs = [...before, { ...scaled, amendments: [{ kind: 'rate' as const, scenario: 'browse', ratePerSecond, maxVus: 10 }] }];
    const hearing = final('b', 2, { started: planned / 2, completed: planned / 2 });
    const deaf = final('a', 1, { started: 28, completed: 28, undelivered: 22 });
    const ledger = settle(plan, epochs, Infinity, [deaf, hearing], { merged: 0, duplicate: 0 });
    expect(ledger).toMatchObject({ planned, started: 28 + planned / 2, undelivered: 22 + more, unknown: 0 });
    expect(imbalances(ledger)).toEqual([]);
  });

  test('what it was to take over from another is undelivered', () => {
    const epochs = [...before, { number: 1, fromUs: 6_000_000, owners: ['a', 'a'] }];
    const dead: AgentAccount = { ...final('b', 1, { started: 30, completed: 30 }), isFinal: false, lastSeenUs: 6_000_000 };
    const deaf = final('a', 1, { started: 50, completed: 50 }, 9_800_000);
    const ledger = settle(plan, epochs, Infinity, [deaf, dead], { merged: 0, duplicate: 0 });
    expect(ledger).toMatchObject({ planned: 100, started: 80, undelivered: 20, unknown: 0 });
    expect(imbalances(ledger)).toEqual([]);
  });

  test('does not balance when it fired on by the load that was no longer planned', () => {
    const hearing = final('b', 2, { started: 70, completed: 70 });
    const astray = final('a', 1, { started: 50, completed: 50 }, 9_800_000);
    const ledger = settle(plan, [...before, scaled], Infinity, [astray, hearing], { merged: 0, duplicate: 0 });
    expect(imbalances(ledger)).toHaveLength(1);
  });

  test('does not balance when it fired on after an earlier silence, or fired what had become another’s', () => {
    const slower: Epoch = { ...scaled, amendments: [{ kind: 'rate', scenario: 'browse', ratePerSecond: 5, maxVus: 10 }] };
    const firedOn = final('a', 1, { started: 30, completed: 30, undelivered: 20 }, 9_800_000);
    const hearing = final('b', 2, { started: 40, completed: 40 });
    expect(imbalances(settle(plan, [...before, slower], Infinity, [firedOn, hearing], { merged: 0, duplicate: 0 }))).toHaveLength(1);

    const shared = [...before, { number: 1, fromUs: 6_000_000, owners: ['a', 'b', 'c', 'd'] }];
    const robbed = final('a', 1, { started: 50, completed: 50 }, 9_800_000);
    const others = [
      final('b', 2, { started: 40, completed: 40 }),
      final('c', 2, { started: 10, completed: 10 }),
      final('d', 2, { started: 10, completed: 10 }),
    ];
    expect(imbalances(settle(plan, shared, Infinity, [robbed, ...others], { merged: 0, duplicate: 0 }))).toHaveLength(1);
  });

  function final(agent: string, epochs: number, said: Parameters<typeof scenarioLedger>[1], firedUntilUs = 0): AgentAccount {
    return {
      agent,
      ledgers: [scenarioLedger('browse', said, 0, 0, firedUntilUs)],
      samplesRecorded: 0,
      epochs,
      isFinal: true,
      lastSeenUs: 0,
    };
  }
});

function planOf(one: PlannedScenario): Plan {
  return { name: 'settled', seed: SEED, intervalMs: 1_000, scenarios: [one] };
}

/** Instants of an agent's share. */
function stripeOf(one: PlannedScenario, ownership: readonly Epoch[], agent: string): number[] {
  const instants: number[] = [];
  const stripe = new Stripe(one, createSchedule(one, SEED), ownership, agent);
  while (stripe.index >= 0) {
    instants.push(stripe.instantUs);
    stripe.advance();
  }
  return instants;
}

/** What an agent of this fate has said in the end: all of its share before the cut, or what fell due before it fell silent. */
function accountOf(
  one: PlannedScenario,
  ownership: readonly Epoch[],
  agent: string,
  { lost, ...parts }: Fate,
  cutUs: number,
): AgentAccount {
  const untilUs = lost === undefined ? cutUs : Math.min(cutUs, lost.lastSeenUs - lost.silentUs);
  const due = stripeOf(one, ownership, agent).filter((us) => us < untilUs).length;
  const dropped = Math.floor((due * parts.droppedPercent) / 100);
  const started = due - dropped;
  const completed = Math.floor((started * parts.completedPercent) / 100);
  const interrupted = lost === undefined ? started - completed : 0;
  return {
    agent,
    ledgers: [scenarioLedger(one.name, { started, dropped, completed, interrupted })],
    samplesRecorded: completed * 6,
    epochs: ownership.length,
    isFinal: lost === undefined,
    lastSeenUs: lost?.lastSeenUs ?? 0,
  };
}
