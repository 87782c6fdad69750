import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Outbox, type SealedInterval } from '../../agent/outbox.ts';
import { addEncoded, Histogram } from '../../shared/stats/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { DEFINITIONS, sealedInterval, trendSlice } from '../support/intervals.ts';
import { ManualPublisher } from '../support/publisher.ts';

type Move =
  /** So many intervals are sealed; the first of them defines series or does not. */
  | { readonly kind: 'seal'; readonly intervals: number; readonly defines: boolean }
  /** The attempt at this place of those under way ends so. */
  | { readonly kind: 'acknowledge' | 'loseAcknowledgement' | 'fail'; readonly at: number }
  | { readonly kind: 'wait'; readonly ms: number };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('seal' as const), intervals: fc.integer({ min: 1, max: 5 }), defines: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('seal' as const), intervals: fc.integer({ min: 300, max: 700 }), defines: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('acknowledge', 'loseAcknowledgement', 'fail'), at: fc.nat({ max: 7 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 3_000 }) }) },
);

describe('whatever the server does, an outbox', () => {
  test('gives sequences without holes, keeps them over repeats, and delivers every sample once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 40 }), async (moves) => {
        const { added, server, outbox } = await played(moves);
        const stored = [...server.stored].sort(([a], [b]) => a - b);
        expect(stored.map(([sequence]) => sequence)).toEqual(Array.from({ length: outbox.sequences }, (_, i) => i));
        // A repeat is the very same batch, so whichever of the attempts the server kept, it kept the same.
        for (const { sequence, sealed } of server.attempts) expect(sealed).toBe(server.stored.get(sequence));

        const batches = stored.map(([, sealed]) => sealed);
        let covered = 0;
        for (const { intervalIndex, intervalCount } of batches) {
          expect(intervalIndex).toBe(covered);
          covered += intervalCount;
        }
        expect(covered).toBe(added.length);
        expect(content(batches)).toEqual(content(added));
      }),
      { numRuns: 60 },
    );
  });

  test('sends nothing new while an attempt has failed, and of what failed only the earliest', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 40 }), async (moves) => {
        let sent = 0;
        let failed: ReadonlySet<number> = new Set();
        await played(moves, (server, acknowledged) => {
          const open = new Set(server.attempts.map(({ sequence }) => sequence).filter((sequence) => !acknowledged.has(sequence)));
          const fresh = server.attempts.slice(sent).map(({ sequence }) => sequence);
          const underWay = new Set(server.pending.map(({ sequence }) => sequence));
          const failedBefore = failed;
          failed = new Set([...open].filter((sequence) => !underWay.has(sequence)));
          for (const sequence of fresh) if (failedBefore.has(sequence)) expect(Math.min(...open)).toBe(sequence);
          if (failedBefore.size > 0 && failed.size > 0) expect(fresh.filter((sequence) => !failedBefore.has(sequence))).toEqual([]);
          sent = server.attempts.length;
        });
      }),
      { numRuns: 60 },
    );
  });

  test('sends nothing after a definition before the definition is acknowledged, and never more than eight at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 40 }), async (moves) => {
        await played(moves, (server, acknowledged) => {
          expect(new Set(server.pending.map(({ sequence }) => sequence)).size).toBeLessThanOrEqual(8);
          const latest = Math.max(-1, ...server.attempts.map(({ sequence }) => sequence));
          for (const { sequence, sealed } of server.attempts) {
            if (sealed.defines.length > 0 && !acknowledged.has(sequence)) expect(latest).toBe(sequence);
          }
        });
      }),
      { numRuns: 60 },
    );
  });
});

/** Plays the moves, then acknowledges everything. `look` is called after each. */
async function played(moves: readonly Move[], look: (server: ManualPublisher, acknowledged: ReadonlySet<number>) => void = () => {}) {
  const clock = new FakeClock();
  const server = new ManualPublisher();
  const outbox = new Outbox(server.publish, clock);
  const added: SealedInterval[] = [];
  const acknowledged = new Set<number>();
  const seal = (defines: boolean): void => {
    const index = added.length;
    const sealed = sealedInterval(index, {
      defines: defines ? DEFINITIONS : [],
      // One in ten measures something: enough to see a loss, cheap enough to run often.
      trends: index % 10 === 0 ? [trendSlice(0, [index])] : [],
      counters: [{ series: 1, count: index }],
    });
    added.push(sealed);
    outbox.add(sealed);
  };
  for (const one of moves) {
    if (one.kind === 'seal') for (let i = 0; i < one.intervals; i++) seal(one.defines && i === 0);
    else if (one.kind === 'wait') await clock.advance(one.ms);
    else {
      const attempt = server.pending[one.at];
      attempt?.[one.kind]();
      if (attempt !== undefined && one.kind === 'acknowledge') acknowledged.add(attempt.sequence);
    }
    await clock.advance(0);
    look(server, acknowledged);
  }
  while (outbox.length > 0) {
    server.acknowledgeAll();
    await clock.advance(2_000);
  }
  return { added, server, outbox };
}

function content(intervals: readonly SealedInterval[]) {
  const histogram = new Histogram();
  let requests = 0;
  let definitions = 0;
  for (const { trends, counters, defines } of intervals) {
    for (const slice of trends) {
      addEncoded(slice.histogram, histogram);
      histogram.addTotals(slice);
    }
    for (const { count } of counters) requests += count;
    definitions += defines.length;
  }
  return { buckets: [...histogram.buckets()], samples: histogram.count, sumUs: histogram.sumUs, requests, definitions };
}
