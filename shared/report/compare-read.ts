import { AppError } from '../base/index.ts';
import type { Grade } from '../sla/index.ts';
import { isPartOfTotals, RunSampler, type LogUnit, type RunSample, type Series, type Tags } from '../stats/index.ts';
import type { Bundle, Manifest } from './bundle.ts';
import { fileDigest } from './file-digest.ts';
import type { Interval } from './read-intervals.ts';
import { openResults } from './results.ts';
import type { SummaryReason } from './summary.ts';

/** One run of one side of a comparison, read from disk. */
export interface ComparedRun {
  readonly path: string;
  /** Of a bundle; `undefined` of a plain log, which says nothing about itself. */
  readonly about: AboutRun | undefined;
  readonly sample: RunSample;
  /** Of its log: the same for every copy of a run. */
  readonly digest: string;
}

export interface AboutRun {
  readonly id: string;
  readonly name: string;
  readonly startedAt: string;
  readonly grade: Grade;
  readonly reasons: readonly SummaryReason[];
  /** Equal texts: the same load was planned. */
  readonly load: string;
}

/** What is compared when nobody says: what a user waited for, stalls included. */
export const COMPARED_METRIC = 'http_req_response_time';

/** Reads what a comparison needs of a run bundle, or of an HdrHistogram log of any tool: in a log without our metric every tag is a step.
 *  Throws `BUNDLE_INVALID` with the path, also when there is nothing to compare in it. */
export async function readComparedRun(path: string, metric: string = COMPARED_METRIC, unit: LogUnit = {}): Promise<ComparedRun> {
  const results = await openResults(path, unit);
  const sampler = new RunSampler();
  const isForeign = results.kind === 'log' && metric === COMPARED_METRIC && !results.outline.metrics.has(metric);
  if (isForeign) {
    for await (const interval of results.intervals()) addEveryTag(sampler, interval);
  } else {
    for await (const interval of results.intervals((one) => one === metric)) addMetric(sampler, interval, metric);
  }
  const about = results.kind === 'bundle' ? aboutRun(results.bundle) : undefined;
  return { path, about, sample: filled(sampler, path, metric, !isForeign), digest: await fileDigest(results.log) };
}

function aboutRun({ manifest, summary: { run, validity } }: Bundle): AboutRun {
  const { id, name, startedAt } = run;
  return { id, name, startedAt, grade: validity.grade, reasons: validity.reasons, load: loadOf(manifest) };
}

function addEveryTag(sampler: RunSampler, interval: Interval): void {
  for (const { metric: step, tags, value } of interval.series) {
    if (value.kind === 'trend' && isPartOfTotals(tags)) sampler.add({ ...timeOf(interval), step, succeeded: value.histogram });
  }
}

function filled(sampler: RunSampler, path: string, metric: string, areFailuresKnown: boolean): RunSample {
  const sample = sampler.finish(areFailuresKnown);
  if (sample.steps.size === 0) throw new AppError('BUNDLE_INVALID', `${path}: expected samples of ${metric}, found none`);
  return sample;
}

/** Failures are counted by the rate that counts requests, or, where there is none, by the samples of failed ones. */
function addMetric(sampler: RunSampler, interval: Interval, metric: string): void {
  const counted = interval.series.filter(({ tags }) => isPartOfTotals(tags));
  const rates = metric.startsWith('http_req_') ? counted.filter((one) => one.metric === 'http_req_failed') : [];
  for (const { tags, value } of rates) {
    if (value.kind === 'rate') sampler.add({ ...timeOf(interval), step: stepOf(tags), failed: value.passes });
  }
  for (const series of counted) if (series.metric === metric) addTrend(sampler, interval, series, rates.length > 0);
}

function addTrend(sampler: RunSampler, interval: Interval, { metric, tags, value }: Series, areFailuresCounted: boolean): void {
  if (value.kind !== 'trend')
    throw new AppError('USAGE', `--metric ${metric}: expected a metric of durations, and this one is a ${value.kind}`);
  const at = { ...timeOf(interval), step: stepOf(tags) };
  if (tags['error'] === undefined) sampler.add({ ...at, succeeded: value.histogram });
  else if (!areFailuresCounted) sampler.add({ ...at, failed: value.histogram.count });
}

function timeOf({ startUs, lengthUs }: Interval): { readonly startUs: number; readonly lengthUs: number } {
  return { startUs, lengthUs };
}

/** `GET list products`; what has no such tags goes by its scenario. */
function stepOf(tags: Tags): string {
  const { name, method, scenario } = tags;
  if (name === undefined) return scenario ?? '(all)';
  return method === undefined ? name : `${method} ${name}`;
}

/** Runs that were merged stood side by side: together they planned the load once for each of them. */
function loadOf({ plan, merged }: Manifest): string {
  const scenarios = (plan as { readonly scenarios?: readonly { readonly name?: string; readonly load?: unknown }[] } | null)?.scenarios;
  return JSON.stringify({ times: merged?.length ?? 1, scenarios: (scenarios ?? []).map(({ name, load }) => ({ name, load })) });
}
