import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, type ClusterRun } from '../support/cluster.ts';
import { atAQuietMoment, noiseMs } from '../support/quiet-moment.ts';
import { TargetProcess } from '../support/target-process.ts';

const RATE = 400;
const DURATION_S = 5;
const GAP_MS = 1_000 / RATE;
/** Two arrivals nearer than a tenth of the gap stand together. */
const TOGETHER_MS = GAP_MS / 10;
const WINDOW_MS = 100;
/** A window takes 40 arrivals; when agent or target stood still for 50 ms it takes 60 at once, and that is the machine's burst. */
const NOISE_MAX_MS = 40;

/** Clocks of agents on one machine are known to about a millisecond, and each notices its zero when the machine lets it. */
const START_SPREAD_MAX_MS = 10;

interface Spacing {
  readonly gapP50Ms: number;
  /** Of all gaps, those in which two arrivals stand together. */
  readonly together: number;
  /** Arrivals in the fullest window that begins with an arrival. */
  readonly fullestWindow: number;
  readonly spanMs: number;
}

describe('the split of the load keeps its spacing', () => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': {} } });
    cluster = await Cluster.start(4);
    await cluster.warmUp(target.url);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('arrivals of 4 agents at 400/s are as evenly spaced as those of 1 agent, and start together', async () => {
    await atAQuietMoment(NOISE_MAX_MS, async () => {
      const one = await measured(1);
      const four = await measured(4);
      return {
        noiseMs: Math.max(one.noise, four.noise),
        judge: (slackMs) => {
          for (const { spacing } of [one, four]) {
            expect(spacing.gapP50Ms).toBeGreaterThan(0.9 * GAP_MS);
            expect(spacing.gapP50Ms).toBeLessThan(1.1 * GAP_MS);
            // 2000 arrivals take 1999 gaps: nobody's load was added on top, nobody's came late.
            expect(Math.abs(spacing.spanMs - (DURATION_S * 1_000 - GAP_MS))).toBeLessThan(NOISE_MAX_MS + slackMs);
            expect(spacing.fullestWindow).toBeLessThan((1.5 * WINDOW_MS + slackMs) * (RATE / 1_000));
          }
          // Were each agent to fire its own 100/s from the start, four would stand together at every instant: three gaps of four.
          expect(four.spacing.together).toBeLessThan(one.spacing.together + 0.02);
          expect(four.run.summary.run.startSpreadMs).toBeLessThan(START_SPREAD_MAX_MS + slackMs);
        },
      };
    });
  });

  test('every agent fires every fourth request', async () => {
    const { run } = await measured(4);
    const started = new Map<string, number>();
    for await (const { agent, ledgers } of run.bundle.agentLines()) {
      started.set(agent, ledgers[0]?.ledger.started ?? 0);
    }
    expect([...started.values()]).toEqual([500, 500, 500, 500]);
  });

  async function measured(agents: number): Promise<{ run: ClusterRun; spacing: Spacing; noise: number }> {
    await target.reset();
    const load = { executor: 'constant-arrival-rate', rate: RATE, duration: `${DURATION_S}s`, preAllocatedVUs: 20, maxVUs: 200 };
    const run = await cluster.run(
      { name: 'spacing', target: target.url, scenarios: { steady: { ...load, flow: [{ get: '/' }] } } },
      agents,
    );
    const log = await target.log();
    expect(log.total).toBe(RATE * DURATION_S);
    return { run, spacing: spacingOf(log.arrivals.map(({ atUs }) => atUs / 1_000)), noise: noiseMs(run.summary.agents, log) };
  }
});

/** Of arrival instants in milliseconds, in the order in which the target read them. */
function spacingOf(atMs: readonly number[]): Spacing {
  const gaps = atMs.slice(1).map((ms, i) => ms - (atMs[i] ?? NaN));
  const sorted = [...gaps].sort((a, b) => a - b);
  let fullestWindow = 0;
  let from = 0;
  atMs.forEach((ms, i) => {
    while (ms - (atMs[from] ?? NaN) >= WINDOW_MS) from++;
    fullestWindow = Math.max(fullestWindow, i - from + 1);
  });
  return {
    gapP50Ms: sorted[Math.floor(sorted.length / 2)] ?? NaN,
    together: gaps.filter((ms) => ms < TOGETHER_MS).length / gaps.length,
    fullestWindow,
    spanMs: (atMs.at(-1) ?? NaN) - (atMs[0] ?? NaN),
  };
}
