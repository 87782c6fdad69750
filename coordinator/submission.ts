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

/** What to do when an agent is lost in mid-run. */
export type LossPolicy = 'fail' | 'continue';

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
  readonly waitAgentsMs: number;
}

export type SubmissionInput = Omit<Submission, 'workloadHash'>;

export function submissionToWire(submission: SubmissionInput): SubmitRequest {
  const { plan, workload, thresholds, source, target, agents, onAgentLoss, waitAgentsMs } = submission;
  return {
    plan: planToWire(plan),
    workload: Buffer.from(workload),
    thresholds: thresholds.map(thresholdToWire),
    source,
    target,
    agents,
    onAgentLoss,
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

/** Throws `AppError('SCENARIO_INVALID')` or `AppError('USAGE')` on what this coordinator cannot run. */
export function submissionFromWire(request: SubmitRequest): Submission {
  const { plan, workload, thresholds, source, target, agents, onAgentLoss, waitAgentsMs } = request;
  if (plan === undefined || plan.scenarios.length === 0)
    throw new AppError('SCENARIO_INVALID', 'a submission carries a plan with at least one scenario');
  if (onAgentLoss !== 'fail' && onAgentLoss !== 'continue') {
    throw new AppError('USAGE', `--on-agent-loss ${onAgentLoss}: expected fail or continue`);
  }
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
