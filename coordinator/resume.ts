import { AppError, reasonOf, type Clock, type Log } from '../shared/base/index.ts';
import { BundleWriter } from '../shared/report/index.ts';
import { decodeSubmission, type ResultsPlane } from '../shared/wire/index.ts';
import { readCheckpoint, type Checkpoint } from './checkpoint.ts';
import type { Agent } from './fleet.ts';
import type { RunHistory } from './run-fold.ts';
import { submissionFromWire, type Submission } from './submission.ts';

/** A run whose coordinator died after its start, with all that is needed to take it up. */
export interface Resumed {
  readonly history: RunHistory & { readonly zeroUs: number };
  readonly submission: Submission;
  /** `undefined`: every batch is read again. */
  readonly checkpoint: Checkpoint | undefined;
  readonly setupJson: string;
}

/** How long agents may take to dial in again after the coordinator's own restart; until then a missing stream is no sign of loss. */
export const RETURN_WITHIN_US = 10_000_000;
/** Without a batch for this long, nothing more is waited for: the stream has dropped what was counted. */
const CATCH_UP_QUIET_US = 30_000_000;
const RETRY_MS = 500;

/** Throws `AppError` when the store no longer holds what was submitted. */
export async function loadResumed(
  history: RunHistory & { readonly zeroUs: number },
  plane: ResultsPlane,
  bundleDir: string,
  log: Log,
): Promise<Resumed> {
  const { runId, submissionHash, workloadHash, setupHash } = history;
  if (submissionHash === undefined || workloadHash === undefined)
    throw new AppError('CONNECTION_LOST', 'the coordinator was restarted, and the stream does not say what was submitted');
  const submission = submissionFromWire(decodeSubmission(await plane.getBlob(submissionHash)));
  return {
    history,
    submission: { ...submission, workloadHash },
    checkpoint: await readCheckpoint(bundleDir, runId, log),
    setupJson: setupHash === undefined ? '' : Buffer.from(await plane.getBlob(setupHash)).toString('utf8'),
  };
}

/** The agents of the run as they were at its start; each counts as away until it dials in. */
export function agentsBefore({ agents, clocks, runId, zeroUs }: Resumed['history']): Agent[] {
  return agents.map(({ machineRate, ...agent }) => ({
    ...agent,
    machineRate,
    clock: clocks.get(agent.id) ?? { offsetUs: 0, uncertaintyUs: Infinity, samples: 0 },
    state: 'LOST',
    runId,
    lastSeenUs: zeroUs,
  }));
}

/** Opens the bundle where the checkpoint left it. Where its files are shorter than they were, it begins anew, without the checkpoint. */
export async function reopenBundle(
  dir: string,
  { history, checkpoint }: Resumed,
  log: Log,
): Promise<{ readonly bundle: BundleWriter; readonly checkpoint: Checkpoint | undefined }> {
  const { runId, zeroUs } = history;
  if (checkpoint !== undefined) {
    try {
      return { bundle: await BundleWriter.open(dir, zeroUs, checkpoint.bundle), checkpoint };
    } catch (thrown) {
      log.error({ runId, reason: reasonOf(thrown) }, 'the bundle does not go with its checkpoint');
    }
  }
  return { bundle: await BundleWriter.open(dir, zeroUs), checkpoint: undefined };
}

/** What the stream held of a run when its new coordinator began to read. Until all that is in, nothing can be said to be missing or over. */
export class CatchUp {
  private behind: number;
  private lastUs: number;

  /** `behind`: batches to come. */
  constructor(behind: number, nowUs: number) {
    this.behind = behind;
    this.lastUs = nowUs;
  }

  took(nowUs: number): void {
    this.behind--;
    this.lastUs = nowUs;
  }

  isDone(nowUs: number): boolean {
    return this.behind <= 0 || nowUs - this.lastUs > CATCH_UP_QUIET_US;
  }
}

/** Counts what is to be read again from `fromSequence` on; asks until the server says it. */
export async function countBehind(plane: ResultsPlane, runId: string, fromSequence: number, clock: Clock, log: Log): Promise<number> {
  for (;;) {
    try {
      return await plane.countBatches(runId, fromSequence);
    } catch (thrown) {
      log.warn({ runId, reason: reasonOf(thrown) }, 'the batches of a run cannot be counted yet');
      await clock.sleep(RETRY_MS);
    }
  }
}
