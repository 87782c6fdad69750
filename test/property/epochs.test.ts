import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settle, type AgentAccount } from '../../coordinator/accounting.ts';
import {
  amendScenario,
  createSchedule,
  handOverOwners,
  Stripe,
  vuSpans,
  type Amendment,
  type Epoch,
  type OpenLoad,
  type Plan,
  type PlannedScenario,
} from '../../shared/plan/index.ts';
import { imbalances } from '../../shared/stats/index.ts';
import { DrivenExecutor } from '../support/driven-executor.ts';
import { closedScenario, openScenario } from '../support/plans.ts';

const AGENTS = ['a', 'b', 'c', 'd'];
const SEED = 7;
const SECOND_US = 1_000_000;
/** How long before it takes force an epoch is heard of. */
const MARGIN_US = 100_000;
const LEASE_US = 150_000;
const STEP_US = 20_000;

const load: fc.Arbitrary<PlannedScenario & { readonly load: OpenLoad }> = fc
  .record({
    segments: fc.array(
      fc.record({
        durationUs: fc.integer({ min: 1, max: SECOND_US }),
        startRate: fc.nat({ max: 200 }),
        endRate: fc.nat({ max: 200 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    arrivals: fc.constantFrom('uniform', 'poisson'),
    startUs: fc.nat({ max: 300_000 }),
    indexLimit: fc.option(fc.nat({ max: 200 }), { nil: undefined, freq: 4 }),
  })
  .map(({ startUs, indexLimit, ...rest }) =>
    openScenario(
      { kind: 'ramping-arrival-rate', ...rest, maxVus: 400, ...(indexLimit === undefined ? {} : { indexLimit }) },
      { startUs, gracefulStopUs: 0 },
    ),
  );

const owners = fc.array(fc.constantFrom(...AGENTS), { minLength: 1, maxLength: 6 });
const amendment: fc.Arbitrary<Amendment> = fc.oneof(
  fc.record({
    kind: fc.constant('rate' as const),
    scenario: fc.constant('browse'),
    ratePerSecond: fc.integer({ min: 1, max: 300 }),
    maxVus: fc.integer({ min: 300, max: 500 }),
  }),
  fc.record({ kind: fc.constantFrom('pause' as const, 'resume' as const) }),
);
/** Changes as they are decided, at any time: another ownership, another load, or both. */
const changes = fc.array(
  fc.record({
    atUs: fc.nat({ max: 2 * SECOND_US }),
    owners: fc.option(owners, { nil: undefined }),
    amendments: fc.option(fc.array(amendment, { minLength: 1, maxLength: 2 }), { nil: undefined }),
  }),
  { maxLength: 6 },
);

function epochsOf(drawn: typeof changes extends fc.Arbitrary<infer T> ? T : never): Epoch[] {
  const epochs: Epoch[] = [{ number: 0, fromUs: 0, owners: AGENTS }];
  for (const { atUs, owners: next, amendments } of [...drawn].sort((one, other) => one.atUs - other.atUs)) {
    const last = epochs.at(-1);
    epochs.push({
      number: epochs.length,
      fromUs: atUs + MARGIN_US,
      owners: next ?? last?.owners ?? [],
      ...(amendments === undefined ? {} : { amendments }),
    });
  }
  return epochs;
}

describe('stripes', () => {
  test('of any epochs with any amendments make up the amended schedule: none twice, none missing', () => {
    fc.assert(
      fc.property(load, changes, (scenario, drawn) => {
        const epochs = epochsOf(drawn);
        const schedule = createSchedule(amendScenario(scenario, epochs), SEED);
        const indices = AGENTS.flatMap((agent) => {
          const stripe = new Stripe(scenario, schedule, epochs, agent);
          const own = walk(stripe);
          expect(own.every((index) => stripe.owns(index))).toBe(true);
          expect(stripe.countBefore(Infinity)).toBe(own.length);
          return own;
        });
        expect(indices.sort((one, other) => one - other)).toEqual(Array.from({ length: schedule.count }, (_, n) => n));
      }),
    );
  });

  test('skip to the first owned index from any on', () => {
    fc.assert(
      fc.property(load, changes, fc.nat({ max: 700 }), (scenario, drawn, from) => {
        const epochs = epochsOf(drawn);
        const schedule = createSchedule(amendScenario(scenario, epochs), SEED);
        const stripe = new Stripe(scenario, schedule, epochs, 'a');
        const own = walk(stripe);
        stripe.skipTo(from);
        expect(stripe.index).toBe(own.find((index) => index >= from) ?? -1);
      }),
    );
  });

  test('an amendment leaves every instant before it where it was', () => {
    fc.assert(
      fc.property(load, changes, (scenario, drawn) => {
        const epochs = epochsOf(drawn);
        const before = createSchedule(amendScenario(scenario, epochs.slice(0, -1)), SEED);
        const after = createSchedule(amendScenario(scenario, epochs), SEED);
        const fromUs = epochs.at(-1)?.fromUs ?? 0;
        const kept = before.countBefore(fromUs);
        expect(after.countBefore(fromUs)).toBe(kept);
        for (let n = 0; n < kept; n++) expect(after.instantUs(n)).toBeCloseTo(before.instantUs(n), 2);
      }),
    );
  });
});

describe('owners after some have gone', () => {
  test('keep every slot of those who stay, and give the others out by weight to within one', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(weights, fc.nat(), (drawn, gone) => {
        const agents = drawn.map((weight, i) => ({ id: `agent-${i}`, weight }));
        const before = agents.flatMap(({ id, weight }) => Array<string>(weight).fill(id));
        const staying = agents.filter((_, i) => i !== gone % agents.length);
        const after = handOverOwners(before, staying);
        expect(after.length % before.length).toBe(0);
        const ids = new Set(staying.map(({ id }) => id));
        after.forEach((owner, slot) => {
          const old = before[slot % before.length] ?? '';
          if (ids.has(old)) expect(owner).toBe(old);
          else expect(ids.has(owner)).toBe(true);
        });
        const total = staying.reduce((sum, { weight }) => sum + weight, 0);
        const vacant = after.filter((_, slot) => !ids.has(before[slot % before.length] ?? '')).length;
        for (const { id, weight } of staying) {
          const inherited = after.filter((owner, slot) => owner === id && before[slot % before.length] !== id).length;
          expect(inherited).toBeCloseTo((vacant * weight) / total, 6);
        }
      }),
    );
  });
});

describe('a cluster', () => {
  const delay = fc.nat({ max: MARGIN_US - 1 });

  test('whose agents hear of every epoch in time begins the amended plan: each iteration once, at its instant, whoever owns it', () => {
    fc.assert(
      fc.property(load, changes, fc.array(delay, { minLength: 24, maxLength: 24 }), (scenario, drawn, delays) => {
        const epochs = epochsOf(drawn);
        const agents = AGENTS.map((agent) => new DrivenExecutor(scenario, epochs.slice(0, 1), agent, SEED));
        for (const [number, driven] of agents.entries()) {
          const heard = epochs.slice(1).map(({ fromUs }, i) => fromUs - MARGIN_US + (delays[number * 6 + i] ?? 0));
          let known = 1;
          while (!driven.executor.isDone) {
            const { dueUs } = driven.executor;
            // One after the other, as on one stream, and everything in its order of time.
            const heardUs = known < epochs.length ? Math.max(...heard.slice(0, known)) : Infinity;
            expect(Math.min(heardUs, dueUs)).toBeLessThan(Infinity);
            driven.turnAt(Math.max(driven.nowUs, Math.min(heardUs, dueUs)));
            if (heardUs <= dueUs) driven.amend(epochs.slice(0, ++known));
            while (driven.busy.length > 0) driven.complete(driven.busy[0]);
          }
          expect(driven.executor.astray).toBe(0);
        }
        const schedule = createSchedule(amendScenario(scenario, epochs), SEED);
        const begun = agents.flatMap(({ started }) => started).sort((one, other) => one.index - other.index);
        expect(begun.map(({ index }) => index)).toEqual(Array.from({ length: schedule.count }, (_, n) => n));
        for (const { index, intendedUs } of begun) expect(Math.abs(intendedUs - schedule.instantUs(index))).toBeLessThan(1);
      }),
    );
  });

  test('of which agents die, freeze and thaw, or hear nothing more, and whose load is changed meanwhile, begins nothing twice and balances', () => {
    const fate = fc.record({
      kind: fc.constantFrom('lives', 'dies', 'freezes', 'is cut off'),
      atUs: fc.nat({ max: 1_500_000 }),
      forUs: fc.integer({ min: 1, max: SECOND_US }),
    });
    const fates = fc.tuple(fate, fate, fate, fate);
    const scales = fc.array(fc.record({ atUs: fc.nat({ max: 2 * SECOND_US }), amendment }), { maxLength: 3 });
    fc.assert(
      fc.property(load, fates, scales, (scenario, drawn, amendments) => {
        const { accounts, started, epochs } = simulate(scenario, drawn, amendments);
        const plan: Plan = { name: 'survives', seed: SEED, intervalMs: 1_000, scenarios: [scenario] };
        const ledger = settle(plan, epochs, Infinity, accounts, { merged: 0, duplicate: 0 });
        expect(imbalances(ledger)).toEqual([]);
        expect(new Set(started).size).toBe(started.length);
        // What really began lies within what the ledger says.
        expect(started.length).toBeGreaterThanOrEqual(ledger.started);
        expect(started.length).toBeLessThanOrEqual(ledger.started + ledger.unknown);
        if (drawn.every(({ kind }) => kind === 'lives')) expect([ledger.unknown, ledger.undelivered]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('VUs that loop', () => {
  test('are each with one agent at a time, and together as many as the plan and its amendments want', () => {
    const vuAmendment: fc.Arbitrary<Amendment> = fc.oneof(
      fc.record({ kind: fc.constant('vus' as const), scenario: fc.constant('loop'), vus: fc.integer({ min: 1, max: 12 }) }),
      fc.record({ kind: fc.constantFrom('pause' as const, 'resume' as const) }),
    );
    const vuChanges = fc.array(
      fc.record({
        atUs: fc.nat({ max: SECOND_US }),
        owners: fc.option(owners, { nil: undefined }),
        amendments: fc.option(fc.array(vuAmendment, { minLength: 1, maxLength: 1 }), { nil: undefined }),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), vuChanges, fc.nat({ max: SECOND_US - 1 }), (vus, drawn, us) => {
        const scenario = closedScenario({ vus });
        const epochs = epochsOf(drawn);
        const spans = AGENTS.flatMap((agent) => vuSpans(scenario, epochs, agent));
        let wanted = vus;
        let isPaused = false;
        for (const { fromUs, amendments = [] } of epochs) {
          for (const one of fromUs <= us ? amendments : []) {
            if (one.kind === 'vus') wanted = one.vus;
            else isPaused = one.kind === 'pause';
          }
        }
        const atWork = spans.filter(({ fromUs, toUs }) => fromUs <= us && us < toUs).map(({ vu }) => vu);
        expect(atWork.sort((one, other) => one - other)).toEqual(Array.from({ length: isPaused ? 0 : wanted }, (_, vu) => vu));
      }),
      { numRuns: 300 },
    );
  });

  test('never begin two iterations of one number, however they move', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), changes, (vus, drawn) => {
        const scenario = closedScenario({ vus }, { gracefulStopUs: 0 });
        const epochs = epochsOf(drawn.map(({ atUs, owners: next }) => ({ atUs, owners: next, amendments: undefined })));
        const agents = AGENTS.map((agent) => new DrivenExecutor(scenario, epochs.slice(0, 1), agent));
        agents.forEach((driven, i) => {
          let known = 1;
          for (let us = 0; us <= SECOND_US; us += STEP_US) {
            driven.turnAt(us);
            while (known < epochs.length && (epochs[known]?.fromUs ?? 0) - MARGIN_US <= us) driven.amend(epochs.slice(0, ++known));
            // Every agent is differently fast.
            for (let n = 0; n <= i; n++) if (driven.busy.length > 0) driven.complete(driven.busy[0]);
          }
          expect(driven.executor.isDone).toBe(true);
        });
        const indices = agents.flatMap(({ started }) => started.map(({ index }) => index));
        expect(new Set(indices).size).toBe(indices.length);
      }),
    );
  });
});

function walk(stripe: Stripe): number[] {
  const own: number[] = [];
  while (stripe.index >= 0) {
    own.push(stripe.index);
    stripe.advance();
  }
  return own;
}

interface Fate {
  readonly kind: string;
  readonly atUs: number;
  readonly forUs: number;
}

/** A cluster in steps of 20 ms: agents hear and are heard while they run, a coordinator gives away what is silent when its lease is over,
 *  and gives a share back to what thaws. */
function simulate(
  scenario: PlannedScenario & { readonly load: OpenLoad },
  fates: readonly Fate[],
  amendments: readonly { readonly atUs: number; readonly amendment: Amendment }[],
) {
  const epochs: Epoch[] = [{ number: 0, fromUs: 0, owners: AGENTS }];
  const agents = AGENTS.map((id, i) => ({
    id,
    fate: fates[i] ?? { kind: 'lives', atUs: 0, forUs: 0 },
    driven: new DrivenExecutor(scenario, epochs, id, SEED),
    known: 1,
    heardUs: 0,
    isLost: false,
  }));
  for (const { driven } of agents) driven.leaseEndsUs = LEASE_US;
  const pending = [...amendments].sort((one, other) => one.atUs - other.atUs);
  const endUs = scenario.startUs + scenario.load.segments.reduce((sum, { durationUs }) => sum + durationUs, 0);
  const append = (atUs: number, parts: Partial<Epoch>): void => {
    const last = epochs.at(-1);
    const fromUs = Math.max(atUs, last?.fromUs ?? 0);
    if (fromUs < endUs) epochs.push({ number: epochs.length, owners: last?.owners ?? [], fromUs, ...parts });
  };
  const runs = ({ kind, atUs, forUs }: Fate, us: number): boolean =>
    kind === 'lives' || us < atUs || (kind === 'freezes' && us >= atUs + forUs);
  for (let us = 0; us <= endUs + 2 * STEP_US; us += STEP_US) {
    for (let [next] = pending; next !== undefined && next.atUs <= us; [next] = pending) {
      pending.shift();
      append(us + LEASE_US + STEP_US, { amendments: [next.amendment] });
    }
    const living: string[] = [];
    let isChanged = false;
    for (const agent of agents) {
      const isHeard = runs(agent.fate, us);
      if (isHeard) {
        agent.heardUs = us;
        isChanged ||= agent.isLost;
        agent.isLost = false;
      } else if (!agent.isLost && us - agent.heardUs >= LEASE_US) agent.isLost = isChanged = true;
      if (!agent.isLost) living.push(agent.id);
    }
    if (isChanged && living.length > 0) append(us + LEASE_US + STEP_US, { owners: living });
    for (const agent of agents) {
      const hears = runs(agent.fate, us);
      // One that is cut off goes on by what it knows until its lease is over, and forfeits the rest.
      if (!hears && agent.fate.kind !== 'is cut off') continue;
      const { driven } = agent;
      // What fell due while it was frozen is forfeited before its lease is renewed.
      driven.turnAt(us);
      if (hears) {
        for (; agent.known < epochs.length; agent.known++) driven.amend(epochs.slice(0, agent.known + 1));
        driven.leaseEndsUs = us + LEASE_US;
      }
      for (let dueUs = driven.executor.dueUs; dueUs < us + STEP_US && dueUs < driven.leaseEndsUs; dueUs = driven.executor.dueUs) {
        if (!runs(agent.fate, dueUs) && agent.fate.kind !== 'is cut off') break;
        driven.turnAt(Math.max(us, dueUs));
        while (driven.busy.length > 0) driven.complete(driven.busy[0]);
      }
    }
  }
  const accounts = agents.map(({ id, driven, known, heardUs }): AgentAccount => {
    const isFinal = driven.executor.isDone;
    return {
      agent: id,
      // Of one that is gone nothing was sealed: everything that it may have begun is unknown.
      ledgers: isFinal ? [driven.executor.ledger(driven.nowUs)] : [],
      samplesRecorded: 0,
      epochs: known,
      isFinal,
      lastSeenUs: heardUs + LEASE_US,
    };
  });
  return { epochs, accounts, started: agents.flatMap(({ driven }) => driven.started.map(({ index }) => index)) };
}
