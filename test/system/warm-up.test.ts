import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Cluster, metricOf } from '../support/cluster.ts';
import { expectBalanced } from '../support/shell.ts';
import { TargetProcess } from '../support/target-process.ts';

// Their runs must be good ones: agents that rehearse, once for all of them, are not late with their first arrivals.
vi.stubEnv('MUSTER_REHEARSAL', 'on');

const RATE = 100;
const WARM_UP_S = 1;
const DURATION_S = 3;
/** The first requests of every path fail, as those of a target do that is not ready yet. */
const UNREADY = 80;

describe('a warm-up', () => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': {} } });
    cluster = await Cluster.start(2);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('of arrivals is in no total and no threshold, but in the ledger, in the series and in the log', async () => {
    await target.behave('*', { failFirst: { count: UNREADY, status: 503 } });
    await target.reset();
    const { ended, summary, bundle } = await cluster.run(
      {
        name: 'warm',
        target: target.url,
        scenarios: {
          browse: {
            ...{ executor: 'constant-arrival-rate', rate: RATE, duration: `${DURATION_S}s`, warmup: `${WARM_UP_S}s` },
            flow: [{ get: '/', check: { status: 200 } }],
          },
        },
        thresholds: {
          http_reqs: [`count==${RATE * (DURATION_S - WARM_UP_S)}`, { threshold: 'rate>90', abortOnFail: true }],
          http_req_failed: [{ threshold: 'rate==0', abortOnFail: true }],
          'http_req_failed{phase:warmup}': [`rate==${UNREADY / (RATE * WARM_UP_S)}`],
        },
      },
      2,
    );
    expect(
      summary.thresholds.map(({ verdict }) => verdict),
      JSON.stringify(summary.thresholds),
    ).toEqual(['pass', 'pass', 'pass', 'pass']);
    expect(ended.code, ended.stderr).toBe(0);
    expectBalanced(summary);
    expect(summary.ledger).toMatchObject({ planned: RATE * DURATION_S, completed: RATE * DURATION_S });
    expect((await target.log()).total).toBe(RATE * DURATION_S);
    expect(metricOf(summary, 'checks', 'rate')).toMatchObject({ passes: RATE * (DURATION_S - WARM_UP_S), fails: 0 });
    expect(metricOf(summary, 'iterations', 'counter').count).toBe(RATE * (DURATION_S - WARM_UP_S));
    expect(metricOf(summary, 'schedule_lag', 'trend').count).toBe(RATE * (DURATION_S - WARM_UP_S));
    expect(summary.warmUps).toEqual([{ scenario: 'browse', seconds: WARM_UP_S, iterations: RATE * WARM_UP_S, requests: RATE * WARM_UP_S }]);
    let drawn = 0;
    for await (const { metric, tags, histogram } of bundle.intervals()) {
      if (metric === 'http_req_duration' && tags['phase'] === 'warmup') drawn += histogram.count;
    }
    expect(drawn).toBe(RATE * WARM_UP_S);
  });

  test('of looping VUs ends by when each iteration began, and one that is still warm when the load ends leaves no data', async () => {
    await target.behave('*', { latency: { kind: 'constant', us: 10_000 } });
    await target.reset();
    const flow = [{ get: '/' }];
    const { ended, summary } = await cluster.run(
      {
        name: 'loops',
        target: target.url,
        scenarios: {
          loop: { executor: 'constant-vus', vus: 4, duration: '2s', warmup: '1s', flow },
          count: { executor: 'per-vu-iterations', vus: 2, iterations: 3, maxDuration: '1m', warmup: '50s', flow },
        },
        thresholds: { 'http_reqs{scenario:count}': ['count>0'], 'iterations{scenario:loop}': ['count>0'] },
      },
      2,
    );
    expectBalanced(summary);
    expect(summary.thresholds.map(({ verdict }) => verdict)).toEqual(['no-data', 'pass']);
    expect(ended.code).toBe(99);
    const [loop, count] = summary.warmUps ?? [];
    expect(count).toEqual({ scenario: 'count', seconds: 50, iterations: 6, requests: 6 });
    const measured = metricOf(summary, 'iterations', 'counter').count;
    expect((loop?.iterations ?? 0) + measured + 6).toBe(summary.ledger.completed);
    expect(metricOf(summary, 'http_reqs', 'counter').count).toBe(measured);
  });
});
