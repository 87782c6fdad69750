import { describe, expect, test } from 'vitest';
import {
  countingOf,
  parseThreshold,
  ThresholdWatch,
  type CountedScenario,
  type Judged,
  type ThresholdOptions,
} from '../../shared/sla/index.ts';
import { Histogram, SeriesSum, type Series, type Tags } from '../../shared/stats/index.ts';

/** What one-second intervals hold, and what a threshold must make of them. */
interface Case {
  readonly it: string;
  /** `selector: expression`. */
  readonly asked: string;
  readonly options?: ThresholdOptions;
  readonly run: readonly (readonly Series[])[];
  readonly scenarios?: readonly CountedScenario[];
  readonly loadEndS?: number;
  readonly is: 'no-data' | readonly [verdict: 'pass' | 'fail', observed: number, judged?: Judged];
  /** The interval after which the run is to be ended. */
  readonly abortsAt?: number;
}

const SECOND_US = 1_000_000;
const LIST = { name: 'list', status: '200' };
const CART = { name: 'cart', status: '500', error: 'status' };
const WARM = { phase: 'warmup' };
/** Below 2 ms every microsecond has a bucket of its own. */
const FIVE = [[trend([0.1, 0.2, 0.3, 0.4, 1.5])]];
const WARMING: readonly CountedScenario[] = [{ name: 'browse', startUs: 0, warmupUs: 2 * SECOND_US }];
const ABORT = { abortOnFail: true };

const aggregations: readonly Case[] = [
  { it: 'the mean is exact', asked: 'http_req_duration: avg<0.51', run: FIVE, is: ['pass', 0.5, 'run'] },
  { it: 'below is not at', asked: 'http_req_duration: avg<0.5', run: FIVE, is: ['fail', 0.5] },
  { it: 'at most is at', asked: 'http_req_duration: avg<=0.5', run: FIVE, is: ['pass', 0.5] },
  { it: 'above is not at', asked: 'http_req_duration: avg>0.5', run: FIVE, is: ['fail', 0.5] },
  { it: 'at least is at', asked: 'http_req_duration: avg>=0.5', run: FIVE, is: ['pass', 0.5] },
  { it: 'the minimum', asked: 'http_req_duration: min>=0.1', run: FIVE, is: ['pass', 0.1] },
  { it: 'the minimum, not above itself', asked: 'http_req_duration: min>0.1', run: FIVE, is: ['fail', 0.1] },
  { it: 'the maximum', asked: 'http_req_duration: max<=1.5', run: FIVE, is: ['pass', 1.5] },
  { it: 'the maximum, not below itself', asked: 'http_req_duration: max<1.5', run: FIVE, is: ['fail', 1.5] },
  { it: 'the median equals', asked: 'http_req_duration: med==0.3', run: FIVE, is: ['pass', 0.3] },
  { it: 'the median differs', asked: 'http_req_duration: med!=0.3', run: FIVE, is: ['fail', 0.3] },
  { it: 'p(50) is the median, and === is ==', asked: 'http_req_duration: p(50)===0.3', run: FIVE, is: ['pass', 0.3] },
  { it: 'p(80) of five is the fourth', asked: 'http_req_duration: p(80)<=0.4', run: FIVE, is: ['pass', 0.4] },
  { it: 'p(81) of five is the fifth', asked: 'http_req_duration: p(81)<=0.4', run: FIVE, is: ['fail', 1.5] },
  { it: 'p(0) is the minimum', asked: 'http_req_duration: p(0)>=0.1', run: FIVE, is: ['pass', 0.1] },
  { it: 'p(100) is the maximum', asked: 'http_req_duration: p(100)<1.6', run: FIVE, is: ['pass', 1.5] },
  { it: 'a bound with a unit', asked: 'http_req_duration: p(99.9)<1ms', run: FIVE, is: ['fail', 1.5] },
  {
    it: 'above 2 ms a percentile is the top of its bucket',
    asked: 'http_req_duration: p(50)==3.001',
    run: [[trend([3, 3, 100])]],
    is: ['pass', 3.001],
  },
  { it: 'one sample is every percentile', asked: 'http_req_duration: p(99.99)==7', run: [[trend([7])]], is: ['pass', 7] },
  { it: 'a run is judged over all intervals', asked: 'http_req_duration: avg==2', run: [[trend([1])], [], [trend([3])]], is: ['pass', 2] },
];

const REQUESTS = [[counter(10)], [counter(0)], [counter(5)]];
const counters: readonly Case[] = [
  { it: 'a count', asked: 'http_reqs: count==15', run: REQUESTS, is: ['pass', 15] },
  { it: 'a count is not above itself', asked: 'http_reqs: count>15', run: REQUESTS, is: ['fail', 15] },
  { it: 'a count is at least itself', asked: 'http_reqs: count>=15', run: REQUESTS, is: ['pass', 15] },
  { it: 'a count differs', asked: 'http_reqs: count!=15', run: REQUESTS, is: ['fail', 15] },
  { it: 'a rate is per second of the run', asked: 'http_reqs: rate==5', run: REQUESTS, is: ['pass', 5] },
  { it: 'a rate is not below itself', asked: 'http_reqs: rate<5', run: REQUESTS, is: ['fail', 5] },
  {
    it: 'a counter that was told at 0 is 0',
    asked: 'dropped_iterations: count==0',
    run: [[counter(0, {}, 'dropped_iterations')]],
    is: ['pass', 0],
  },
  { it: 'a counter that was told at 0 has a rate', asked: 'http_reqs: rate<=0', run: [[counter(0)]], is: ['pass', 0] },
  { it: 'a counter that was never told is not 0', asked: 'http_reqs: count==0', run: [[], []], is: 'no-data' },
  { it: 'a counter that was never told is not below 1 either', asked: 'http_reqs: count<1', run: FIVE, is: 'no-data' },
];

const rates: readonly Case[] = [
  { it: 'a fraction', asked: 'http_req_failed: rate<=0.01', run: [[rate(1, 99)]], is: ['pass', 0.01] },
  { it: 'a fraction is not below itself', asked: 'http_req_failed: rate<0.01', run: [[rate(1, 99)]], is: ['fail', 0.01] },
  { it: 'a fraction equals', asked: 'http_req_failed: rate==0.01', run: [[rate(1, 99)]], is: ['pass', 0.01] },
  { it: 'none', asked: 'http_req_failed: rate==0', run: [[rate(0, 100)]], is: ['pass', 0] },
  { it: 'all', asked: 'http_req_failed: rate<0.01', run: [[rate(100, 0)]], is: ['fail', 1] },
  { it: 'of nothing is no fraction', asked: 'http_req_failed: rate<0.01', run: [[rate(0, 0)]], is: 'no-data' },
  { it: 'all that must be', asked: 'http_req_failed: rate>=1', run: [[rate(5, 0)]], is: ['pass', 1] },
  {
    it: 'over intervals weighs samples, not intervals',
    asked: 'http_req_failed: rate==0.1',
    run: [[rate(10, 0)], [rate(0, 90)]],
    is: ['pass', 0.1],
  },
];

const gauges: readonly Case[] = [
  { it: 'the last value', asked: 'vus: value==4', run: [[gauge(3)], [gauge(5)], [gauge(4)]], is: ['pass', 4] },
  { it: 'the last value, not the largest', asked: 'vus: value>4', run: [[gauge(3)], [gauge(5)], [gauge(4)]], is: ['fail', 4] },
  { it: 'stays where it was last told', asked: 'vus: value==3', run: [[gauge(3)], []], is: ['pass', 3] },
  { it: 'that nobody told', asked: 'vus: value<5', run: [[]], is: 'no-data' },
];

const TAGGED = [[trend([5], LIST), trend([50], CART), counter(3, LIST), rate(0, 1, LIST), rate(1, 0, CART)]];
const tags: readonly Case[] = [
  { it: 'one tag', asked: 'http_req_duration{name:list}: max<10', run: TAGGED, is: ['pass', 5] },
  { it: 'no tag is every series', asked: 'http_req_duration: max<10', run: TAGGED, is: ['fail', 50] },
  { it: 'two tags of one series', asked: 'http_req_duration{name:list,status:200}: max<10', run: TAGGED, is: ['pass', 5] },
  { it: 'two tags of two series', asked: 'http_req_duration{name:list,status:500}: max<10', run: TAGGED, is: 'no-data' },
  { it: 'a value that nothing has', asked: 'http_req_duration{name:nothing}: max<10', run: TAGGED, is: 'no-data' },
  { it: 'a value in other letters', asked: 'http_req_duration{name:List}: max<10', run: TAGGED, is: 'no-data' },
  { it: 'a tag that nothing has', asked: 'http_req_duration{region:eu}: max<10', run: TAGGED, is: 'no-data' },
  { it: 'a tag that another metric has', asked: 'http_reqs{name:cart}: count>0', run: TAGGED, is: 'no-data' },
  { it: 'what was expected', asked: 'http_req_duration{expected_response:true}: max<10', run: TAGGED, is: ['pass', 5] },
  { it: 'what was not expected', asked: 'http_req_duration{expected_response:false}: max<10', run: TAGGED, is: ['fail', 50] },
  { it: 'one kind of error', asked: 'http_req_duration{error:status}: max==50', run: TAGGED, is: ['pass', 50] },
  { it: 'a rate of one series', asked: 'http_req_failed{name:cart}: rate<0.5', run: TAGGED, is: ['fail', 1] },
];

const nothing: readonly Case[] = [
  { it: 'a metric that nobody measured', asked: 'http_req_waiting: max<1', run: FIVE, is: 'no-data' },
  { it: 'a trend without a sample', asked: 'http_req_duration: max<1', run: [[trend([])]], is: 'no-data' },
  { it: 'a run without an interval', asked: 'http_req_duration: max<1', run: [], is: 'no-data' },
  { it: 'a run without an interval, by windows', asked: 'http_req_duration: max<1', options: { window: '1s' }, run: [], is: 'no-data' },
  { it: 'empty intervals', asked: 'http_req_duration: max<1', run: [[], [], []], is: 'no-data' },
  { it: 'empty windows alone', asked: 'http_req_duration: max<1', options: { window: '1s' }, run: [[], [], []], is: 'no-data' },
  { it: 'nothing does not differ from 0 either', asked: 'http_req_duration: max!=0', run: [[]], is: 'no-data' },
  { it: 'nothing asks for no end of the run', asked: 'http_req_duration: max<1', options: ABORT, run: [[], []], is: 'no-data' },
];

const HALF_WARM = [[counter(7, WARM)], [counter(7, WARM)], [counter(10)], [counter(10)]];
const warmUps: readonly Case[] = [
  { it: 'counts in no total', asked: 'http_reqs: count==20', run: HALF_WARM, scenarios: WARMING, is: ['pass', 20] },
  { it: 'is no time of a rate', asked: 'http_reqs: rate==10', run: HALF_WARM, scenarios: WARMING, is: ['pass', 10] },
  { it: 'can be asked for', asked: 'http_reqs{phase:warmup}: count==14', run: HALF_WARM, scenarios: WARMING, is: ['pass', 14] },
  { it: 'has a rate of its own time', asked: 'http_reqs{phase:warmup}: rate==7', run: HALF_WARM, scenarios: WARMING, is: ['pass', 7] },
  { it: 'alone is no data', asked: 'http_req_duration: max<1', run: [[trend([9], WARM)]], scenarios: WARMING, is: 'no-data' },
  {
    it: 'has no window',
    asked: 'http_reqs: rate>=10',
    options: { window: '1s' },
    run: HALF_WARM,
    scenarios: WARMING,
    is: ['pass', 10, 'worst-window'],
  },
  {
    it: 'has no window that reaches into it',
    asked: 'http_reqs: count>=20',
    options: { window: '2s' },
    run: HALF_WARM,
    scenarios: WARMING,
    is: ['pass', 20, 'worst-window'],
  },
  {
    it: 'of one scenario among two shortens nothing of the whole',
    asked: 'http_reqs: rate==5',
    run: HALF_WARM,
    scenarios: [...WARMING, { name: 'loop', startUs: 0 }],
    is: ['pass', 5],
  },
  {
    it: 'ends no run',
    asked: 'http_reqs: rate>1',
    options: ABORT,
    run: [[counter(0)], [counter(0)], [counter(9)], [counter(9)]],
    scenarios: WARMING,
    is: ['pass', 9],
  },
  {
    it: 'clean-up counts in no total',
    asked: 'http_reqs: count==1',
    run: [[counter(1), counter(5, { phase: 'finally' })]],
    is: ['pass', 1],
  },
  {
    it: 'clean-up can be asked for',
    asked: 'http_reqs{phase:finally}: count==5',
    run: [[counter(1), counter(5, { phase: 'finally' })]],
    is: ['pass', 5],
  },
];

const BURST = [[rate(0, 10)], [rate(10, 0)], [rate(0, 10)], [rate(0, 10)]];
const windows: readonly Case[] = [
  {
    it: 'the worst one is observed',
    asked: 'http_req_failed: rate<0.5',
    options: { window: '2s' },
    run: BURST,
    is: ['fail', 0.5, 'worst-window'],
  },
  {
    it: 'the worst one may hold',
    asked: 'http_req_failed: rate<=0.5',
    options: { window: '2s' },
    run: BURST,
    is: ['pass', 0.5, 'worst-window'],
  },
  { it: 'of one interval', asked: 'http_req_failed: rate<0.5', options: { window: '1s' }, run: BURST, is: ['fail', 1, 'worst-window'] },
  {
    it: 'as long as the run',
    asked: 'http_req_failed: rate<0.5',
    options: { window: '4s' },
    run: BURST,
    is: ['pass', 0.25, 'worst-window'],
  },
  {
    it: 'longer than the run',
    asked: 'http_req_failed: rate<0.5',
    options: { window: '5s' },
    run: BURST,
    is: ['pass', 0.25, 'run-shorter-than-window'],
  },
  {
    it: 'of a part of an interval are rounded up',
    asked: 'http_req_failed: rate<0.6',
    options: { window: '1500ms' },
    run: BURST,
    is: ['pass', 0.5],
  },
  {
    it: 'without a sample are not judged',
    asked: 'http_req_failed: rate<0.1',
    options: { window: '1s' },
    run: [[rate(0, 5)], [], [], [rate(0, 5)]],
    is: ['pass', 0],
  },
  {
    it: 'in which a counter is silent hold 0',
    asked: 'http_reqs: count>=1',
    options: { window: '1s' },
    run: [[counter(5)], [], [counter(5)]],
    is: ['fail', 0],
  },
  {
    it: 'before a counter is told are not judged',
    asked: 'http_reqs: count>=5',
    options: { window: '1s' },
    run: [[], [counter(5)], [counter(5)]],
    is: ['pass', 5],
  },
  {
    it: 'past the end of the load do not judge counters',
    asked: 'http_reqs: count>=5',
    options: { window: '1s' },
    loadEndS: 2,
    run: [[counter(5)], [counter(5)], [counter(0)]],
    is: ['pass', 5],
  },
  {
    it: 'past the end of the load do judge times',
    asked: 'http_req_duration: max<5',
    options: { window: '1s' },
    loadEndS: 1,
    run: [[trend([1])], [trend([9])]],
    is: ['fail', 9],
  },
  {
    it: 'of a trend',
    asked: 'http_req_duration: max<10',
    options: { window: '2s' },
    run: [[trend([1])], [trend([50])], [trend([2])]],
    is: ['fail', 50],
  },
  {
    it: 'of something that must be above: the lowest is the worst',
    asked: 'http_req_duration: p(50)>5',
    options: { window: '1s' },
    run: [[trend([10])], [trend([2])], [trend([10])]],
    is: ['fail', 2],
  },
  {
    it: 'of something that must be equal: the furthest is the worst',
    asked: 'http_reqs: count==5',
    options: { window: '1s' },
    run: [[counter(5)], [counter(7)], [counter(4)]],
    is: ['fail', 7],
  },
  {
    it: 'of a gauge: the last value in each',
    asked: 'vus: value<9',
    options: { window: '2s' },
    run: [[gauge(3)], [gauge(9)], [gauge(4)]],
    is: ['fail', 9],
  },
  {
    it: 'of one tag',
    asked: 'http_req_duration{name:list}: max<10',
    options: { window: '1s' },
    run: TAGGED,
    is: ['pass', 5, 'worst-window'],
  },
];

const aborts: readonly Case[] = [
  {
    it: 'when it fails, at once',
    asked: 'http_req_failed: rate<0.1',
    options: ABORT,
    run: [[rate(0, 10)], [rate(10, 0)], [rate(0, 10)]],
    is: ['fail', 1 / 3],
    abortsAt: 1,
  },
  { it: 'not while it holds', asked: 'http_req_failed: rate<0.6', options: ABORT, run: BURST, is: ['pass', 0.25] },
  { it: 'not unless it was asked for', asked: 'http_req_failed: rate<0.1', run: BURST, is: ['fail', 0.25] },
  {
    it: 'not before the delay, and at its end',
    asked: 'http_req_failed: rate<0.1',
    options: { ...ABORT, delayAbortEval: '3s' },
    run: [[rate(1, 0)], [rate(1, 0)], [rate(1, 0)], [rate(1, 0)]],
    is: ['fail', 1],
    abortsAt: 2,
  },
  {
    it: 'not when the delay is longer than the run',
    asked: 'http_req_failed: rate<0.1',
    options: { ...ABORT, delayAbortEval: '1m' },
    run: BURST,
    is: ['fail', 0.25],
  },
  {
    it: 'not when it holds again at the end of the delay',
    asked: 'http_req_failed: rate<0.1',
    options: { ...ABORT, delayAbortEval: '3s' },
    run: [[rate(10, 0)], [rate(0, 90)], [rate(0, 100)]],
    is: ['pass', 0.05],
  },
  {
    it: 'not for a window that failed while the delay lasted',
    asked: 'http_req_failed: rate<0.5',
    options: { ...ABORT, delayAbortEval: '3s', window: '1s' },
    run: BURST,
    is: ['fail', 1],
  },
  {
    it: 'for a window that fails after the delay',
    asked: 'http_req_failed: rate<0.5',
    options: { ...ABORT, delayAbortEval: '2s', window: '1s' },
    run: BURST,
    is: ['fail', 1],
    abortsAt: 1,
  },
  {
    it: 'not before the first window is full',
    asked: 'http_req_failed: rate<0.5',
    options: { ...ABORT, window: '2s' },
    run: [[rate(10, 0)], [rate(0, 90)]],
    is: ['pass', 0.1],
  },
];

const TABLE = { aggregations, counters, rates, gauges, tags, nothing, warmUps, windows, aborts };

describe.each(Object.entries(TABLE))('thresholds, %s', (_name, cases) => {
  test.each(cases)('$it: $asked', ({ asked, options, run, scenarios = [], loadEndS = Infinity, is, abortsAt }) => {
    const [, selector = '', expression = ''] = /^([^{}:]+(?:\{.*\})?): (.*)$/.exec(asked) ?? [];
    const threshold = parseThreshold(selector, expression, options);
    if ('problem' in threshold) throw new Error(threshold.problem);
    const watch = new ThresholdWatch([threshold], SECOND_US, loadEndS * SECOND_US, countingOf(scenarios));
    const totals = new SeriesSum();
    let aborted: number | undefined;
    for (const [index, series] of run.entries()) {
      totals.add(series);
      watch.add({ index, series }, totals.series(), (index + 1) * SECOND_US);
      if (watch.abort !== undefined) aborted ??= index;
    }
    const [verdict] = watch.final(totals.series(), run.length * SECOND_US);
    if (is === 'no-data') expect(verdict).toEqual({ kind: 'no-data', threshold });
    else
      expect(verdict).toEqual({
        kind: is[0],
        threshold,
        observed: is[1],
        judged: is[2] ?? (options?.window === undefined ? 'run' : 'worst-window'),
      });
    expect(aborted).toBe(abortsAt);
  });
});

test('the table is long enough to be one', () => {
  expect(Object.values(TABLE).flat().length).toBeGreaterThanOrEqual(60);
});

function trend(valuesMs: readonly number[], own: Tags = {}): Series {
  const histogram = new Histogram();
  for (const ms of valuesMs) histogram.record(ms * 1_000);
  return { metric: 'http_req_duration', tags: own, value: { kind: 'trend', histogram } };
}

function counter(count: number, own: Tags = {}, metric = 'http_reqs'): Series {
  return { metric, tags: own, value: { kind: 'counter', count } };
}

function rate(passes: number, fails: number, own: Tags = {}): Series {
  return { metric: 'http_req_failed', tags: own, value: { kind: 'rate', passes, fails } };
}

function gauge(value: number): Series {
  return { metric: 'vus', tags: {}, value: { kind: 'gauge', value, min: value, max: value } };
}
