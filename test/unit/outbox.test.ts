import { describe, expect, test } from 'vitest';
import { addIntervals, Outbox } from '../../agent/outbox.ts';
import { addEncoded, Histogram } from '../../shared/stats/index.ts';
import { encodeBatch } from '../../shared/wire/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { DEFINITIONS, scenarioLedger, sealedInterval, trendSlice } from '../support/intervals.ts';
import { ManualPublisher } from '../support/publisher.ts';

/** Longer than any pause between two attempts. */
const PAUSE_MS = 2_000;

describe('an outbox', () => {
  test('sends at most eight batches at once, and the ninth when one is acknowledged', async () => {
    const { outbox, server, clock } = arranged();
    for (let i = 0; i < 10; i++) outbox.add(sealedInterval(i));
    expect(server.pending.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(outbox.length).toBe(10);
    server.pending[3]?.acknowledge();
    await clock.advance(0);
    expect(server.pending.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 4, 5, 6, 7, 8]);
    expect(outbox.length).toBe(9);
  });

  test('repeats a batch under the same sequence until it is acknowledged, and says meanwhile why it is not', async () => {
    const { outbox, server, clock } = arranged();
    const sealed = sealedInterval(0);
    outbox.add(sealed);
    for (let attempt = 1; attempt <= 5; attempt++) {
      expect(server.attempts).toEqual(Array.from({ length: attempt }, () => ({ sequence: 0, sealed })));
      server.pending[0]?.fail();
      await clock.untilSleeping();
      expect(outbox.failure).toBe('no answer from the server');
      await clock.advance(PAUSE_MS);
    }
    server.acknowledgeAll();
    await clock.advance(0);
    expect(outbox.failure).toBeUndefined();
    expect([outbox.length, outbox.sequences]).toEqual([0, 1]);
  });

  test('waits longer after every failure: 50 to 100 ms at first, at most two seconds in the end', async () => {
    const { outbox, server, clock } = arranged();
    outbox.add(sealedInterval(0));
    const pausesMs: number[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      server.pending[0]?.fail();
      await clock.untilSleeping();
      const fromUs = clock.nowUs();
      while (server.pending.length === 0) await clock.advance(1);
      pausesMs.push((clock.nowUs() - fromUs) / 1000);
    }
    pausesMs.forEach((pauseMs, attempt) => {
      const waitMs = Math.min(100 * 2 ** attempt, PAUSE_MS);
      expect(pauseMs).toBeGreaterThanOrEqual(waitMs / 2);
      expect(pauseMs).toBeLessThanOrEqual(waitMs + 1);
    });
  });

  test('after a failure sends nothing new, and what failed one by one in its order, so that what is stored has no gap when its process dies', async () => {
    const { outbox, server, clock } = arranged();
    for (let i = 0; i < 4; i++) outbox.add(sealedInterval(i));
    // As when the server goes away: whatever was on its way fails, the last one first.
    for (const attempt of [...server.pending].reverse()) attempt.fail();
    await clock.advance(0);
    for (let i = 4; i < 6; i++) outbox.add(sealedInterval(i));
    for (let i = 0; i < 4; i++) {
      await clock.advance(PAUSE_MS);
      expect(server.pending.map(({ sequence }) => sequence)).toEqual([i]);
      server.pending[0]?.fail();
      await clock.advance(PAUSE_MS);
      expect(server.pending.map(({ sequence }) => sequence)).toEqual([i]);
      server.pending[0]?.acknowledge();
    }
    await clock.advance(0);
    expect(server.pending.map(({ sequence }) => sequence)).toEqual([4, 5]);
  });

  test('lets nothing overtake a batch that defines series, not even while its attempts fail', async () => {
    const { outbox, server, clock } = arranged();
    outbox.add(sealedInterval(0));
    outbox.add(sealedInterval(1, { defines: DEFINITIONS }));
    outbox.add(sealedInterval(2));
    expect(server.pending.map(({ sequence }) => sequence)).toEqual([0, 1]);
    server.pending[1]?.fail();
    await clock.advance(PAUSE_MS);
    server.pending[0]?.acknowledge();
    await clock.advance(0);
    expect(server.pending.map(({ sequence }) => sequence)).toEqual([1]);
    server.pending[0]?.acknowledge();
    await clock.advance(0);
    expect(server.pending.map(({ sequence }) => sequence)).toEqual([2]);
  });

  test('adds the oldest intervals together past 600, and every sample of them arrives', async () => {
    const { outbox, server, clock } = arranged();
    const intervals = 8 + 600 + 50;
    for (let i = 0; i < intervals; i++) {
      outbox.add(sealedInterval(i, { trends: [trendSlice(0, [1_000 + i])], counters: [{ series: 1, count: 1 }], samplesRecorded: i + 1 }));
    }
    expect(outbox.length).toBe(608);
    await drain(outbox, server, clock);
    expect(outbox.sequences).toBe(608);
    expect(server.stored.get(8)).toMatchObject({
      intervalIndex: 8,
      intervalCount: 51,
      counters: [{ series: 1, count: 51 }],
      samplesRecorded: 59,
    });
    const everything = new Histogram();
    for (const { trends } of server.stored.values()) {
      for (const slice of trends) {
        addEncoded(slice.histogram, everything);
        everything.addTotals(slice);
      }
    }
    const expected = new Histogram();
    for (let i = 0; i < intervals; i++) expected.record(1_000 + i);
    expect([...everything.buckets()]).toEqual([...expected.buckets()]);
    expect(everything.count).toBe(intervals);
  });

  test('sends an interval too large for a message in parts that together hold all of it', async () => {
    const { outbox, server, clock } = arranged();
    const large = trendSlice(
      0,
      Array.from({ length: 2_000 }, (_, i) => i * 1_000),
    );
    const trends = Array.from({ length: Math.ceil((1.5 * 1024 * 1024) / large.histogram.length) }, (_, series) => ({ ...large, series }));
    outbox.add(sealedInterval(4, { trends, counters: [{ series: 9_999, count: 7 }], isFinal: true, samplesRecorded: 5 }));
    await drain(outbox, server, clock);
    const parts = [...server.stored.values()];
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.flatMap((part) => part.trends)).toEqual(trends);
    expect(parts.flatMap((part) => part.counters)).toEqual([{ series: 9_999, count: 7 }]);
    expect(parts.map(({ isFinal }) => isFinal)).toEqual(parts.map((_, i) => i === parts.length - 1));
    for (const part of parts) expect(part.trends.reduce((sum, { histogram }) => sum + histogram.length, 0)).toBeLessThanOrEqual(512 * 1024);
  });

  test('sends definitions too large for a message in parts, all of them before the slices that need them', async () => {
    const { outbox, server, clock } = arranged();
    const defines = Array.from({ length: 4_000 }, (_, number) => ({
      number,
      metric: 'http_reqs',
      kind: 'counter' as const,
      tags: { name: `${number}`.repeat(50) },
    }));
    const counters = defines.map(({ number }) => ({ series: number, count: number }));
    outbox.add(sealedInterval(0, { defines, counters }));
    await drain(outbox, server, clock);
    const parts = [...server.stored.values()];
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.flatMap((part) => part.defines)).toEqual(defines);
    expect(parts.map((part) => part.counters)).toEqual(parts.map((_, i) => (i === parts.length - 1 ? counters : [])));
    const sizes = parts.map((part, sequence) => encodeBatch({ key: { agent: 'a', incarnation: 'i', sequence }, ...part }).length);
    expect(Math.max(...sizes)).toBeLessThan(1024 * 1024);
  });

  test('sends no message above the limit after intervals were added together', async () => {
    const { outbox, server, clock } = arranged();
    const large = trendSlice(
      0,
      Array.from({ length: 2_000 }, (_, i) => i * 1_000),
    );
    const perInterval = Math.floor((400 * 1024) / large.histogram.length);
    for (let i = 0; i < 8 + 600 + 4; i++) {
      // Every interval measures other series, so adding them together makes no slice smaller.
      const trends = i < 8 || i > 16 ? [] : Array.from({ length: perInterval }, (_, k) => ({ ...large, series: i * perInterval + k }));
      outbox.add(sealedInterval(i, { trends }));
    }
    await drain(outbox, server, clock);
    const parts = [...server.stored.values()];
    expect(parts.reduce((sum, { trends }) => sum + trends.length, 0)).toBe(9 * perInterval);
    for (const part of parts) expect(part.trends.reduce((sum, { histogram }) => sum + histogram.length, 0)).toBeLessThanOrEqual(512 * 1024);
  });

  test('is drained only when the last batch is acknowledged', async () => {
    const { outbox, server, clock } = arranged();
    outbox.add(sealedInterval(0));
    outbox.add(sealedInterval(1));
    let isDrained = false;
    const drained = outbox.drained().then(() => (isDrained = true));
    server.pending[1]?.acknowledge();
    await clock.advance(PAUSE_MS);
    expect(isDrained).toBe(false);
    server.pending[0]?.loseAcknowledgement();
    await clock.advance(PAUSE_MS);
    expect(isDrained).toBe(false);
    server.pending[0]?.acknowledge();
    await drained;
    expect(server.attempts.map(({ sequence }) => sequence)).toEqual([0, 1, 0]);
  });

  test('an empty outbox is drained at once', async () => {
    await arranged().outbox.drained();
  });

  test('abandoned, it sends nothing more and lets go of whoever waits for it', async () => {
    const { outbox, server, clock } = arranged();
    for (let i = 0; i < 12; i++) outbox.add(sealedInterval(i));
    const drained = outbox.drained();
    const abandoned = outbox.abandon();
    await drained;
    for (const attempt of [...server.pending]) attempt.fail();
    await abandoned;
    await clock.advance(PAUSE_MS);
    expect(server.attempts).toHaveLength(8);
    expect(clock.sleeping).toBe(0);
    outbox.add(sealedInterval(12));
    expect(server.attempts).toHaveLength(8);
  });

  test('abandoned between two attempts, it does not wait for the next', async () => {
    const { outbox, server, clock } = arranged();
    outbox.add(sealedInterval(0));
    server.pending[0]?.fail();
    await clock.untilSleeping();
    await outbox.abandon();
    expect(server.attempts).toHaveLength(1);
  });
});

describe('two intervals added together', () => {
  test('keep every sum, the extremes of gauges, and the later one’s word on what is cumulative', () => {
    const [define0, define1] = DEFINITIONS;
    const earlier = sealedInterval(3, {
      intervalCount: 2,
      defines: define0 === undefined ? [] : [define0],
      trends: [trendSlice(0, [10, 20])],
      counters: [{ series: 1, count: 4 }],
      rates: [{ series: 2, passes: 1, fails: 2 }],
      gauges: [{ series: 3, value: 5, min: 1, max: 9 }],
      ledgers: [scenarioLedger('browse', { started: 2 })],
      samplesRecorded: 2,
    });
    const later = sealedInterval(5, {
      defines: define1 === undefined ? [] : [define1],
      trends: [trendSlice(0, [5]), trendSlice(4, [7])],
      counters: [{ series: 1, count: 1 }],
      rates: [{ series: 2, passes: 3, fails: 0 }],
      gauges: [{ series: 3, value: 6, min: 2, max: 8 }],
      ledgers: [scenarioLedger('browse', { started: 3 })],
      samplesRecorded: 4,
      isFinal: true,
    });
    expect(addIntervals(earlier, later)).toEqual({
      ...later,
      intervalIndex: 3,
      intervalCount: 3,
      defines: DEFINITIONS,
      trends: [trendSlice(0, [5, 10, 20]), trendSlice(4, [7])],
      counters: [{ series: 1, count: 5 }],
      rates: [{ series: 2, passes: 4, fails: 2 }],
      gauges: [{ series: 3, value: 6, min: 1, max: 9 }],
    });
  });
});

function arranged() {
  const clock = new FakeClock();
  const server = new ManualPublisher();
  return { clock, server, outbox: new Outbox(server.publish, clock) };
}

/** Acknowledges whatever is sent until nothing is left. */
async function drain(outbox: Outbox, server: ManualPublisher, clock: FakeClock): Promise<void> {
  while (outbox.length > 0) {
    server.acknowledgeAll();
    await clock.advance(0);
  }
  await outbox.drained();
}
