import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PERCENTILES, type TrendSummary } from '../../shared/report/index.ts';
import { Cluster, metricOf, type ClusterRun } from '../support/cluster.ts';
import { atAQuietMoment, noiseMs } from '../support/quiet-moment.ts';
import { TargetProcess } from '../support/target-process.ts';
import type { Behaviour, TargetLog } from '../support/target.ts';

const REQUESTS = 20_000;
const RATE = 1_000;
const TOLERANCE = 0.001;
/** The way from the agent's socket to the target's and back, which only one of the two sees. */
const TOLERANCE_MS = 0.3;
/** p99.9 of 20,000 is the 20th slowest. While one event loop stands still for longer than this, more responses than that may wait. */
const NOISE_MAX_MS = 8;
const COMPARED = PERCENTILES.filter((name) => name !== '99.99');

describe('what is measured is what happened', () => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start();
    cluster = await Cluster.start(2);
    await cluster.warmUp(target.url);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('percentiles of 20,000 requests are those of the service times that the target logged', async () => {
    // Between some 5 and 50 ms: the median is 16 ms, and e^(±3·0.38) of it lies three deviations out.
    await target.behave('*', { latency: { kind: 'lognormal', seed: 4, medianUs: 16_000, sigma: 0.38 } });
    await atAQuietMoment(NOISE_MAX_MS, async () => {
      const { run, log } = await measured(RATE, REQUESTS / RATE);
      const truth = log.arrivals.map(({ serviceUs }) => serviceUs ?? NaN).sort((a, b) => a - b);
      const duration = metricOf(run.summary, 'http_req_duration', 'trend');
      return {
        noiseMs: noiseMs(run.summary.agents, log),
        judge: (slackMs) => {
          expect([duration.count, truth.length]).toEqual([REQUESTS, REQUESTS]);
          const off = COMPARED.map((name) => [name, offMs(duration, truth, name)] as const);
          for (const [name, ms] of off) {
            // Few wait for as long as the longest stall; what a noisy machine does to the rest is far less.
            const limitMs = TOLERANCE_MS + (name === '99.9' ? slackMs : slackMs / 10);
            expect(ms, `p${name}; all: ${JSON.stringify(off)}`).toBeLessThan(limitMs);
          }
        },
      };
    });
  });

  test('a constant 100 ms is measured as 100 ms, never less, once per request', async () => {
    const behaviour: Behaviour = { latency: { kind: 'constant', us: 100_000 } };
    await target.behave('*', behaviour);
    await atAQuietMoment(NOISE_MAX_MS, async () => {
      const { run, log } = await measured(100, 5);
      const duration = metricOf(run.summary, 'http_req_duration', 'trend');
      expect(duration.count).toBe(log.total);
      expect(duration.count).toBe(run.summary.ledger.started);
      expect(duration.count).toBe(500);
      expect(duration.min).toBeGreaterThanOrEqual(100);
      return {
        noiseMs: noiseMs(run.summary.agents, log),
        // A bucket at 100 ms is 64 µs wide, and its top is what a percentile tells.
        judge: (slackMs) => expect(duration.percentiles['50']).toBeLessThan(100 + 0.064 + 1 + slackMs / 10),
      };
    });
  });

  async function measured(rate: number, seconds: number): Promise<{ run: ClusterRun; log: TargetLog }> {
    await target.reset();
    const load = { executor: 'constant-arrival-rate', rate, duration: `${seconds}s`, preAllocatedVUs: 100, maxVUs: 1_000 };
    const run = await cluster.run({ name: 'truth', target: target.url, scenarios: { steady: { ...load, flow: [{ get: '/' }] } } }, 2);
    return { run, log: await target.log() };
  }
});

/** How far a measured percentile is from the same percentile of the log (nearest rank), beyond what one bucket may round. */
function offMs(measured: TrendSummary, truthUs: readonly number[], name: (typeof COMPARED)[number]): number {
  const truthMs = (truthUs[Math.ceil((Number(name) / 100) * truthUs.length) - 1] ?? NaN) / 1_000;
  return Math.abs(measured.percentiles[name] - truthMs) - TOLERANCE * truthMs;
}
