import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createSchedule,
  endUs,
  loadDurationUs,
  maxVusOf,
  ownedVus,
  scenarioOwners,
  spreadOwners,
  Stripe,
  type Epoch,
  type Load,
  type OpenLoad,
  type PlannedScenario,
  type Schedule,
  type Segment,
} from '../../shared/plan/index.ts';

const SECOND_US = 1_000_000;
/** What two ways of computing one instant may differ by, microseconds: the rounding of a double at an hour, many times over. */
const ROUNDING_US = 0.01;
/** Arrivals of one random plan, about: enough for many rounds of owners, few enough to walk. */
const ARRIVALS_MAX = 600;

/** Straight lines and jumps, up, down, flat, through zero and along it. */
const segments: fc.Arbitrary<readonly Segment[]> = fc
  .array(
    fc.record({
      durationUs: fc.oneof(fc.integer({ min: 1, max: 20 * SECOND_US }), fc.constant(0), fc.constant(SECOND_US)),
      startRate: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: 1, max: 100 })),
      endRate: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: 1, max: 100 })),
      isJoined: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((drawn) => {
    let lastRate = 0;
    return drawn.map(({ durationUs, startRate, endRate, isJoined }) => {
      const segment = { durationUs, startRate: isJoined ? lastRate : startRate, endRate };
      lastRate = endRate;
      return segment;
    });
  });

const openLoad: fc.Arbitrary<OpenLoad> = fc
  .record({
    arrivals: fc.constantFrom('uniform', 'poisson'),
    timeUnitUs: fc.constantFrom(1_000, SECOND_US, 60 * SECOND_US, 333_333),
    segments,
    maxVus: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(500)),
    indexLimit: fc.option(fc.nat({ max: 300 }), { nil: undefined, freq: 3 }),
  })
  .map(({ arrivals, timeUnitUs, segments: drawn, maxVus, indexLimit }) => {
    // Rates that would make more arrivals than a test can walk are scaled down.
    const planned = drawn.reduce(
      (sum, { durationUs, startRate, endRate }) => sum + ((startRate + endRate) * durationUs) / 2 / timeUnitUs,
      0,
    );
    const scale = planned > ARRIVALS_MAX ? ARRIVALS_MAX / planned : 1;
    const scaled = drawn.map(({ durationUs, startRate, endRate }) => ({
      durationUs,
      startRate: startRate * scale,
      endRate: endRate * scale,
    }));
    const limit = indexLimit === undefined ? {} : { indexLimit };
    return { kind: 'ramping-arrival-rate', arrivals, timeUnitUs, segments: scaled, preAllocatedVus: 1, maxVus, ...limit } as const;
  });

const openScenario: fc.Arbitrary<PlannedScenario & { readonly load: OpenLoad }> = fc.record({
  name: fc.constantFrom('a', 'browse', 'check-out'),
  startUs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3_600 * SECOND_US })),
  gracefulStopUs: fc.constant(30 * SECOND_US),
  load: openLoad,
});
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** Agents of one epoch, in any order, each with its weight. */
const fleet = fc
  .uniqueArray(fc.constantFrom('a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8'), { minLength: 1, maxLength: 8 })
  .chain((ids) => fc.tuple(...ids.map((id) => fc.record({ id: fc.constant(id), weight: fc.integer({ min: 1, max: 4 }) }))));

/** Up to six epochs, at instants given as shares of the load (from before its beginning to after its end). */
const epochPlan = fc.record({
  fleets: fc.array(fleet, { minLength: 1, maxLength: 6 }),
  shares: fc.array(fc.double({ min: -0.1, max: 1.1, noNaN: true }), { minLength: 5, maxLength: 5 }),
});

describe('a schedule', () => {
  test('has instants that never decrease and lie within the load', () => {
    fc.assert(
      fc.property(openScenario, seeds, (scenario, seed) => {
        const schedule = createSchedule(scenario, seed);
        let lastUs = scenario.startUs;
        for (let n = 0; n < schedule.count; n++) {
          const us = schedule.instantUs(n);
          expect(us).toBeGreaterThanOrEqual(lastUs);
          lastUs = us;
        }
        expect(lastUs).toBeLessThanOrEqual(endUs(scenario));
      }),
    );
  });

  test('counts before any instant exactly those that come before it', () => {
    fc.assert(
      fc.property(openScenario, seeds, fc.double({ min: -0.1, max: 1.1, noNaN: true }), (scenario, seed, share) => {
        const schedule = createSchedule(scenario, seed);
        const instants = allInstants(schedule);
        const us = scenario.startUs + share * loadDurationUs(scenario.load);
        expect(schedule.countBefore(us)).toBe(instants.filter((instantUs) => instantUs < us).length);
        expect([schedule.countBefore(-Infinity), schedule.countBefore(Infinity)]).toEqual([0, schedule.count]);
        // The two are each other's inverse: the first index at an instant is the number of those before it.
        instants.forEach((instantUs, n) => expect(schedule.countBefore(instantUs)).toBe(n - countBack(instants, n)));
      }),
    );
  });

  test('gives the same instants in whatever order it is asked, on every machine', () => {
    fc.assert(
      fc.property(openScenario, seeds, fc.array(fc.nat(), { maxLength: 40 }), (scenario, seed, order) => {
        const instants = allInstants(createSchedule(scenario, seed));
        const other = createSchedule(scenario, seed);
        fc.pre(instants.length > 0);
        for (const draw of order) {
          const n = draw % instants.length;
          expect(other.instantUs(n)).toBe(instants[n]);
          expect(other.countBefore(instants[n] ?? NaN)).toBeLessThanOrEqual(n);
        }
      }),
    );
  });

  test('of uniform arrivals has as many as the rate has area, and the nth where the area below it is n', () => {
    fc.assert(
      fc.property(openScenario, seeds, (drawn, seed) => {
        const scenario = { ...drawn, load: { ...drawn.load, arrivals: 'uniform', indexLimit: Infinity } as const };
        const schedule = createSchedule(scenario, seed);
        const area = areaUntil(scenario.load, Infinity);
        expect(schedule.count).toBeGreaterThanOrEqual(Math.ceil(area - 1e-6));
        expect(schedule.count).toBeLessThanOrEqual(Math.ceil(area + 1e-6));
        for (let n = 0; n < schedule.count; n++) {
          const us = schedule.instantUs(n) - scenario.startUs;
          expect(areaUntil(scenario.load, us - ROUNDING_US) - 1e-6).toBeLessThanOrEqual(n);
          expect(areaUntil(scenario.load, us + ROUNDING_US) + 1e-6).toBeGreaterThanOrEqual(n);
        }
      }),
    );
  });

  test('of whole rates and times plans whole arrivals, however long it is', () => {
    const stage = fc.record({
      milliseconds: fc.oneof(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 7 * 86_400 }).map((seconds) => seconds * 1_000),
      ),
      rates: fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 100_000 })),
    });
    fc.assert(
      fc.property(fc.array(stage, { minLength: 1, maxLength: 20 }), fc.constantFrom(1, 60, 3_600), (stages, unitS) => {
        const segmentsOfLoad = stages.map(({ milliseconds, rates: [startRate, endRate] }) => ({
          durationUs: milliseconds * 1_000,
          startRate,
          endRate,
        }));
        const plan = scenarioOf(segmentsOfLoad);
        const schedule = createSchedule({ ...plan, load: { ...plan.load, timeUnitUs: unitS * SECOND_US } }, 1);
        // Twice the area in arrivals per millisecond: a whole number, and BigInt divides it without rounding.
        const doubled = stages.reduce((sum, { milliseconds, rates: [from, to] }) => sum + BigInt(from + to) * BigInt(milliseconds), 0n);
        const unit = BigInt(2_000 * unitS);
        // The beginning of a further arrival is one, unless it is as small as the rounding of 1e12 in doubles.
        fc.pre(doubled % unit === 0n || doubled % unit >= unit / 20n);
        expect(schedule.count).toBe(Number((doubled + unit - 1n) / unit));
      }),
      { numRuns: 1_000 },
    );
  });

  test('worked example: 0 to 10/s in 10 s is 50 arrivals, the nth after √(2n) seconds', () => {
    const schedule = createSchedule(scenarioOf([{ durationUs: 10 * SECOND_US, startRate: 0, endRate: 10 }]), 1);
    expect(schedule.count).toBe(50);
    for (const n of [0, 1, 2, 8, 49]) expect(schedule.instantUs(n)).toBeCloseTo(Math.sqrt(2 * n) * SECOND_US, 3);
    expect(schedule.countBefore(2 * SECOND_US - 1)).toBe(2);
    expect(schedule.countBefore(2 * SECOND_US + 1)).toBe(3);
  });
});

describe('stripes', () => {
  test('of any agents under any epochs make up the schedule: the same indices and instants, none twice, none missing', () => {
    fc.assert(
      fc.property(openScenario, seeds, epochPlan, (scenario, seed, { fleets, shares }) => {
        const schedule = createSchedule(scenario, seed);
        const epochs = epochsOf(scenario, fleets, shares);
        const fired = agentsOf(epochs).flatMap((agent) =>
          walk(new Stripe(scenario, createSchedule(scenario, seed), epochs, agent)).map((one) => ({ ...one, agent })),
        );
        fired.sort((a, b) => a.index - b.index);
        expect(fired.map(({ index, instantUs }) => [index, instantUs])).toEqual(allInstants(schedule).map((us, n) => [n, us]));
        // Each by the owner that the epoch in force at its instant names.
        for (const { index, instantUs, agent } of fired) {
          const owners = scenarioOwners(inForce(epochs, instantUs), scenario.load);
          expect(agent).toBe(owners[index % owners.length]);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('come in ascending order, and end', () => {
    fc.assert(
      fc.property(openScenario, seeds, epochPlan, (scenario, seed, { fleets, shares }) => {
        const schedule = createSchedule(scenario, seed);
        const epochs = epochsOf(scenario, fleets, shares);
        for (const agent of [...agentsOf(epochs), 'a stranger']) {
          const stripe = new Stripe(scenario, schedule, epochs, agent);
          const indices = walk(stripe).map(({ index }) => index);
          expect(indices).toEqual([...new Set(indices)].sort((a, b) => a - b));
          expect([stripe.index, stripe.instantUs]).toEqual([-1, Infinity]);
          stripe.advance();
          expect([stripe.index, stripe.instantUs]).toEqual([-1, Infinity]);
        }
      }),
    );
  });

  test('count before any instant what walking them finds, and together what the schedule counts', () => {
    fc.assert(
      fc.property(
        openScenario,
        seeds,
        epochPlan,
        fc.double({ min: -0.1, max: 1.1, noNaN: true }),
        (scenario, seed, { fleets, shares }, share) => {
          const schedule = createSchedule(scenario, seed);
          const epochs = epochsOf(scenario, fleets, shares);
          const us = scenario.startUs + share * loadDurationUs(scenario.load);
          let together = 0;
          for (const agent of agentsOf(epochs)) {
            const stripe = new Stripe(scenario, schedule, epochs, agent);
            const counted = stripe.countBefore(us);
            expect(counted).toBe(walk(stripe).filter(({ instantUs }) => instantUs < us).length);
            // Counting is about the whole stripe, wherever it has been walked to.
            expect(stripe.countBefore(us)).toBe(counted);
            together += counted;
          }
          expect(together).toBe(schedule.countBefore(us));
        },
      ),
    );
  });
});

describe('owners', () => {
  test('name each agent as often as it weighs, spread so that any stretch holds its share to within two', () => {
    fc.assert(
      fc.property(fleet, (agents) => {
        const owners = spreadOwners(agents);
        const sum = agents.reduce((all, { weight }) => all + weight, 0);
        const total = owners.length;
        const times = sum / total;
        expect(agents.map(({ weight }) => (weight / times) % 1)).toEqual(agents.map(() => 0));
        // In lowest terms: no divisor is left.
        for (let divisor = 2; divisor <= total; divisor++) expect(agents.some(({ weight }) => (weight / times) % divisor !== 0)).toBe(true);
        for (const { id, weight } of agents) {
          expect(owners.filter((owner) => owner === id)).toHaveLength(weight / times);
          for (let from = 0; from < total; from++) {
            for (let length = 1; length <= total; length++) {
              const found = Array.from({ length }, (_, i) => owners[(from + i) % total]).filter((owner) => owner === id).length;
              expect(Math.abs(found - (weight * length) / sum)).toBeLessThan(2);
            }
          }
        }
      }),
    );
  });

  test('are those of smooth weighted round-robin, turn by turn', () => {
    const fleets = fc
      .array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 })
      .map((weights) => weights.map((weight, place) => ({ id: `agent-${place}`, weight })));
    fc.assert(
      fc.property(fleets, (agents) => {
        const sum = agents.reduce((all, { weight }) => all + weight, 0);
        const credits = agents.map(() => 0);
        const owners = spreadOwners(agents);
        for (const owner of owners) {
          agents.forEach(({ weight }, place) => (credits[place]! += weight));
          const richest = credits.indexOf(Math.max(...credits));
          expect(owner).toBe(agents[richest]?.id);
          credits[richest]! -= sum;
        }
        // Once round, in lowest terms: everybody has paid what they gained.
        expect(credits).toEqual(agents.map(() => 0));
      }),
    );
  });

  test('own every VU once, and whoever owns an index owns a VU to run it', () => {
    const load: fc.Arbitrary<Load> = fc.oneof(
      openLoad,
      fc.record({ kind: fc.constant('constant-vus' as const), vus: fc.integer({ min: 1, max: 60 }), durationUs: fc.constant(SECOND_US) }),
    );
    fc.assert(
      fc.property(load, fleet, (each, agents) => {
        const epoch: Epoch = { number: 0, fromUs: 0, owners: spreadOwners(agents) };
        const vus = maxVusOf(each);
        const owned = agents.flatMap(({ id }) => ownedVus(epoch, each, id));
        expect(owned.sort((a, b) => a - b)).toEqual(Array.from({ length: vus }, (_, vu) => vu));
        for (const owner of scenarioOwners(epoch, each)) expect(ownedVus(epoch, each, owner)).not.toEqual([]);
      }),
    );
  });
});

describe('poisson arrivals', () => {
  const RATE = 1_000;
  const SECONDS = 100;
  const seed = 20_231_123;
  const schedule = createSchedule(scenarioOf([{ durationUs: SECONDS * SECOND_US, startRate: RATE, endRate: RATE }], 'poisson'), seed);
  const instants = allInstants(schedule);

  test('have exponential gaps (Kolmogorov and Smirnov at 1 %)', () => {
    const gaps = instants.map((us, n) => us - (n === 0 ? 0 : (instants[n - 1] ?? NaN)));
    expect(distanceFrom((gapUs) => 1 - Math.exp((-gapUs * RATE) / SECOND_US), gaps)).toBeLessThan(1.628 / Math.sqrt(gaps.length));
  });

  test('have gaps that do not depend on the one before', () => {
    const gaps = instants.slice(1).map((us, n) => us - (instants[n] ?? NaN));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0);
    const covariance = gaps.slice(1).reduce((sum, gap, n) => sum + (gap - mean) * ((gaps[n] ?? NaN) - mean), 0);
    // The correlation of neighbours in n independent draws has a deviation of 1/√n.
    expect(Math.abs(covariance / variance)).toBeLessThan(2.576 / Math.sqrt(gaps.length));
  });

  test('come at the rate of the plan: their number has the deviation of a Poisson count', () => {
    const expected = RATE * SECONDS;
    expect(Math.abs(schedule.count - expected)).toBeLessThan(2.576 * Math.sqrt(expected));
  });

  test('follow a ramp: mapped through the area below the rate they are evenly spread', () => {
    const load = scenarioOf([{ durationUs: 100 * SECOND_US, startRate: 0, endRate: 200 }], 'poisson');
    const ramp = allInstants(createSchedule(load, seed));
    expect(distanceFrom((us) => (us / (100 * SECOND_US)) ** 2, ramp)).toBeLessThan(1.628 / Math.sqrt(ramp.length));
  });

  test('of two scenarios, or of two seeds, are not the same', () => {
    const other = scenarioOf([{ durationUs: SECOND_US, startRate: RATE, endRate: RATE }], 'poisson', 'another');
    expect(createSchedule(other, seed).instantUs(0)).not.toBe(schedule.instantUs(0));
    expect(createSchedule({ ...other, name: 'one' }, seed + 1).instantUs(0)).not.toBe(schedule.instantUs(0));
    expect(createSchedule({ ...other, name: 'one' }, seed).instantUs(0)).toBe(schedule.instantUs(0));
  });
});

function scenarioOf(
  segmentsOfLoad: readonly Segment[],
  arrivals: 'uniform' | 'poisson' = 'uniform',
  name = 'one',
): PlannedScenario & { readonly load: OpenLoad } {
  const load = { kind: 'ramping-arrival-rate', arrivals, timeUnitUs: SECOND_US, segments: segmentsOfLoad } as const;
  return { name, startUs: 0, gracefulStopUs: 0, load: { ...load, preAllocatedVus: 1, maxVus: 100 } };
}

function allInstants(schedule: Schedule): number[] {
  return Array.from({ length: schedule.count }, (_, n) => schedule.instantUs(n));
}

/** How many before `n` share its instant. */
function countBack(instants: readonly number[], n: number): number {
  let back = 0;
  while (n - back > 0 && instants[n - back - 1] === instants[n]) back++;
  return back;
}

/** Arrivals planned in the first `us` of the load, by trapezia. */
function areaUntil(load: OpenLoad, us: number): number {
  let fromUs = 0;
  let area = 0;
  for (const { durationUs, startRate, endRate } of load.segments) {
    const inside = Math.min(Math.max(us - fromUs, 0), durationUs);
    const rateThere = durationUs === 0 ? endRate : startRate + ((endRate - startRate) * inside) / durationUs;
    area += ((startRate + rateThere) * inside) / 2 / load.timeUnitUs;
    fromUs += durationUs;
  }
  return area;
}

function epochsOf(
  scenario: PlannedScenario,
  fleets: readonly (readonly { id: string; weight: number }[])[],
  shares: readonly number[],
): Epoch[] {
  const instants = shares
    .map((share) => Math.max(0, Math.round(scenario.startUs + share * loadDurationUs(scenario.load))))
    .sort((a, b) => a - b);
  return fleets.map((agents, number) => ({ number, fromUs: number === 0 ? 0 : (instants[number - 1] ?? 0), owners: spreadOwners(agents) }));
}

function agentsOf(epochs: readonly Epoch[]): string[] {
  return [...new Set(epochs.flatMap(({ owners }) => owners))];
}

function inForce(epochs: readonly Epoch[], us: number): Epoch {
  const found = epochs.filter(({ fromUs }) => fromUs <= us).at(-1);
  if (found === undefined) throw new Error('epoch 0 begins at 0');
  return found;
}

function walk(stripe: Stripe): { readonly index: number; readonly instantUs: number }[] {
  const found: { index: number; instantUs: number }[] = [];
  while (stripe.index >= 0) {
    found.push({ index: stripe.index, instantUs: stripe.instantUs });
    stripe.advance();
  }
  return found;
}

/** The largest distance between the distribution of the values and `cdf`. */
function distanceFrom(cdf: (value: number) => number, values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.reduce((worst, value, i) => {
    const expected = cdf(value);
    return Math.max(worst, Math.abs((i + 1) / sorted.length - expected), Math.abs(i / sorted.length - expected));
  }, 0);
}
