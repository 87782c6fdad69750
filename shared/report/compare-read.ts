import { stat } from 'node:fs/promises';
import { AppError, reasonOf } from '../base/index.ts';
import type { Grade } from '../sla/index.ts';
import { isPartOfTotals, RunSampler, type RunSample, type Series, type Tags } from '../stats/index.ts';
import { readBundle } from './bundle.ts';
import { parseHlog } from './hlog.ts';
import { groupHlog, readIntervals, type Interval } from './read-intervals.ts';
import { readLines } from './read-lines.ts';
import type { SummaryReason } from './summary.ts';

/** One run of one side of a comparison, read from disk. */
export interface ComparedRun {
  readonly path: string;
  /** Of a bundle; `undefined` of a plain log, which says nothing about itself. */
  readonly about: AboutRun | undefined;
  readonly sample: RunSample;
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
export async function readComparedRun(path: string, metric: string = COMPARED_METRIC): Promise<ComparedRun> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    (cause: unknown) => {
      throw new AppError('BUNDLE_INVALID', `${path}: expected a run bundle or an HdrHistogram log: ${reasonOf(cause)}`, { cause });
    },
  );
  if (!isFolder) return readLog(path, metric);
  const bundle = await readBundle(path);
  const { run, validity } = bundle.summary;
  const sampler = new RunSampler();
  for await (const interval of readIntervals(bundle)) addMetric(sampler, interval, metric);
  const { id, name, startedAt } = run;
  const about = { id, name, startedAt, grade: validity.grade, reasons: validity.reasons, load: loadOf(bundle.manifest.plan) };
  return { path, about, sample: filled(sampler, path, metric) };
}

async function readLog(path: string, metric: string): Promise<ComparedRun> {
  const ours = new RunSampler();
  const all = new RunSampler();
  for await (const interval of groupHlog(parseHlog(readLines(path), path))) {
    addMetric(ours, interval, metric);
    for (const { metric: step, tags, value } of interval.series) {
      if (value.kind === 'trend' && isPartOfTotals(tags)) all.add({ ...timeOf(interval), step, succeeded: value.histogram });
    }
  }
  const sample = ours.finish();
  const isOurs = sample.steps.size > 0 || metric !== COMPARED_METRIC;
  return { path, about: undefined, sample: isOurs ? filled(ours, path, metric) : filled(all, path, metric) };
}

function filled(sampler: RunSampler, path: string, metric: string): RunSample {
  const sample = sampler.finish();
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

function loadOf(plan: unknown): string {
  const scenarios = (plan as { readonly scenarios?: readonly { readonly name?: string; readonly load?: unknown }[] } | null)?.scenarios;
  return JSON.stringify((scenarios ?? []).map(({ name, load }) => ({ name, load })));
}
