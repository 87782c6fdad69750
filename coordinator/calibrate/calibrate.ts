import { AppError, EXIT_CODES, reasonOf, type Clock } from '../../shared/base/index.ts';
import type { Summary, TrendSummary } from '../../shared/report/index.ts';
import { startPrivateCluster } from '../private-cluster.ts';
import { RunsClient } from '../rpc/runs-client.ts';
import type { SubmissionInput } from '../submission.ts';
import { judgeRun, type Judgement } from './judge.ts';
import { AGENTS } from './patterns.ts';
import { searchRate, type FoundRate, type RateStep, type SearchLimits } from './rate-search.ts';
import { startReference, type ReferenceProcess } from './reference-process.ts';
import { lagP99sMs, undisturbedLagMs } from './slices.ts';
import { patternRun, rateRun } from './submissions.ts';
import { quantile, referenceOf, type Reference } from './truth.ts';

/** A rate counts as kept while p99 of `schedule_lag` is below this, in all intervals of a try but those that were disturbed. */
export const LAG_P99_LIMIT_MS = 1;
/** Above this p99 of what delayed requests on their way, a deviation that noise may explain is measured again. */
const QUIET_P99_MS = 1;

export interface CalibrateOptions {
  /** Length of the comparison. */
  readonly seconds: number;
  readonly attemptsMax: number;
  readonly search: SearchLimits;
  /** Length of every rate that is tried. */
  readonly rateSeconds: number;
  readonly drainTimeoutMs: number;
  readonly clock: Clock;
  /** Progress, for people. */
  readonly say: (text: string) => void;
  readonly stopping: AbortSignal;
}

/** p50, p99 and the maximum, milliseconds. */
export interface Lateness {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface CalibrationResult extends Judgement {
  readonly verdict: 'passed' | 'failed';
  readonly agents: number;
  readonly seconds: number;
  readonly attempts: number;
  /** `schedule_lag` of all patterns whose VUs are never all busy, as agents measured it and as the server saw it. */
  readonly pacing: { readonly measured: Lateness; readonly seen: Lateness };
  readonly startSpread: { readonly measuredMs: number; readonly seenMs: number };
  /** `undefined` when the measurement failed: its lag would not be worth more. */
  readonly rate: FoundRate | undefined;
}

/** Calibrates this machine: a private cluster as of `muster run` fires at the reference server; what it measured is compared with what the
 *  server did; then the highest rate is looked for.
 *
 *  reference server, cluster → warm-up → compare (again while noise may explain what is off) → search
 *
 *  Throws `AppError` when a part cannot start, when a run makes no load, and `AppError('STOPPED')`. */
export async function calibrate(options: CalibrateOptions): Promise<CalibrationResult> {
  const { clock, drainTimeoutMs } = options;
  const reference = await startReference();
  try {
    const cluster = await startPrivateCluster(AGENTS, undefined, drainTimeoutMs, clock);
    try {
      const client = await RunsClient.connect(cluster.address);
      try {
        return await measure(client, reference, options);
      } finally {
        client.close();
      }
    } finally {
      await cluster.close();
    }
  } finally {
    await reference.stop();
  }
}

async function measure(client: RunsClient, reference: ReferenceProcess, options: CalibrateOptions): Promise<CalibrationResult> {
  const { say, seconds, stopping } = options;
  say('warming up');
  await conduct(client, await patternRun(reference.url, 1), stopping);
  const compared = await compare(client, reference, options);
  const { findings, comparisons, truth, summary, attempts } = compared;
  const hasPassed = findings.length === 0;
  return {
    verdict: hasPassed ? 'passed' : 'failed',
    agents: AGENTS,
    seconds,
    attempts,
    comparisons,
    findings,
    pacing: pacingOf(summary, truth),
    startSpread: { measuredMs: summary.run.startSpreadMs ?? 0, seenMs: truth.startSpreadUs / 1_000 },
    rate: hasPassed ? await search(client, reference, options) : undefined,
  };
}

interface Compared extends Judgement {
  readonly truth: Reference;
  readonly summary: Summary;
  readonly attempts: number;
}

/** Once, and again as long as the machine was not quiet and nothing is off that noise could not do. */
async function compare(client: RunsClient, reference: ReferenceProcess, options: CalibrateOptions): Promise<Compared> {
  const { seconds, attemptsMax, say, stopping } = options;
  for (let attempts = 1; ; attempts++) {
    say(`comparing with the reference server for ${seconds} s`);
    await reference.takeLog();
    const { summary } = await conduct(client, await patternRun(reference.url, seconds), stopping);
    const truth = referenceOf(await reference.takeLog(), seconds);
    const judgement = judgeRun(truth, summary);
    const noiseMs = quantile(truth.jitterUs, 99) / 1_000;
    const mayBeNoise = noiseMs > QUIET_P99_MS && judgement.findings.every((finding) => finding.mayBeNoise);
    if (judgement.findings.length === 0 || !mayBeNoise || attempts === attemptsMax) return { ...judgement, truth, summary, attempts };
    say(`off, but the machine is busy (one request in a hundred was delayed by ${noiseMs.toFixed(1)} ms): once more`);
  }
}

function search(client: RunsClient, reference: ReferenceProcess, options: CalibrateOptions): Promise<FoundRate> {
  const { say, stopping, rateSeconds } = options;
  return searchRate(async (ratePerSecond): Promise<RateStep> => {
    const { summary, runId } = await conduct(client, await rateRun(reference.url, ratePerSecond, rateSeconds), stopping);
    const { planned, started, dropped } = summary.ledger;
    const failed = summary.metrics['http_req_failed'];
    const lagP99Ms = undisturbedLagMs(await lagP99sMs(client, runId));
    const isWhole = started === planned && dropped === 0 && failed?.type === 'rate' && failed.passes === 0;
    const isKept = isWhole && lagP99Ms < LAG_P99_LIMIT_MS;
    say(`${ratePerSecond}/s: lag p99 ${lagP99Ms.toFixed(2)} ms${isWhole ? '' : ', not all of it fired and answered'}`);
    return { ratePerSecond, lagP99Ms, isKept };
  }, options.search);
}

interface Conducted {
  readonly runId: string;
  readonly summary: Summary;
}

/** One run to its end. A run that is degraded, or invalid, has a summary too; what it says is for the judgement. */
async function conduct(client: RunsClient, submission: SubmissionInput, stopping: AbortSignal): Promise<Conducted> {
  const refuseIfStopped = (): void => {
    if (stopping.aborted) throw new AppError('STOPPED', `${String(stopping.reason)} to muster calibrate`);
  };
  refuseIfStopped();
  const runId = await client.submit(submission);
  const stop = (): void => {
    // A run that is over already needs no stopping; anything else ends the watch below with its own error.
    client.stop(runId, String(stopping.reason)).catch(() => undefined);
  };
  stopping.addEventListener('abort', stop);
  try {
    const { summary, exitCode, message } = await client.watch(runId, () => undefined);
    refuseIfStopped();
    if (exitCode === EXIT_CODES.agentsLost.code || summary === undefined) throw new AppError('NO_AGENTS', message);
    return { runId, summary };
  } catch (thrown) {
    throw AppError.from(thrown, 'CONNECTION_LOST', `run ${runId}: ${reasonOf(thrown)}`);
  } finally {
    stopping.removeEventListener('abort', stop);
  }
}

function pacingOf(summary: Summary, { truths, jitterUs }: Reference): CalibrationResult['pacing'] {
  const undelayed = new Set(truths.filter(({ pattern }) => pattern.maxVus > AGENTS).map(({ pattern }) => pattern.name));
  const measured = summary.series.filter(
    (one): one is TrendSummary & typeof one => one.type === 'trend' && one.metric === 'schedule_lag' && undelayed.has(one.tags['scenario'] ?? ''),
  ); // prettier-ignore
  // Of several series the worst is told: percentiles are not averaged.
  const worst = (pick: (one: TrendSummary) => number): number => Math.max(0, ...measured.map(pick));
  return {
    measured: {
      p50Ms: worst(({ percentiles }) => percentiles['50']),
      p99Ms: worst(({ percentiles }) => percentiles['99']),
      maxMs: worst(({ max }) => max),
    },
    seen: { p50Ms: quantile(jitterUs, 50) / 1_000, p99Ms: quantile(jitterUs, 99) / 1_000, maxMs: quantile(jitterUs, 100) / 1_000 },
  };
}
