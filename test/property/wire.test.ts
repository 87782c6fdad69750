import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HTTP_DEFAULTS, SOMEBODY_ELSE, type Load, type Plan } from '../../shared/plan/index.ts';
import type { Batch } from '../../shared/stats/index.ts';
import {
  decodeBatch,
  decodeEvent,
  encodeBatch,
  encodeEvent,
  encodeWorkload,
  epochFromWire,
  epochToWire,
  ledgerFromWire,
  ledgerToWire,
  planFromWire,
  planToWire,
  type RunEvent,
} from '../../shared/wire/index.ts';
import { Epoch as WireEpoch, Plan as WirePlan } from '../../proto/gen/muster/v1/plan.ts';
import { Batch as WireBatch } from '../../proto/gen/muster/v1/results.ts';
import { trendSlice } from '../support/intervals.ts';

const whole = fc.maxSafeNat();
const small = fc.nat({ max: 1_000_000 });
const real = fc.double({ min: 0, max: 1e15, noNaN: true });
const text = fc.string({ unit: 'grapheme', maxLength: 20 });

const load: fc.Arbitrary<Load> = fc.oneof(
  fc.record(
    { kind: fc.constant('constant-vus' as const), vus: small, durationUs: whole, indexLimit: whole },
    { requiredKeys: ['kind', 'vus', 'durationUs'] },
  ),
  fc.record({
    kind: fc.constantFrom('constant-arrival-rate' as const, 'ramping-arrival-rate' as const),
    arrivals: fc.constantFrom('uniform' as const, 'poisson' as const),
    timeUnitUs: whole,
    segments: fc.array(fc.record({ durationUs: whole, startRate: real, endRate: real }), { maxLength: 4 }),
    preAllocatedVus: small,
    maxVus: small,
  }),
);
const scenario = fc.record(
  { name: text, startUs: whole, gracefulStopUs: whole, warmupUs: fc.integer({ min: 1, max: 1e12 }), load },
  { requiredKeys: ['name', 'startUs', 'gracefulStopUs', 'load'] },
);
const metrics = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,8}$/),
  fc.record({ kind: fc.constantFrom('trend' as const, 'counter' as const, 'rate' as const, 'gauge' as const), unit: text }),
  { minKeys: 1, maxKeys: 3, noNullPrototype: true },
);
const plan: fc.Arbitrary<Plan> = fc.record(
  {
    name: text,
    seed: fc.nat({ max: 2 ** 32 - 1 }),
    intervalMs: fc.nat({ max: 60_000 }),
    pacing: fc.constantFrom('precise' as const, 'relaxed' as const),
    setupLimitMs: fc.option(real, { nil: undefined }),
    teardownLimitMs: fc.option(real, { nil: undefined }),
    metrics,
    scenarios: fc.array(scenario, { maxLength: 3 }),
  },
  { requiredKeys: ['name', 'seed', 'intervalMs', 'setupLimitMs', 'teardownLimitMs', 'scenarios'] },
);
const ledger = fc.record({
  scenario: text,
  ledger: fc.record({ started: whole, dropped: whole, undelivered: whole, completed: whole, interrupted: whole }),
  coveredUntilUs: real,
  waiting: small,
  firedUntilUs: real,
});
const batch: fc.Arbitrary<Batch> = fc.record({
  key: fc.record({ agent: text, incarnation: text, sequence: small }),
  intervalIndex: small,
  intervalCount: small,
  defines: fc.array(
    fc.record({
      number: small,
      metric: text,
      kind: fc.constantFrom('trend' as const, 'counter' as const, 'rate' as const, 'gauge' as const),
      tags: fc.dictionary(text.filter((key) => key !== '__proto__'), text, { maxKeys: 4, noNullPrototype: true }), // prettier-ignore
    }),
    { maxLength: 4 },
  ),
  trends: fc.array(
    fc
      .tuple(small, fc.array(fc.nat({ max: 4_000_000_000 }), { minLength: 1, maxLength: 10 }))
      .map(([series, us]) => trendSlice(series, us)),
    { maxLength: 4 },
  ),
  counters: fc.array(fc.record({ series: small, count: whole }), { maxLength: 4 }),
  rates: fc.array(fc.record({ series: small, passes: whole, fails: whole }), { maxLength: 4 }),
  gauges: fc.array(fc.record({ series: small, value: real, min: real, max: real, atUs: fc.option(real, { nil: undefined }) }), {
    maxLength: 4,
  }),
  ledgers: fc.array(ledger, { maxLength: 3 }),
  samplesRecorded: whole,
  health: fc.record({
    loopDelayP99Us: real,
    loopDelayMaxUs: real,
    pacerLagP99Us: real,
    pacerLagMaxUs: real,
    cpu: real,
    gcPauseUs: whole,
    rssBytes: whole,
    openSockets: small,
    activeVus: small,
    outboxBatches: small,
  }),
  epochs: small,
  isFinal: fc.boolean(),
});

describe('what travels comes back as it was', () => {
  test('plans, to the last bit of every rate', () => {
    fc.assert(
      fc.property(plan, (one) => {
        expect(planFromWire(WirePlan.decode(WirePlan.encode(planToWire(one)).finish()))).toEqual(one);
      }),
    );
  });

  test('batches', () => {
    fc.assert(
      fc.property(batch, (one) => {
        expect(comparable(decodeBatch(encodeBatch(one)))).toEqual(comparable(one));
      }),
    );
  });

  test('batches, as the generated reader reads them, whatever fields a later version adds', () => {
    // Field 15 as bytes, 16 as a number, 17 and 18 of fixed length.
    const unknown = [122, 2, 8, 1, 128, 1, 150, 1, 137, 1, 1, 2, 3, 4, 5, 6, 7, 8, 149, 1, 1, 2, 3, 4];
    fc.assert(
      fc.property(batch, (one) => {
        const bytes = new Uint8Array([...unknown, ...encodeBatch(one), ...unknown]);
        const { agentId, incarnation, sequence, defines, trends, counters, rates, gauges, ledgers, ...rest } = WireBatch.decode(bytes);
        const read = decodeBatch(bytes);
        expect(read).toEqual({
          ...rest,
          key: { agent: agentId, incarnation, sequence },
          ...{ defines, counters, rates, gauges, ledgers: ledgers.map(ledgerFromWire) },
          trends: read.trends,
        });
        expect(read.trends.map((slice) => ({ ...slice, histogram: [...slice.histogram] }))).toEqual(
          trends.map((slice) => ({ ...slice, histogram: [...slice.histogram] })),
        );
      }),
    );
  });

  test('no bytes that were cut or changed on the way make the reader of batches hang or throw anything but a RangeError', () => {
    fc.assert(
      fc.property(batch, fc.nat(), fc.nat(), fc.nat({ max: 255 }), (one, cut, at, byte) => {
        const bytes = Buffer.from(encodeBatch(one));
        bytes[at % bytes.length] = byte;
        try {
          decodeBatch(bytes.subarray(0, cut % 3 === 0 ? cut % bytes.length : bytes.length));
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('epochs and ledgers', () => {
    const amendment = fc.oneof(
      fc.record({ kind: fc.constant('rate' as const), scenario: text, ratePerSecond: real, maxVus: small }),
      fc.record({ kind: fc.constant('vus' as const), scenario: text, vus: small }),
      fc.record({ kind: fc.constantFrom('pause' as const, 'resume' as const) }),
    );
    const epoch = fc.record(
      {
        number: small,
        fromUs: whole,
        owners: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 9 }),
        amendments: fc.array(amendment, { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: ['number', 'fromUs', 'owners'] },
    );
    fc.assert(
      fc.property(epoch, ledger, (one, other) => {
        // Each agent is told its own slots, and of the others only how many there are.
        for (const agent of ['a', 'b', 'c', 'd']) {
          const owners = one.owners.map((owner) => (owner === agent ? agent : SOMEBODY_ELSE));
          const told = WireEpoch.decode(WireEpoch.encode(epochToWire(one)(agent)).finish());
          expect(epochFromWire(told, agent)).toEqual({ ...one, owners });
        }
        expect(ledgerFromWire(ledgerToWire(other))).toEqual(other);
      }),
    );
  });
});

describe('what an agent is told of an epoch', () => {
  const told = { number: 3, fromUs: 0, slots: 2, ownSlots: [1], amendments: [] };

  test('is refused where it cannot be: a coordinator that tells something else would have it fire nothing', () => {
    expect(epochFromWire(told, 'a').owners).toEqual([SOMEBODY_ELSE, 'a']);
    expect(() => epochFromWire({ ...told, slots: 0, ownSlots: [] }, 'a')).toThrow(/epoch 3 has no slots/);
    expect(() => epochFromWire({ ...told, ownSlots: [1, 2] }, 'a')).toThrow(/epoch 3: expected own slots below 2, found 1, 2/);
  });
});

describe('an event', () => {
  test('comes back as it was, short or long', () => {
    for (const length of [0, 1, 5_000, 50_000]) {
      const detail = { agents: Array.from({ length }, (_, number) => `ägent-${number}`) };
      const event: RunEvent = { runId: 'run', atMs: 7.25, kind: 'assigned', detail };
      expect(decodeEvent(encodeEvent(event))).toEqual(event);
    }
  });
});

describe('a workload', () => {
  test('larger than what travels is refused with its size', () => {
    // Base64 of random bytes shrinks by a quarter: 68 MB stay 68 MB.
    const noise = randomBytes(68_000_000).toString('base64');
    const workload = {
      flows: {},
      rows: { noise: { order: 'random' as const, columns: ['x'], rows: [[noise]] } },
      script: undefined,
      env: {},
      target: '',
      defaults: { timeoutMs: 1, headers: [] },
      http: HTTP_DEFAULTS,
      files: {},
    };
    expect(() => encodeWorkload(workload)).toThrow(/^flows, script and data rows are \d{8} bytes compressed; at most 67108864 travel$/);
  });
});

/** Histograms as plain bytes, whichever kind of array holds them. */
function comparable({ trends, ...rest }: Batch): unknown {
  return { ...rest, trends: trends.map(({ histogram, ...totals }) => ({ ...totals, histogram: Buffer.from(histogram).toString('hex') })) };
}
