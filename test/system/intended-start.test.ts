import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { imbalances } from '../../shared/stats/index.ts';
import { Cluster, metricOf, type ClusterRun } from '../support/cluster.ts';
import { atAQuietMoment, noiseMs } from '../support/quiet-moment.ts';
import { TargetProcess } from '../support/target-process.ts';

const RATE = 200;
const DURATION_S = 10;
const FREEZE_S = 2;
const SERVICE_US = 1_000;
/** A stall of the machine of this length moves the smallest of the percentiles below by more than half of what it may differ. */
const NOISE_MAX_MS = 15;

/** Percentiles of `http_req_response_time`, milliseconds, when everything that arrives in a freeze of F = 2 s waits for its end.
 *
 *  An arrival x seconds after the freeze began waits F − x. Arrivals are evenly spaced, so these waits are spread evenly over (0, F],
 *  and they are F·rate of D·rate samples: a share F/D = 20 %. A share q of all samples is above the wait w when
 *  q = F/D · (1 − w/F), so w = F − q·D. With F = 2 and D = 10: p90 = 1.0 s, p95 = 1.5 s, p99 = 1.9 s, p99.9 = 1.99 s.
 *
 *  With one VU that needs s seconds for a request, arrival x has rate·x others before it, and ends s·(rate·x + 1) after the thaw: it waits
 *  F − x·(1 − rate·s) + s. That is the same line, less steep, and goes on behind the thaw until the backlog of rate·F is drained while
 *  `rate` keeps coming: F/(1 − rate·s) seconds of arrivals in all. So w = F − q·D·(1 − rate·s) + s. Without the queue (s = 0 in the
 *  product) it is the line above; the difference, q·D·rate·s, is the time to drain what stands before. */
function closedFormMs(percentile: number, drainS: number): number {
  const share = 1 - percentile / 100;
  return 1_000 * (FREEZE_S - share * DURATION_S * (1 - RATE * drainS)) + SERVICE_US / 1_000;
}

describe('latency counts from the intended start', () => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': { latency: { kind: 'constant', us: SERVICE_US } } } });
    cluster = await Cluster.start(2);
    await cluster.warmUp(target.url);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });
  beforeEach(() => target.reset());

  test('a frozen target shows in full when there are VUs enough, as service time', async () => {
    await atAQuietMoment(NOISE_MAX_MS, async () => {
      const { run, log } = await frozen(500);
      return {
        noiseMs: noiseMs(run.summary.agents, log),
        judge: (slackMs) => {
          for (const percentile of [90, 95, 99, 99.9]) expectPercentile(run, percentile, closedFormMs(percentile, 0), slackMs);
          expect(responseMs(run, 50)).toBeLessThan(10 * (SERVICE_US / 1_000));
          // The socket waited, not the plan: requests went out when they were wanted.
          expect(metricOf(run.summary, 'http_req_duration', 'trend').percentiles['90']).toBeGreaterThan(0.97 * closedFormMs(90, 0));
          expect(metricOf(run.summary, 'schedule_lag', 'trend').percentiles['99']).toBeLessThan(NOISE_MAX_MS + slackMs);
          expectWholeStory(run, log.total);
        },
      };
    });
  });

  test('with one VU the wait is in the response time all the same, and the time to drain the backlog with it, as schedule lag', async () => {
    await atAQuietMoment(NOISE_MAX_MS, async () => {
      const { run, log } = await frozen(1);
      const duration = metricOf(run.summary, 'http_req_duration', 'trend');
      const drainS = drainSecondsPerRequest(log.arrivals.map(({ atUs }) => atUs));
      return {
        noiseMs: noiseMs(run.summary.agents, log),
        judge: (slackMs) => {
          for (const percentile of [90, 95, 99, 99.9]) expectPercentile(run, percentile, closedFormMs(percentile, drainS), slackMs);
          // A request took no longer than the target's latency and what the way there and back costs: nothing else is in the drain.
          expect(drainS * 1_000_000).toBeGreaterThan(SERVICE_US);
          expect(drainS * 1_000_000).toBeLessThan(2 * SERVICE_US + 10 * slackMs);
          // Only the request that the freeze caught was slow to serve; everybody else waited for the VU.
          expect(duration.max).toBeGreaterThan(0.97 * FREEZE_S * 1_000);
          expect(duration.percentiles['99.9']).toBeLessThan(NOISE_MAX_MS + SERVICE_US / 1_000 + slackMs);
          expect(metricOf(run.summary, 'schedule_lag', 'trend').percentiles['90']).toBeGreaterThan(0.97 * closedFormMs(90, drainS));
          expectWholeStory(run, log.total);
        },
      };
    });
  });

  async function frozen(maxVUs: number): Promise<{ run: ClusterRun; log: Awaited<ReturnType<TargetProcess['log']>> }> {
    await target.reset();
    // The first arrival is the plan's zero, to within a fraction of a millisecond.
    await target.freezeAfterFirst(4_000_000, FREEZE_S * 1_000_000);
    const load = { executor: 'constant-arrival-rate', rate: RATE, duration: `${DURATION_S}s`, preAllocatedVUs: maxVUs, maxVUs };
    const scenarios = { steady: { ...load, flow: [{ get: '/' }] } };
    const run = await cluster.run({ name: 'intended start', target: target.url, scenarios }, 2);
    return { run, log: await target.log() };
  }
});

function responseMs({ summary }: ClusterRun, percentile: number): number {
  const { percentiles } = metricOf(summary, 'http_req_response_time', 'trend');
  return percentiles[String(percentile) as keyof typeof percentiles];
}

/** Within 3 %. */
function expectPercentile(run: ClusterRun, percentile: number, expectedMs: number, slackMs: number): void {
  const offMs = Math.abs(responseMs(run, percentile) - expectedMs);
  const message = `p${percentile}: expected ${expectedMs} ms, got ${responseMs(run, percentile)} ms`;
  expect(offMs, message).toBeLessThan(0.03 * expectedMs + slackMs);
}

/** Every planned request was fired, and on average its response time is its lag, its wait for a connection and its service time. */
function expectWholeStory({ summary }: ClusterRun, received: number): void {
  expect(imbalances(summary.ledger)).toEqual([]);
  expect([summary.ledger.planned, summary.ledger.started, received]).toEqual([2_000, 2_000, 2_000]);
  const [response, lag, blocked, duration] = (
    ['http_req_response_time', 'schedule_lag', 'http_req_blocked', 'http_req_duration'] as const
  ).map((name) => metricOf(summary, name, 'trend').mean);
  expect(Math.abs((lag ?? NaN) + (blocked ?? NaN) + (duration ?? NaN) - (response ?? NaN))).toBeLessThan(0.01 * (response ?? NaN));
}

/** Seconds from one arrival to the next while one VU works off its backlog, as the target saw it: over the first half of the backlog
 *  behind the longest gap, which is the freeze. */
function drainSecondsPerRequest(atUs: readonly number[]): number {
  const gaps = atUs.slice(1).map((us, i) => us - (atUs[i] ?? NaN));
  const thaw = gaps.indexOf(Math.max(...gaps)) + 1;
  const half = (FREEZE_S * RATE) / 2;
  return ((atUs[thaw + half] ?? NaN) - (atUs[thaw] ?? NaN)) / half / 1_000_000;
}
