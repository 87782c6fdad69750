import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build, HistogramLogReader, HistogramLogWriter, type Histogram } from 'hdr-histogram-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BUNDLE_FILES,
  checkThresholds,
  mergeLogs,
  openResults,
  parseTag,
  PERCENTILES,
  thresholdsOf,
  type SeriesSummary,
} from '../../shared/report/index.ts';
import { parseThresholds } from '../../shared/scenario/index.ts';
import { Cluster, type ClusterRun } from '../support/cluster.ts';
import { ROOT } from '../support/shell.ts';
import { TargetProcess } from '../support/target-process.ts';

const executeFile = promisify(execFile);
/** The reference implementation in Java; `undefined` where there is none. */
const jar = ((): string | undefined => {
  try {
    return execFileSync('bash', [join(ROOT, 'scripts', 'hdr-java')], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return undefined;
  }
})();

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-readers-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('the bundle of a real run', () => {
  let run: ClusterRun;
  let cluster: Cluster;
  let target: TargetProcess;
  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': {}, '/slow': { latency: { kind: 'constant', us: 30_000 } } } });
    cluster = await Cluster.start(2);
    const load = { executor: 'constant-arrival-rate', rate: 100, duration: '3s' };
    run = await cluster.run(
      {
        name: 'read by others',
        target: target.url,
        scenarios: {
          fast: { ...load, flow: [{ get: '/a, b', name: 'a, "b" = {c}', check: { status: 200 } }] },
          slow: { ...load, warmup: '1s', flow: [{ get: '/slow' }] },
        },
        thresholds: {
          http_req_response_time: ['p(99)<10s', 'avg<5s', { threshold: 'p(50)<10s', window: '1s' }],
          'http_req_duration{scenario:slow}': ['min>=30', { threshold: 'max<10s', window: '2s' }],
          'http_reqs{scenario:slow}': ['count==200', { threshold: 'rate>1', window: '1s' }],
          'http_reqs{phase:warmup}': ['count==100'],
          http_req_failed: ['rate<0.5', { threshold: 'rate<0.5', window: '1s' }],
          'checks{check:nothing}': ['rate>0'],
          dropped_iterations: ['count==0'],
          vus: ['value<1000'],
        },
      },
      2,
    );
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test("has a log that opens in hdr-histogram-js's log reader, with the counts and percentiles of summary.json", async () => {
    const reader = new HistogramLogReader(await readFile(join(run.bundle.dir, BUNDLE_FILES.intervals), 'utf8'), 64);
    const sums = new Map<string, Histogram>();
    for (let one = reader.nextIntervalHistogram(); one !== null; one = reader.nextIntervalHistogram()) {
      const sum = sums.get(one.tag);
      if (sum === undefined) sums.set(one.tag, one);
      else sum.add(one);
    }
    const read = [...sums].map(([tag, sum]) => ({
      tag,
      count: sum.totalCount,
      percentiles: PERCENTILES.map((name) => sum.getValueAtPercentile(Number(name))),
    }));
    expectSameAsSummary(read);
  });

  test.skipIf(jar === undefined)('has a log that opens in the log reader of the Java HdrHistogram, with the same', async () => {
    const { stdout } = await java('read', join(run.bundle.dir, BUNDLE_FILES.intervals));
    expectSameAsSummary(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Read),
    );
  });

  test('adds up to the summary, interval by interval, and a check of it says what the run said of itself', async () => {
    const results = await openResults(run.bundle.dir);
    const { thresholds, metrics, exitCode } = await checkThresholds(results, thresholdsOf(results));
    expect(thresholds).toEqual(run.summary.thresholds);
    expect(thresholds.filter(({ verdict }) => verdict !== 'pass').map(({ metric }) => metric)).toEqual(['checks']);
    const measured = Object.entries(run.summary.metrics).filter(([, metric]) => metric.type !== 'trend' || metric.count > 0);
    expect(metrics).toEqual(Object.fromEntries(measured));
    expect([exitCode, run.ended.code]).toEqual([99, 99]);
  });

  function expectSameAsSummary(read: readonly Read[]): void {
    const trends = run.summary.series.filter((one) => one.type === 'trend' && one.count > 0);
    expect(read).toHaveLength(trends.length);
    for (const { tag, count, percentiles } of read) {
      const { metric, tags } = parseTag(tag);
      const own = trends.find((one) => one.metric === metric && sameTags(one, tags));
      if (own?.type !== 'trend') throw new Error(`${tag} is no trend of the summary`);
      expect(count, tag).toBe(own.count);
      // Readers give the top of the bucket, which the exact maximum bounds.
      const bounded = percentiles.map((us) => Math.min(us / 1_000, own.max));
      expect(bounded, tag).toEqual(PERCENTILES.map((name) => own.percentiles[name]));
    }
  }
});

describe('a log that hdr-histogram-js wrote', () => {
  test('is checked and merged, with the counts and percentiles that were put in', async () => {
    const paths = ['one', 'two'].map((name) => join(dir, `${name}.hlog`)) as [string, string];
    for (const [at, path] of paths.entries()) await writeFile(path, librarysLog(at));
    const asked = 'search: ["max<=1.001s", "p(50)==500.223", "p(99)<1000"]';
    expect((await check(paths[0], asked, 'search')).map(({ verdict }) => verdict)).toEqual(['pass', 'pass', 'pass']);
    const sources = await Promise.all(paths.map((path) => openResults(path, { mustBeExact: true })));
    expect(await mergeLogs(sources, join(dir, 'both.hlog'))).toMatchObject({ intervals: 2, samples: 2 * 1_000 + 2 });
    expect((await check(join(dir, 'both.hlog'), 'search: p(50)==500.223', 'search')).map(({ verdict }) => verdict)).toEqual(['pass']);
  });
});

describe.skipIf(jar === undefined)('a log that the Java HdrHistogram wrote', () => {
  test('is checked, whatever its unit', async () => {
    const [inUs, inNs] = [join(dir, 'us.hlog'), join(dir, 'ns.hlog')];
    await java('write', inUs, '1000');
    await java('write', inNs, '1');
    // Second s has s + 1 times every millisecond from 1 to 1000; what has no tag is 10 times 5 s a second.
    const asked = `
search: ['p(50)>=500', 'p(50)<501', 'max<=1001', { threshold: 'p(50)<501', window: 2s }]
latency: ['min>=4997', 'max<=5004', { threshold: 'avg<=5004', window: 1s }]
`;
    for (const [path, unitUs] of [
      [inUs, 1],
      [inNs, 0.001],
    ] as const) {
      const thresholds = await check(path, asked, 'search', unitUs);
      expect(
        thresholds.map(({ verdict }) => verdict),
        JSON.stringify(thresholds),
      ).toEqual(Array.from({ length: 7 }, () => 'pass'));
    }
  });

  test('merges exactly in microseconds, and Java reads the result; in nanoseconds it is refused', async () => {
    const [path, out] = [join(dir, 'java.hlog'), join(dir, 'java-both.hlog')];
    await java('write', path, '1000');
    await writeFile(join(dir, 'js.hlog'), librarysLog(0));
    const sources = [await openResults(path, { mustBeExact: true }), await openResults(join(dir, 'js.hlog'), { mustBeExact: true })];
    expect(await mergeLogs(sources, out)).toMatchObject({ intervals: 3, samples: 6_030 + 1_001 });
    const read = (await java('read', out)).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Read);
    expect(read.map(({ tag, count }) => [tag, count]).sort()).toEqual([
      ['latency', 30],
      ['search', 7_001],
    ]);
    const inNs = await openResults(path, { unitUs: 0.001, mustBeExact: true });
    await expect(mergeLogs([inNs, ...sources.slice(1)], join(dir, 'no.hlog'))).rejects.toThrow(/would not be exact/);
  });
});

interface Read {
  readonly tag: string;
  readonly count: number;
  /** Of `PERCENTILES`, microseconds. */
  readonly percentiles: readonly number[];
}

function java(...words: readonly string[]): Promise<{ stdout: string }> {
  return executeFile('java', ['-cp', jar ?? '', join(ROOT, 'test', 'java', 'Hlog.java'), ...words]);
}

/** Two seconds: every millisecond from 1 to 1000 in the first, and one sample in the second. `at` moves that one, so that no two logs are the same. */
function librarysLog(at: number): string {
  let text = '';
  const writer = new HistogramLogWriter((line: string) => void (text += line));
  writer.outputLogFormatVersion();
  writer.outputStartTime(1_700_000_000_000);
  writer.outputLegend();
  for (const [second, valuesMs] of [Array.from({ length: 1_000 }, (_, ms) => ms + 1), [500 + at]].entries()) {
    const histogram = build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: 3_600_000_000,
      numberOfSignificantValueDigits: 3,
      bitBucketSize: 64,
    });
    for (const ms of valuesMs) histogram.recordValue(ms * 1_000);
    histogram.tag = 'search';
    histogram.startTimeStampMsec = 1_700_000_000_000 + second * 1_000;
    histogram.endTimeStampMsec = 1_700_000_001_000 + second * 1_000;
    writer.outputIntervalHistogram(histogram);
  }
  return text;
}

async function check(path: string, asked: string, tag: string, unitUs = 1) {
  const metrics = { [tag]: { kind: 'trend', unit: 'ms' }, latency: { kind: 'trend', unit: 'ms' } } as const;
  const results = await openResults(path, { unitUs });
  const thresholds = parseThresholds(asked, { where: 'test', intervalUs: results.intervalUs, metrics });
  return (await checkThresholds(results, thresholds)).thresholds;
}

function sameTags({ tags }: SeriesSummary, wanted: Readonly<Record<string, string>>): boolean {
  return JSON.stringify(Object.entries(tags).sort()) === JSON.stringify(Object.entries(wanted).sort());
}
