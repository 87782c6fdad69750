import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Plan } from '../../shared/plan/index.ts';
import {
  checkThresholds,
  formatHlogHead,
  formatHlogLine,
  openResults,
  renderCheckJson,
  renderCheckJunit,
  renderCheckText,
  thresholdsOf,
  type CheckOptions,
  type CheckResult,
} from '../../shared/report/index.ts';
import { parseThresholds } from '../../shared/scenario/index.ts';
import type { Threshold } from '../../shared/sla/index.ts';
import { Histogram, type Batch } from '../../shared/stats/index.ts';
import { writeBundle } from '../support/bundles.ts';
import { sealedInterval, trendSlice } from '../support/intervals.ts';
import { openScenario } from '../support/plans.ts';

const PLAN: Plan = { name: 'checked', seed: 1, intervalMs: 1_000, scenarios: [openScenario({ ratePerSecond: 10, seconds: 10 })] };
const SCENARIO = { scenario: 'browse' };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-check-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

describe('a bundle', () => {
  const OWN = `
http_req_response_time: ['p(99)<250', avg<1.5005, { threshold: max<3, window: 2s }]
http_req_response_time{name:list}: ['p(50)<=1']
http_req_failed: [{ threshold: rate<0.2, window: 2s }]
http_reqs: ['count==15', 'rate>1', { threshold: 'rate>=2', window: 1s }]
http_reqs{name:nobody}: count>0
vus: value<5
`;

  test('is judged by default by the thresholds of its own run, and gets the verdicts that the run got', async () => {
    await writeBundle(dir, { plan: PLAN, batches: run(), thresholds: thresholds(OWN) });
    const results = await openResults(dir);
    const result = await checkThresholds(results, thresholdsOf(results));
    const own = results.kind === 'bundle' ? results.bundle.summary : undefined;
    expect(result.thresholds).toEqual(own?.thresholds);
    expect(result.thresholds.map(({ verdict }) => verdict)).toEqual([
      ...['pass', 'fail', 'fail', 'fail', 'fail', 'pass', 'pass', 'fail', 'no-data', 'pass'],
    ]);
    expect(result.metrics).toEqual(own?.metrics);
    expect(result.exitCode).toBe(99);
  });

  test.each([
    ['a threshold that holds', { http_reqs: 'count==15' }, {}, 0],
    ['a threshold that fails', { http_reqs: 'count>15' }, {}, 99],
    ['a threshold without data', { http_req_tls_handshaking: 'max<1' }, {}, 99],
    ['a run that is not to be trusted', { http_reqs: 'count==15' }, { undelivered: 10 }, 111],
    ['a failed threshold in a run that is not to be trusted', { http_reqs: 'count>15' }, { undelivered: 10 }, 99],
  ])('%s: exit code', async (_name, own, parts, exitCode) => {
    await writeBundle(dir, { plan: PLAN, batches: run(), ...parts });
    expect(await check(dir, JSON.stringify(own))).toMatchObject({ exitCode });
  });

  test('what warmed up counts in no threshold, but in one that asks for it', async () => {
    const scenarios = [{ ...openScenario({ ratePerSecond: 10, seconds: 10 }), warmupUs: 2_000_000 }];
    const warm = run().map((batch, index) =>
      index < 2 ? { ...batch, defines: batch.defines.map((one) => ({ ...one, tags: { ...one.tags, phase: 'warmup' } })) } : batch,
    );
    const [, , third, ...rest] = warm;
    if (third === undefined) throw new Error('no third interval');
    const batches = [...warm.slice(0, 2), { ...third, defines: definitions() }, ...rest];
    await writeBundle(dir, { plan: { ...PLAN, scenarios }, batches });
    const result = await check(dir, 'http_reqs: ["count==12", "rate==4"]\nhttp_reqs{phase:warmup}: ["count==3", "rate==1.5"]');
    expect(result.thresholds.map(({ verdict, observed }) => [verdict, observed])).toEqual([
      ['pass', 12],
      ['pass', 4],
      ['pass', 3],
      ['pass', 1.5],
    ]);
  });

  test.each([1_000_000, 400_000])('more can be left out at the start, and is not counted as time either (%i µs)', async (warmupUs) => {
    await writeBundle(dir, { plan: PLAN, batches: run() });
    const result = await check(dir, 'http_reqs: ["count==14", "rate==3.5"]\nhttp_req_response_time: min>=2', { warmupUs });
    expect(result.thresholds.map(({ verdict, observed }) => [verdict, observed])).toEqual([
      ['pass', 14],
      ['pass', 3.5],
      ['pass', 2],
    ]);
  });

  test('is refused when nothing is asked of it', async () => {
    await writeBundle(dir, { plan: PLAN, batches: run() });
    await expect(checkThresholds(await openResults(dir), [])).rejects.toMatchObject({ code: 'USAGE', exitCode: 104 });
  });
});

describe('a log', () => {
  test('is judged by its tags, in its own unit', async () => {
    const path = await log([
      ['login', 0, [1_000_000, 2_000_000]],
      ['search', 0, [9_000_000]],
    ]);
    const asked = 'login: ["max<=2.01", "p(50)<1.01"]\nsearch: max<5';
    const result = await checkThresholds(await openResults(path, { unitUs: 0.001 }), parsed(asked, ['login', 'search']));
    expect(result.thresholds.map(({ verdict }) => verdict)).toEqual(['pass', 'pass', 'fail']);
    expect([result.validity, result.exitCode, result.durationUs]).toEqual([undefined, 99, 1_000_000]);
  });

  test('without tags is the metric latency', async () => {
    const path = join(dir, 'plain.hlog');
    const line = formatHlogLine({ metric: 'x', tags: {}, startUs: 0, lengthUs: 1_000_000, histogram: recorded([1_000]) });
    await writeFile(path, formatHlogHead(0) + line.replace('Tag=x,', ''));
    expect(await check(path, 'latency: max==1', {}, ['latency'])).toMatchObject({ exitCode: 0 });
  });

  test('is judged by windows, and without its warm-up', async () => {
    const path = await log([0, 1, 2, 3, 4].map((second) => ['login', second, [second === 0 ? 90_000 : second * 1_000]]));
    const asked = 'login: [{ threshold: max<4, window: 2s }, { threshold: max<5, window: 2s }]';
    const verdicts = async (options: CheckOptions) =>
      (await check(path, asked, options, ['login'])).thresholds.map(({ verdict }) => verdict);
    expect(await verdicts({})).toEqual(['fail', 'fail']);
    expect(await verdicts({ warmupUs: 1_000_000 })).toEqual(['fail', 'pass']);
  });

  test.each([
    ['absolute times', '#[StartTime: 1700000000.000 (seconds since epoch)]\n', 1_700_000_000],
    ['times relative to a base', '#[StartTime: 1700000000.000]\n#[BaseTime: 1700000000.000]\n', 0],
    ['times that can only be relative to the start', '#[StartTime: 1700000000.000]\n', 0],
    ['no start at all', '', 1_700_000_000],
  ])('with %s begins at zero', async (_name, head, baseS) => {
    const path = join(dir, 'times.hlog');
    const lines = [0, 1].map((second) => logLine('login', baseS + second, [1_000]));
    await writeFile(path, head + lines.join(''));
    const read = [];
    for await (const { index, startUs } of (await openResults(path)).intervals()) read.push([index, startUs]);
    expect(read).toEqual([
      [0, 0],
      [1, 1_000_000],
    ]);
  });

  test.each([
    ['nothing', '', /found no line with a histogram/],
    ['something else', 'hello\nworld\n', /line 1: expected start, length, max and histogram, got 1 fields/],
    ['a broken histogram', 'Tag=a,0,1,1,AAAA\n', /line 1: not a compressed HDR V2 histogram/],
  ])('that holds %s is refused', async (_name, text, message) => {
    const path = join(dir, 'broken.hlog');
    await writeFile(path, text);
    await expect(check(path, 'a: max<1', {}, ['a'])).rejects.toMatchObject({
      code: 'BUNDLE_INVALID',
      message: expect.stringMatching(message) as string,
    });
  });

  test('that is not there is refused', async () => {
    await expect(openResults(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'BUNDLE_INVALID', exitCode: 104 });
  });
});

describe('what a check prints', () => {
  let result: CheckResult;
  beforeEach(async () => {
    await writeBundle(dir, { plan: PLAN, batches: run(), undelivered: 10 });
    result = await check(dir, 'http_reqs: ["count==15", "rate<1", { threshold: "count>1", window: 1s }]\nhttp_reqs{name:"<&>"}: count>0');
  });

  test('as text', () => {
    const text = renderCheckText(result, { color: false });
    expect(text).toContain("✓ 'count==15' count=15");
    expect(text).toContain("✗ 'rate<1' rate=3");
    expect(text).toContain('no data, which is not a pass');
    expect(text).toContain('load-not-delivered');
    expect(text).toMatch(/✗ FAILED {2}1 of 4 thresholds held · result invalid\n$/);
  });

  test('as JSON has thresholds in the shape of summary.json', () => {
    const document = JSON.parse(renderCheckJson(result)) as Record<string, unknown>;
    expect(document).toMatchObject({ schemaVersion: 1, name: 'checked', durationSeconds: 5, exitCode: 99 });
    expect(document['thresholds']).toEqual(JSON.parse(JSON.stringify(result.thresholds)));
  });

  test('as JUnit is well-formed, counts right and tells no data from a failure', () => {
    const xml = renderCheckJunit(result);
    expect(xml).toContain('<testsuites tests="5" failures="4" errors="0" time="5.000">');
    expect(xml).toContain('<testcase classname="http_reqs" name="count==15"/>');
    expect(xml).toContain('<failure type="no-data" message="http_reqs{name:&lt;&amp;&gt;}: count&gt;0: there was no data">');
    expect(xml).toContain('<failure type="invalid"');
    expect([...xml.matchAll(/<testcase/g)]).toHaveLength(5);
  });
});

describe('thresholds that stand alone', () => {
  const context = { where: 'sla.yaml', intervalUs: 1_000_000, metrics: {} };

  test('are read as in a scenario, or out of one', () => {
    const list = parseThresholds(
      'http_reqs: [count>1, { threshold: rate>1, window: 5s }]\nhttp_req_duration{name:a b}: p(99)<250',
      context,
    );
    expect(list.map(({ metric, tags, expression, windowUs }) => [metric, tags, expression, windowUs])).toEqual([
      ['http_reqs', {}, 'count>1', undefined],
      ['http_reqs', {}, 'rate>1', 5_000_000],
      ['http_req_duration', { name: 'a b' }, 'p(99)<250', undefined],
    ]);
    expect(parseThresholds('name: x\nscenarios: {}\nthresholds: { http_reqs: [count>1] }', context)).toHaveLength(1);
  });

  test.each([
    ['nothing', '', 'expected a mapping of metrics to thresholds'],
    ['a list', '[a]', 'expected a mapping of metrics to thresholds'],
    ['an empty list', 'http_reqs: []', 'expected at least one threshold'],
    ['no thresholds in a scenario', 'thresholds: 5', 'expected a mapping of metrics to thresholds'],
    ['a wrong metric', 'http_req: [count>1]', 'there is no metric "http_req"'],
    ['a wrong shape', 'http_reqs: [{ threshold: count>1, windows: 5s }]', 'unknown key "windows"'],
    ['a window below an interval', 'http_reqs: [{ threshold: count>1, window: 5ms }]', 'expected at least one interval (1s)'],
    ['broken YAML', 'http_reqs: [', 'not legal YAML'],
  ])('%s is refused', (_name, text, problem) => {
    const refused = ((): unknown => {
      try {
        return parseThresholds(text, context);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(refused).toMatchObject({ code: 'CONFIG_INVALID', exitCode: 104 });
    expect(JSON.stringify((refused as { problems: unknown }).problems)).toContain(JSON.stringify(problem).slice(1, -1));
  });
});

async function check(path: string, asked: string, options: CheckOptions = {}, metrics: readonly string[] = []): Promise<CheckResult> {
  return checkThresholds(await openResults(path), parsed(asked, metrics), options);
}

function thresholds(text: string): Threshold[] {
  return parsed(text, []);
}

function parsed(text: string, metrics: readonly string[]): Threshold[] {
  const custom = Object.fromEntries(metrics.map((name) => [name, { kind: 'trend', unit: 'ms' } as const]));
  return parseThresholds(text, { where: 'test', intervalUs: 1_000_000, metrics: custom });
}

function definitions(): Batch['defines'] {
  return [
    { number: 0, metric: 'http_req_response_time', kind: 'trend', tags: { ...SCENARIO, name: 'list' } },
    { number: 1, metric: 'http_reqs', kind: 'counter', tags: { ...SCENARIO, name: 'list' } },
    { number: 2, metric: 'http_req_failed', kind: 'rate', tags: { ...SCENARIO, name: 'list' } },
    { number: 3, metric: 'vus', kind: 'gauge', tags: SCENARIO },
  ];
}

/** Five intervals of one agent: in second n there are n + 1 requests of n + 1 ms, and the last one fails. */
function run(): Batch[] {
  return [0, 1, 2, 3, 4].map((second) => ({
    key: { agent: 'a', incarnation: 'i', sequence: second },
    ...sealedInterval(second, {
      defines: second === 0 ? definitions() : [],
      trends: [
        trendSlice(
          0,
          Array.from({ length: second + 1 }, () => (second + 1) * 1_000),
        ),
      ],
      counters: [{ series: 1, count: second + 1 }],
      rates: [{ series: 2, passes: 1, fails: second }],
      gauges: [{ series: 3, value: second, min: 0, max: second }],
      isFinal: second === 4,
    }),
  }));
}

async function log(lines: readonly (readonly [tag: string, startS: number, values: readonly number[]])[]): Promise<string> {
  const path = join(dir, 'other.hlog');
  await writeFile(path, formatHlogHead(0) + lines.map((line) => logLine(...line)).join(''));
  return path;
}

function logLine(tag: string, startS: number, values: readonly number[]): string {
  const line = formatHlogLine({ metric: tag, tags: {}, startUs: startS * 1_000_000, lengthUs: 1_000_000, histogram: recorded(values) });
  // The column of maxima is of no use to a log in another unit.
  return line.replace(/^(Tag=[^,]*,[^,]*,[^,]*),[^,]*/, '$1,0.0');
}

function recorded(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}
