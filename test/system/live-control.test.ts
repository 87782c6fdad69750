import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imbalances } from '../../shared/stats/index.ts';
import { Cluster } from '../support/cluster.ts';
import { atAQuietMoment, noiseMs, noiseWithinMs } from '../support/quiet-moment.ts';
import { iterationsOf, perWindow, zeroUs } from '../support/started-run.ts';
import { TargetProcess } from '../support/target-process.ts';

/** Long enough for four commands, one after the other, on a busy machine. */
const SECONDS = 20;
const WINDOW_US = 100_000;
/** A window may have so many arrivals too many or too few. */
const OFF_MAX = 3;
/** At 800/s those are the arrivals of so long, which the next window then lacks. */
const NOISE_MAX_MS = 3.75;
const SECOND_US = 1_000_000;

interface Event {
  readonly kind: string;
  readonly detail: { readonly atUs?: number };
}

describe('the load of a run under way', () => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': {} } });
    cluster = await Cluster.start(3);
    await cluster.warmUp(target.url);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('scaled from 200/s to 800/s takes one clean step on all agents, and a pause is one clean gap', async () => {
    await atAQuietMoment(NOISE_MAX_MS, async () => {
      await target.reset();
      const load = { executor: 'constant-arrival-rate', rate: 200, duration: `${SECONDS}s`, flow: [{ get: '/i/${iteration}' }] };
      const { child, done } = await cluster.begin({ name: 'changed', target: target.url, scenarios: { load } }, 3);
      const [, runId = ''] = await child.untilSaid(/run (\S+)/);
      await child.untilSaid(/\b1(\.\d+)?s\/20s/);
      const scaled = await cluster.muster('scale', runId, '--rate', '800');
      expect([scaled.code, scaled.stdout]).toEqual([0, expect.stringContaining('load: 800/s')]);
      await child.untilSaid(/load: 800\/s/);
      const paused = await cluster.muster('pause', runId);
      expect([paused.code, paused.stderr]).toEqual([0, '']);
      const [resumed, ...more] = [await cluster.muster('resume', runId), await cluster.muster('resume', runId)];
      expect([resumed.code, resumed.stderr]).toEqual([0, '']);
      expect(more.map(({ code }) => code)).toEqual([104]);
      const refusals = await Promise.all([
        cluster.muster('scale', runId, '--rate', '0'),
        cluster.muster('scale', runId, '--vus', '5'),
        cluster.muster('scale', runId, '--rate', '5', '--scenario', 'nobody'),
        cluster.muster('scale', 'no-such-run', '--rate', '5'),
      ]);
      expect(refusals.map(({ code }) => code)).toEqual([104, 104, 104, 104]);
      const run = await done;
      const log = await target.log();
      const { arrivals, total } = log;
      const { ledger } = run.summary;
      const at = (kind: string): number =>
        (run.bundle.manifest.events as readonly Event[]).find((event) => event.kind === kind)?.detail.atUs ?? NaN;
      const [scaledUs, pausedUs, resumedUs] = [at('scaled'), at('paused'), at('resumed')];
      const finished = await cluster.muster('scale', runId, '--rate', '5');
      const lateMs = await noiseWithinMs(run, log);

      return {
        noiseMs: noiseMs(run.summary.agents, log),
        judge: (slackMs) => {
          expect(finished.code).toBe(104);
          expect(imbalances(ledger)).toEqual([]);
          expect([ledger.undelivered, ledger.unknown]).toEqual([0, 0]);
          const planned = (scaledUs * 200 + (pausedUs - scaledUs + SECONDS * SECOND_US - resumedUs) * 800) / SECOND_US;
          expect(Math.abs(ledger.planned - planned)).toBeLessThanOrEqual(2);
          expect(total).toBe(ledger.started);
          expect(new Set(iterationsOf(arrivals)).size).toBe(total);
          // Windows that lie wholly on one side of a change have the rate of that side, but for what the target was late by then, or an agent in
          // that second.
          const counts = perWindow(arrivals, zeroUs(run), WINDOW_US);
          const offs = counts.slice(0, SECONDS * 10 - 1).flatMap((count, window) => {
            const [fromUs, toUs] = [window * WINDOW_US, (window + 1) * WINDOW_US];
            const changes = [0, scaledUs, pausedUs, resumedUs].filter((us) => us <= fromUs);
            if ([scaledUs, pausedUs, resumedUs].some((us) => us > fromUs - WINDOW_US && us < toUs + WINDOW_US)) return [];
            const rate = [0, 200, 800, 0, 800][changes.length] ?? NaN;
            // What came late comes in the next window.
            const stalled = (rate * lateMs(fromUs - WINDOW_US, toUs)) / 1_000;
            const offMax = slackMs > 0 ? OFF_MAX + (rate * slackMs) / 1_000 : Math.max(OFF_MAX, stalled);
            return [{ off: Math.abs(count - rate / 10), window, count, offMax }];
          });
          expect(offs.filter(({ off, offMax }) => !(off <= offMax))).toEqual([]);
          // Nothing comes before its instant: no noise can make that happen.
          const plannedBefore = (us: number): number =>
            (200 * Math.min(us, scaledUs) +
              800 * Math.max(0, Math.min(us, pausedUs) - scaledUs) +
              800 * Math.max(0, Math.min(us, SECONDS * SECOND_US) - resumedUs)) /
            SECOND_US;
          let reached = 0;
          const early = counts.flatMap((count, window) => {
            reached += count;
            const due = plannedBefore((window + 1) * WINDOW_US);
            return reached > due + OFF_MAX ? [{ window, reached, due }] : [];
          });
          expect(early).toEqual([]);
          // However noisy the machine was: what it kept waiting are moments, and the rest of the windows is as it must be.
          expect(offs.filter(({ off }) => off > OFF_MAX).length).toBeLessThan(offs.length / 10);
        },
      };
    });
  });
});
