import type { MetricSummary, Summary, TrendSummary } from '../../shared/report/index.ts';
import { laxMeanBand, laxPercentileBand, meanBand, percentileBand, type Band } from './band.ts';
import { suspect, type Suspicion } from './suspicion.ts';
import { ascending, meanOf, quantile, type Reference, type TrueTimes, type Truth } from './truth.ts';

/** Percentiles that are compared, by their names in a summary. */
const COMPARED = ['50', '90', '95', '99', '99.9'] as const;

const METRICS = { service: 'http_req_duration', response: 'http_req_response_time', lag: 'schedule_lag' } as const;
type Kind = keyof typeof METRICS;

/** One number beside what it must be: counts as they are, times in milliseconds. */
export interface Figure {
  /** `min`, `p50` … `p99.9`, `mean`, or what was counted. */
  readonly name: string;
  /** What the reference server saw. */
  readonly trueValue: number;
  readonly low: number;
  readonly high: number;
  /** `undefined`: the result does not have it. */
  readonly measured: number | undefined;
  readonly verdict: 'agrees' | 'too low' | 'too high' | 'absent';
}

/** All figures of one metric of one pattern. */
export interface Comparison {
  readonly pattern: string;
  readonly metric: string;
  readonly figures: readonly Figure[];
}

/** One thing that is not as it must be. */
export interface Finding {
  readonly pattern: string;
  readonly metric: string;
  readonly suspicion: Suspicion;
  /** What was expected, what was measured, and what mistake looks like that. */
  readonly text: string;
  /** A longer delay than anything on a quiet machine would explain it: worth another try. */
  readonly mayBeNoise: boolean;
}

export interface Judgement {
  readonly comparisons: readonly Comparison[];
  readonly findings: readonly Finding[];
}

/** Patterns added together. */
const ALL = 'all together';

/** Compares what a run measured with what the reference server did. */
export function judgeRun(reference: Reference, summary: Summary): Judgement {
  const { truths, jitterUs } = reference;
  const comparisons: Comparison[] = [];
  const findings: Finding[] = [];
  const take = (compared: Compared): void => {
    comparisons.push(compared.comparison);
    if (compared.finding !== undefined) findings.push(compared.finding);
  };
  for (const truth of truths) {
    const { name } = truth.pattern;
    const find = (metric: string): MetricSummary | undefined =>
      summary.series.find((one) => one.metric === metric && one.tags['scenario'] === name && (one.tags['status'] ?? '200') === '200');
    take(counts(name, truth.planned, truth.received, find));
    for (const kind of KINDS) take(times(name, kind, truth, truth.byAgent, trendOf(find(METRICS[kind])), jitterUs));
    if (truth.missing + truth.repeated > 0) findings.push(notAsPlanned(truth));
  }
  const find = (metric: string): MetricSummary | undefined => summary.metrics[metric];
  const sum = (count: (truth: Truth) => number): number => truths.reduce((total, truth) => total + count(truth), 0);
  take(counts(ALL, sum(({ planned }) => planned), sum(({ received }) => received), find)); // prettier-ignore
  for (const kind of KINDS) take(times(ALL, kind, together(truths), [], trendOf(find(METRICS[kind])), jitterUs));
  return { comparisons, findings: [...findings, ...saidByRun(summary)] };
}

const KINDS = ['service', 'response', 'lag'] as const satisfies readonly Kind[];

interface Compared {
  readonly comparison: Comparison;
  readonly finding: Finding | undefined;
}

/** Every place that counts requests must have counted what arrived. */
function counts(pattern: string, planned: number, received: number, find: (metric: string) => MetricSummary | undefined): Compared {
  const counter = find('http_reqs');
  const counted: readonly (readonly [string, number | undefined])[] = [
    ['http_reqs', counter?.type === 'counter' ? counter.count : undefined],
    ...KINDS.map((kind) => [METRICS[kind], trendOf(find(METRICS[kind]))?.count] as const),
  ];
  const figures = counted.map(([name, measured]) => figure(name, received, { low: received, high: received }, measured));
  const comparison = { pattern, metric: 'count', figures };
  const off = figures.filter(({ verdict }) => verdict !== 'agrees');
  if (off.length === 0) return { comparison, finding: undefined };
  const suspicion = suspect({ kind: 'count', ratios: off.map(({ measured }) => (measured ?? 0) / received) });
  const told = off.map(({ name, measured }) => `${name} ${measured ?? 'nothing'}`).join(', ');
  const text = `${pattern}: expected ${received} requests (${planned} planned, ${received} arrived at the server), counted ${told}`;
  return { comparison, finding: { pattern, metric: 'count', suspicion, text: withMeaning(text, suspicion), mayBeNoise: false } };
}

function times(
  pattern: string,
  kind: Kind,
  truth: TrueTimes,
  byAgent: readonly TrueTimes[],
  measured: TrendSummary | undefined,
  jitterUs: readonly number[],
): Compared {
  const trueUs = truth[kind];
  const ofPercentile = kind === 'lag' ? laxPercentileBand : percentileBand;
  const ofMean = kind === 'lag' ? laxMeanBand : meanBand;
  const figures = [
    figure('min', ...inMs(trueUs[0] ?? NaN, ofPercentile(trueUs, 0, jitterUs)), measured?.min),
    ...COMPARED.map((name) => {
      const p = Number(name);
      return figure(`p${name}`, ...inMs(quantile(trueUs, p), ofPercentile(trueUs, p, jitterUs)), measured?.percentiles[name]);
    }),
    figure('mean', ...inMs(meanOf(trueUs), ofMean(trueUs, jitterUs)), measured?.mean),
  ];
  const metric = METRICS[kind];
  const comparison = { pattern, metric, figures };
  const off = figures.filter(({ verdict }) => verdict !== 'agrees');
  if (off.length === 0) return { comparison, finding: undefined };
  const suspicion = suspect({
    kind: 'time',
    figures,
    serviceMs: kind === 'response' ? COMPARED.map((name) => quantile(truth.service, Number(name)) / 1_000) : undefined,
    averagesMs: byAgent.length < 2 ? undefined : COMPARED.map((name) => meanOf(byAgent.map((own) => quantile(own[kind], Number(name)))) / 1_000),
  }); // prettier-ignore
  const told = off.map((one) => `${one.name} ${range(one)} ms, measured ${one.measured?.toFixed(3) ?? 'nothing'}`).join('; ');
  const text = withMeaning(`${pattern}: ${metric} is ${verdictOf(off)}: expected ${told}`, suspicion);
  // What waits can only be longer than true: nothing but a mistake makes it shorter, or absent.
  return { comparison, finding: { pattern, metric, suspicion, text, mayBeNoise: off.every(({ verdict }) => verdict === 'too high') } };
}

function notAsPlanned({ pattern: { name }, planned, received, missing, repeated }: Truth): Finding {
  const text = `${name}: ${planned} requests were planned and ${received} arrived: ${missing} never did, ${repeated} came more than once`;
  return { pattern: name, metric: 'requests', suspicion: 'plan-not-fired', text: withMeaning(text, 'plan-not-fired'), mayBeNoise: false };
}

/** Whatever makes a run invalid by its own word. That its generator was late is no mistake of the measurement: the lag is judged above. */
function saidByRun({ validity }: Summary): Finding[] {
  return validity.reasons
    .filter(({ code, grade }) => grade === 'invalid' && code !== 'generator-lag')
    .map(({ code, detail }) => ({
      pattern: ALL,
      metric: 'validity',
      suspicion: 'run-invalid',
      text: `the run itself says ${code}: ${detail}`,
      mayBeNoise: false,
    }));
}

function together(truths: readonly Truth[]): TrueTimes {
  const all = (kind: Kind): number[] => ascending(truths.flatMap((truth) => truth[kind]));
  return { service: all('service'), response: all('response'), lag: all('lag') };
}

function figure(name: string, trueValue: number, { low, high }: { low: number; high: number }, measured: number | undefined): Figure {
  let verdict: Figure['verdict'] = 'agrees';
  if (measured === undefined) verdict = 'absent';
  else if (measured < low) verdict = 'too low';
  // A bound that is no number bounds nothing: then there was no truth to compare with.
  else if (!(measured <= high)) verdict = 'too high';
  return { name, trueValue, low, high, measured, verdict };
}

function inMs(trueUs: number, { lowUs, highUs }: Band): [number, { low: number; high: number }] {
  return [trueUs / 1_000, { low: lowUs / 1_000, high: highUs / 1_000 }];
}

function trendOf(metric: MetricSummary | undefined): TrendSummary | undefined {
  return metric?.type === 'trend' ? metric : undefined;
}

function range({ low, high }: Figure): string {
  return `${low.toFixed(3)} to ${high.toFixed(3)}`;
}

function verdictOf(off: readonly Figure[]): string {
  const verdicts = new Set(off.map(({ verdict }) => verdict));
  return verdicts.size === 1 ? (off[0]?.verdict ?? 'off') : 'off';
}

function withMeaning(text: string, suspicion: Suspicion): string {
  return `${text}. ${SUSPICIONS[suspicion]}`;
}

/** What each suspicion means, for people. */
export const SUSPICIONS: Readonly<Record<Suspicion, string>> = {
  'units-mixed': 'Off by a factor of a thousand: units were mixed up, such as seconds for milliseconds.',
  'counted-twice': 'A whole multiple: every request is counted more than once.',
  'count-wrong': 'Requests are counted that were not sent, or more than once.',
  'samples-lost': 'Samples are lost between recording and result.',
  'percentiles-averaged': "These are the means of the agents' own percentiles: percentiles are averaged where histograms must be merged.",
  'omits-waiting': 'These are service times: the wait for a stalled target is left out (coordinated omission).',
  'time-missing': 'Shorter than what the server itself spent: part of the time is not measured.',
  'time-added':
    'Longer than the server and the noise of this machine explain: something of the generator is in it, or the machine was busy.',
  'plan-not-fired': 'What was fired is not the plan.',
  'run-invalid': 'The run does not add up.',
};
