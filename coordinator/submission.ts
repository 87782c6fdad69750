import { AppError } from '../shared/base/index.ts';
import type { Plan } from '../shared/plan/index.ts';
import { parseThreshold, type Threshold } from '../shared/sla/index.ts';
import {
  encodeSubmission,
  planFromWire,
  planToWire,
  workloadHash,
  type ResultsPlane,
  type SubmitRequest,
  type WireThreshold,
} from '../shared/wire/index.ts';

/** What to do when an agent is lost in mid-run: stop the run, let its share be missing, or give it to the others. */
export const LOSS_POLICIES = ['rebalance', 'continue', 'fail'] as const;
export type LossPolicy = (typeof LOSS_POLICIES)[number];

/** A run as it was asked for, read and checked. */
export interface Submission {
  readonly plan: Plan;
  readonly workload: Uint8Array;
  readonly workloadHash: string;
  readonly thresholds: readonly Threshold[];
  readonly source: string;
  readonly target: string;
  /** 0 for every agent that is ready. */
  readonly agents: number;
  readonly onAgentLoss: LossPolicy;
  /** Agents that become free in mid-run are given a share. */
  readonly lateJoin: boolean;
  readonly waitAgentsMs: number;
}

export type SubmissionInput = Omit<Submission, 'workloadHash'>;

export function submissionToWire(submission: SubmissionInput): SubmitRequest {
  const { plan, workload, thresholds, source, target, agents, onAgentLoss, lateJoin, waitAgentsMs } = submission;
  return {
    plan: planToWire(plan),
    workload: Buffer.from(workload),
    thresholds: thresholds.map(thresholdToWire),
    source,
    target,
    agents,
    onAgentLoss,
    lateJoin,
    waitAgentsMs,
  };
}

/** Puts a submission where a coordinator that has to take up its run finds it, the workload where the agents do. Resolves with its name.
 *  Throws `AppError('NATS_UNAVAILABLE')`. */
export async function storeSubmission(submission: Submission, plane: ResultsPlane): Promise<string> {
  const { bytes, hash } = encodeSubmission(submissionToWire(submission));
  try {
    await plane.putWorkload(submission.workloadHash, submission.workload);
    await plane.putBlob(hash, bytes);
  } catch (thrown) {
    throw AppError.from(thrown, 'NATS_UNAVAILABLE', 'the workload could not be stored');
  }
  return hash;
}

/** The same for what the run's setup returned, as JSON. Resolves with its name, or `undefined` for nothing. */
export async function storeSetup(json: string, plane: ResultsPlane): Promise<string | undefined> {
  if (json === '') return undefined;
  const bytes = Buffer.from(json);
  const hash = workloadHash(bytes);
  try {
    await plane.putBlob(hash, bytes);
  } catch (thrown) {
    throw AppError.from(thrown, 'NATS_UNAVAILABLE', 'what the setup returned could not be stored');
  }
  return hash;
}

/** Throws `AppError('SCENARIO_INVALID')` or `AppError('USAGE')` on what this coordinator cannot run. */
export function submissionFromWire(request: SubmitRequest): Submission {
  const { plan, workload, thresholds, source, target, agents, onAgentLoss: asked, lateJoin, waitAgentsMs } = request;
  if (plan === undefined || plan.scenarios.length === 0)
    throw new AppError('SCENARIO_INVALID', 'a submission carries a plan with at least one scenario');
  const onAgentLoss = LOSS_POLICIES.find((policy) => policy === asked);
  if (onAgentLoss === undefined) throw new AppError('USAGE', `--on-agent-loss ${asked}: expected ${LOSS_POLICIES.join(', ')}`);
  if (lateJoin && onAgentLoss !== 'rebalance') throw new AppError('USAGE', '--late-join needs --on-agent-loss rebalance');
  const planned = planFromWire(plan);
  return {
    plan: planned,
    workload,
    workloadHash: workloadHash(workload),
    thresholds: thresholds.map((threshold) => thresholdFromWire(threshold, planned)),
    source,
    target,
    agents,
    onAgentLoss,
    lateJoin,
    waitAgentsMs,
  };
}

function thresholdToWire(threshold: Threshold): WireThreshold {
  const { metric, tags, expression, abortOnFail, delayAbortEvalUs, windowUs } = threshold;
  return { metric, tags: { ...tags }, expression, abortOnFail, delayAbortEvalUs, windowUs };
}

function thresholdFromWire(wire: WireThreshold, plan: Plan): Threshold {
  const { metric, tags, expression, abortOnFail, delayAbortEvalUs, windowUs } = wire;
  const parsed = parseThreshold(metric, expression, {}, plan.metrics);
  if ('problem' in parsed) throw new AppError('SCENARIO_INVALID', `threshold ${metric}: ${expression}: ${parsed.problem}`);
  return { ...parsed, tags, abortOnFail, delayAbortEvalUs, windowUs };
}
