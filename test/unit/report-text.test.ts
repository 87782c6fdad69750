import { describe, expect, test } from 'vitest';
import {
  parseSummary,
  renderJson,
  renderProgress,
  renderSummary,
  summarise,
  type Snapshot,
  type Summary,
} from '../../shared/report/index.ts';
import { HealthWatch, ThresholdWatch, type Threshold } from '../../shared/sla/index.ts';
import { Histogram, type Series, type Tags } from '../../shared/stats/index.ts';

describe('summary', () => {
  test('has the values of its series in milliseconds, percentiles from the merged buckets', () => {
    const { metrics } = summary();
    expect(metrics['http_req_response_time']).toEqual({
      type: 'trend',
      unit: 'ms',
      count: 101,
      min: 1,
      mean: 149.01,
      max: 10_000,
      stdDev: expect.closeTo(985.183, 0) as number,
      percentiles: { 50: 51.007, 90: 91.007, 95: 96.063, 99: 100.031, '99.9': 10_000, '99.99': 10_000 },
    });
    expect(metrics['http_reqs']).toEqual({ type: 'counter', count: 101, rate: 3.366667 });
    expect(metrics['http_req_failed']).toEqual({ type: 'rate', rate: 1 / 101, passes: 1, fails: 100 });
    expect(metrics['vus']).toEqual({ type: 'gauge', value: 3, min: 1, max: 9 });
  });

  test('lists every series with its tags and the fields of its kind', () => {
    const { series } = summary();
    expect(series.filter(({ metric }) => metric === 'http_reqs')).toEqual([
      { metric: 'http_reqs', tags: { scenario: 'browse', error: 'timeout' }, type: 'counter', count: 1, rate: 0.033333 },
      { metric: 'http_reqs', tags: { scenario: 'browse' }, type: 'counter', count: 100, rate: 3.333333 },
    ]);
  });

  test('keeps successful requests apart: the latency of a failure is in the whole, not in them', () => {
    const { submetrics } = summary();
    expect(submetrics['http_req_response_time{expected_response:true}']).toMatchObject({ count: 100, max: 100 });
  });

  test('a threshold without data is null, not a number', () => {
    expect(summary().thresholds.map(({ metric, verdict, observed }) => [metric, verdict, observed])).toEqual([
      ['http_req_response_time', 'pass', 100.031],
      ['http_req_failed', 'fail', 0.009901],
      ['http_req_duration', 'no-data', null],
    ]);
  });

  test('an empty trend is all zeros, and JSON holds no null for it', () => {
    const empty = summary({ totals: [{ metric: 'http_req_duration', tags: {}, value: { kind: 'trend', histogram: new Histogram() } }] });
    expect(empty.metrics['http_req_duration']).toMatchObject({ count: 0, min: 0, mean: 0, max: 0, stdDev: 0, percentiles: { 99: 0 } });
    expect(JSON.stringify(empty.metrics)).not.toContain('null');
  });

  test('reads back from its JSON as it was', () => {
    const original = summary();
    expect(parseSummary(JSON.parse(renderJson(original)))).toEqual(original);
  });

  test('a summary of the bare contract, without our extra sections, is accepted', () => {
    const { schemaVersion, run, ledger, validity, metrics, series, thresholds: full } = summary();
    const thresholds = full.map(({ metric, expression, verdict, observed }) => ({ metric, expression, verdict, observed }));
    const parsed = parseSummary({ schemaVersion, run, ledger, validity, metrics, series, thresholds });
    expect([parsed.agents, parsed.submetrics, parsed.thresholds[0]?.tags]).toEqual([[], {}, {}]);
    expect(renderSummary(parsed, { color: false })).toContain('FAILED');
  });

  test('every problem of a broken summary is reported with its path', () => {
    const broken = { ...summary(), ledger: { planned: 'many' }, thresholds: [{ metric: 1, expression: '', verdict: 'maybe' }] };
    try {
      parseSummary(broken);
      expect.fail('it was accepted');
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'BUNDLE_INVALID' });
      const paths = (thrown as { problems: { path: string }[] }).problems.map(({ path }) => path);
      expect(paths).toEqual(
        expect.arrayContaining(['ledger.planned', 'ledger.started', 'ledger.samples', 'thresholds[0].metric', 'thresholds[0].verdict']),
      );
    }
  });

  test.each([[undefined], [null], [[]], [{}], [{ schemaVersion: '1' }], [{ schemaVersion: 2 }]])('%j is refused', (unknown) => {
    expect(() => parseSummary(unknown)).toThrow(expect.objectContaining({ code: 'BUNDLE_INVALID', exitCode: 104 }) as Error);
  });
});

describe('closing summary', () => {
  const shown = renderSummary(summary(), { color: false });

  test('shows metrics in the layout of k6, with the successes below', () => {
    expect(shown).toContain(
      '  http_req_response_time......: avg=149ms min=1ms med=51.01ms max=10s p(90)=91.01ms p(95)=96.06ms p(99)=100ms\n',
    );
    expect(shown).toMatch(/\n {4}\{ expected_response:true \}\.*: avg=50\.5ms /);
    expect(shown).toContain('  http_reqs...................: 101 3.37/s\n');
    expect(shown).toContain('  http_req_failed.............: 0.99% 1 out of 101\n');
  });

  test('shows thresholds with what was observed', () => {
    expect(shown).toContain("  ✓ 'p(99)<250' p(99)=100ms\n");
    expect(shown).toContain("  ✗ 'rate<0.001' rate=0.99%\n");
    expect(shown).toContain("  ✗ 'p(95)<100' no data, which is not a pass\n");
  });

  test('writes the ledger as equations, and marks the one that does not hold', () => {
    expect(shown).toContain('✓ planned 101 = started 101 + dropped 0 + undelivered 0 + unknown 0\n');
    const broken = summary();
    const unequal = renderSummary({ ...broken, ledger: { ...broken.ledger, completed: 90 } }, { color: false });
    expect(unequal).toContain('✗ started 101 ≠ completed 90 + interrupted 0\n');
  });

  test('shows failed requests by kind, checks that did not hold, agents and validity', () => {
    expect(shown).toMatch(/timeout\.+: 1\n/);
    expect(shown).toContain('✗ status is 200: 99.01% held, ✓ 100 ✗ 1\n');
    expect(shown).toContain('planned 2, reported 2, lost 1\n');
    expect(shown).toMatch(/ {2}degraded\n {4}agents-lost: agent b was lost\n/);
  });

  test('what rounding would make the bound itself is told in full', () => {
    const whole = summary();
    const close = (metric: string, expression: string, observed: number): string =>
      renderSummary({ ...whole, thresholds: [{ metric, tags: {}, expression, verdict: 'fail', observed }] }, { color: false });
    expect(close('http_req_response_time', 'p(99)<=250', 250.0004)).toContain("✗ 'p(99)<=250' p(99)=250ms (250.0004)\n");
    expect(close('http_req_response_time', 'p(99)<250', 250)).toContain("✗ 'p(99)<250' p(99)=250ms\n");
    expect(close('http_req_failed', 'rate<0.01', 0.010001)).toContain("✗ 'rate<0.01' rate=1.00% (0.010001)\n");
    expect(close('http_reqs', 'rate>=40', 39.999)).toContain("✗ 'rate>=40' rate=40 (39.999)\n");
  });

  test('a long name of an agent is not cut: in a merge it begins with the name of its run', () => {
    const whole = summary();
    const named = whole.agents.map((agent, i) => ({ ...agent, agent: `20261125-212737-af98/agent-${i}` }));
    const shown = renderSummary({ ...whole, agents: named }, { color: false });
    for (const { agent } of named) expect(shown).toContain(`${agent} cpu 0.20`);
  });

  test('ends with what it all comes to', () => {
    expect(shown.trimEnd().split('\n').at(-1)).toBe('✗ FAILED  1 of 3 thresholds held, 1 failed, 1 without data · result degraded');
  });

  test('a run whose thresholds all hold, and that is not invalid, passed', () => {
    const held = summary();
    const passed = { ...held, thresholds: held.thresholds.slice(0, 1) };
    expect(renderSummary(passed, { color: false })).toContain('✓ PASSED  1 of 1 thresholds held · result degraded');
    expect(renderSummary({ ...passed, validity: { grade: 'invalid', reasons: [] } }, { color: false })).toContain('✗ FAILED');
  });

  test('is colour and nothing else that --color adds', () => {
    const colored = renderSummary(summary(), { color: true });
    expect(colored).toContain('\u001b[31m');
    expect(colored.replaceAll(/\u001b\[\d+m/g, '')).toBe(shown);
    expect(shown).not.toContain('\u001b');
  });

  test('escape sequences in names do not reach the terminal', () => {
    const evil = summary({ name: 'a\u001b[2Jb\nc' });
    expect(renderSummary(evil, { color: false })).toContain('a [2Jb c (r1)');
  });
});

describe('progress line', () => {
  const SNAPSHOT: Snapshot = {
    runId: 'r1',
    name: 'storefront',
    state: 'running',
    elapsedUs: 15_000_000,
    durationUs: 30_000_000,
    plannedPerSecond: 200,
    deliveredPerSecond: 199,
    responseMs: { p50: 1.234, p95: 20.06, p99: 312.4 },
    errorRate: 0.0123,
    totalRequests: 3_000,
    totalErrors: 37,
    activeVus: 12,
    agents: { ready: 0, running: 3, lost: 1, planned: 4 },
    lagP99Ms: 0.42,
    dropped: 2,
    verdicts: [{ metric: 'http_req_failed', expression: 'rate<0.01', verdict: 'fail' }],
    events: [],
  };

  test('shows time, planned and delivered rate, percentiles, errors, agents and lag', () => {
    expect(renderProgress(SNAPSHOT, 200)).toBe(
      '[======      ] 15s/30s  199 of 200/s  p50/95/99 1.23/20.1/312 ms  errors 37 (1.23%)  1 threshold failing  agents 3/4 (1 lost)  dropped 2  lag p99 0.42 ms  VUs 12',
    );
  });

  test.each([0, 1, 10, 40, 60, 80, 100, 120])('is one line that fits %d columns', (width) => {
    for (const state of ['waiting', 'preparing', 'running', 'draining', 'finished'] as const) {
      const line = renderProgress({ ...SNAPSHOT, state, name: 'a\nb\u001b[31m' }, width);
      expect(line.length).toBeLessThanOrEqual(width);
      expect(line).not.toMatch(/[\n\u001b]/);
    }
  });

  test('before the start it shows who is ready', () => {
    expect(renderProgress({ ...SNAPSHOT, state: 'waiting', agents: { ready: 2, running: 0, lost: 0, planned: 4 } }, 80)).toBe(
      'waiting  agents 2/4 ready  storefront',
    );
  });

  test('without a plan, a measurement or a duration it shows no made-up numbers', () => {
    const line = renderProgress({ ...SNAPSHOT, plannedPerSecond: 0, responseMs: undefined, durationUs: 0, elapsedUs: 0 }, 120);
    expect(line).toMatch(/^\[ {12}\] 0µs\/0µs {2}199\/s {2}p50\/95\/99 - /);
  });
});

function summary(change: { readonly totals?: readonly Series[]; readonly name?: string } = {}): Summary {
  const totals = change.totals ?? [
    trend(
      'http_req_response_time',
      Array.from({ length: 100 }, (_, i) => (i + 1) * 1_000),
    ),
    trend('http_req_response_time', [10_000_000], { error: 'timeout' }),
    counter('http_reqs', 100, { scenario: 'browse' }),
    counter('http_reqs', 1, { scenario: 'browse', error: 'timeout' }),
    rate('http_req_failed', 1, 100),
    rate('checks', 100, 1, { check: 'status is 200' }),
    { metric: 'vus', tags: {}, value: { kind: 'gauge', value: 3, min: 1, max: 9 } },
    trend('schedule_lag', [100, 200, 900]),
  ];
  const thresholds = [
    threshold('http_req_response_time', 'p(99)<250', { kind: 'percentile', percentile: 99 }, 250),
    threshold('http_req_failed', 'rate<0.001', { kind: 'rate' }, 0.001),
    threshold('http_req_duration', 'p(95)<100', { kind: 'percentile', percentile: 95 }, 100),
  ];
  const health = new HealthWatch();
  for (const agent of ['b', 'a']) {
    health.add(agent, {
      loopDelayP99Us: 100,
      loopDelayMaxUs: 900,
      pacerLagP99Us: 300,
      pacerLagMaxUs: 1_200,
      cpu: 0.2,
      gcPauseUs: 0,
      rssBytes: 80_000_000,
      openSockets: 4,
      activeVus: 3,
      outboxBatches: 0,
    });
  }
  return summarise({
    run: {
      id: 'r1',
      name: change.name ?? 'storefront',
      startedAt: '2026-01-02T03:04:05.000Z',
      agents: { planned: 2, reported: 2, lost: 1 },
      seed: 7,
      target: 'http://127.0.0.1:8080',
    },
    durationUs: 30_000_000,
    ledger: {
      planned: 101,
      started: 101,
      dropped: 0,
      undelivered: 0,
      unknown: 0,
      completed: 101,
      interrupted: 0,
      samples: { recorded: 808, merged: 808, missing: 0, duplicate: 0 },
    },
    validity: { grade: 'degraded', reasons: [{ code: 'agents-lost', grade: 'degraded', detail: 'agent b was lost', agent: 'b' }] },
    totals,
    verdicts: new ThresholdWatch(thresholds, 1_000_000).final(totals, 30_000_000),
    health: health.agents(),
    agentsLost: ['b'],
  });
}

function threshold(metric: string, expression: string, aggregation: Threshold['aggregation'], bound: number): Threshold {
  return {
    metric,
    tags: {},
    expression,
    aggregation,
    comparison: '<',
    bound,
    abortOnFail: false,
    delayAbortEvalUs: 0,
    windowUs: undefined,
  };
}

function trend(metric: string, valuesUs: readonly number[], tags: Tags = {}): Series {
  const histogram = new Histogram();
  for (const value of valuesUs) histogram.record(value);
  return { metric, tags, value: { kind: 'trend', histogram } };
}

function counter(metric: string, count: number, tags: Tags = {}): Series {
  return { metric, tags, value: { kind: 'counter', count } };
}

function rate(metric: string, passes: number, fails: number, tags: Tags = {}): Series {
  return { metric, tags, value: { kind: 'rate', passes, fails } };
}
