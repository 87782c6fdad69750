import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT_CODES } from '../shared/base/index.ts';
import { BUNDLE_FILES, parseSummary, type Snapshot, type Summary } from '../shared/report/index.ts';
import type { Outcome } from './outcome.ts';
import type { RunHistory } from './run-fold.ts';

/** A run as it is listed. */
export interface RunEntry {
  readonly runId: string;
  readonly name: string;
  readonly state: Snapshot['state'];
  readonly submittedAtMs: number;
  readonly elapsedUs: number;
  readonly durationUs: number;
  readonly agents: number;
  readonly exitCode: number | undefined;
}

/** A run that is not conducted here. Without an end in the stream, somebody else conducts it. */
export function entryOf({ runId, name, submittedAtMs, durationUs, agents, zeroUs, finished }: RunHistory): RunEntry {
  const state = finished !== undefined ? 'finished' : zeroUs === undefined ? 'waiting' : 'running';
  const elapsedUs = Math.max(0, finished?.elapsedUs ?? 0);
  return { runId, name, state, submittedAtMs, elapsedUs, durationUs, agents: agents.length, exitCode: finished?.exitCode };
}

/** How it ended, with the summary from its bundle where that is here. */
export async function outcomeOf(
  run: RunHistory,
  { exitCode, message }: NonNullable<RunHistory['finished']>,
  dir: string,
): Promise<Outcome> {
  const known = Object.values(EXIT_CODES).find(({ code }) => code === exitCode);
  let summary: Summary | undefined;
  try {
    const path = join(dir, BUNDLE_FILES.summary);
    summary = parseSummary(JSON.parse(await readFile(path, 'utf8')), path);
  } catch {
    // Another coordinator's disk has it, or no load ran: the exit code and its reason are all there is to tell.
  }
  return {
    exitCode: known?.code ?? EXIT_CODES.bug.code,
    summary,
    message: summary === undefined ? message || `run ${run.runId} is over` : message,
  };
}
