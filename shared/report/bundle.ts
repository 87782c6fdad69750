import { join } from 'node:path';
import type { CountedScenario } from '../sla/index.ts';
import { parseHlog, type HlogLine, type SeriesFilter } from './hlog.ts';
import type { AgentLine } from './interval-lines.ts';
import { parseResultLines, type ResultLine } from './parse-result-lines.ts';
import { readLines, readWholeLines } from './read-lines.ts';
import type { Summary } from './summary.ts';

/** Files of a run bundle. */
export const BUNDLE_FILES = {
  manifest: 'run.json',
  summary: 'summary.json',
  intervals: 'intervals.hlog',
  agents: 'intervals.ndjson',
  report: 'report.html',
  /** Only while the run goes on, and after a coordinator that died. */
  checkpoint: 'checkpoint.json',
} as const;

/** Of the id of a bundle that several runs were merged into. */
export const MERGED_ID_PREFIX = 'merged-';

/** `run.json`: what was run, by whom, and what happened on the way. The parts are kept as their owners wrote them. */
export interface Manifest {
  readonly schemaVersion: 1;
  readonly run: { readonly id: string; readonly name: string; readonly startedAt: string };
  /** The runs that were merged into this one; absent where it is one run. */
  readonly merged?: readonly Manifest['run'][];
  readonly intervalMs: number;
  readonly scenario: unknown;
  readonly plan: unknown;
  /** Which time of the run counts for thresholds. Absent in bundles of older versions: then all of it. */
  readonly counting?: { readonly loadEndUs: number; readonly scenarios: readonly CountedScenario[] };
  /** Ids, versions, labels, clock offsets. */
  readonly agents: readonly unknown[];
  readonly epochs: readonly unknown[];
  readonly events: readonly unknown[];
  /** What the plan wanted over time; absent where no scenario plans arrivals. */
  readonly plannedArrivals?: readonly PlannedArrivals[];
  /** Where the files were complete when this was written: what a restarted coordinator continues from. */
  readonly checkpoint?: unknown;
}

/** Arrivals that one scenario plans, in steps of equal length from the zero of the run. */
export interface PlannedArrivals {
  readonly scenario: string;
  readonly stepUs: number;
  /** Per step. Their sum is what the scenario plans. */
  readonly counts: readonly number[];
}

/** A bundle on disk. */
export interface Bundle extends BundleFiles {
  readonly summary: Summary;
}

/** The growing files of a bundle. They are read line by line: a long run does not fit into memory and need not. */
export interface BundleFiles {
  readonly dir: string;
  readonly manifest: Manifest;
  /** False when its run never ended it: then the files end where the writer stood. */
  readonly isComplete: boolean;
  /** Every series of every interval, or those that are wanted, in the order of the file. Throws `BUNDLE_INVALID` with the line number. */
  intervals(isWanted?: SeriesFilter): AsyncGenerator<HlogLine>;
  /** Of every batch what is not in a histogram: one agent in one interval. */
  agentLines(): AsyncGenerator<AgentLine>;
  /** All lines of `intervals.ndjson`; `readIntervals` puts them and the log together. Throws `BUNDLE_INVALID` with the line number. */
  resultLines(): AsyncGenerator<ResultLine>;
}

export function bundleFiles(dir: string, manifest: Manifest, isComplete: boolean): BundleFiles {
  const [log, ndjson] = [join(dir, BUNDLE_FILES.intervals), join(dir, BUNDLE_FILES.agents)];
  const linesOf = isComplete ? readLines : readWholeLines;
  const resultLines = (): AsyncGenerator<ResultLine> => parseResultLines(linesOf(ndjson), ndjson);
  return {
    dir,
    manifest,
    isComplete,
    intervals: (isWanted) => parseHlog(linesOf(log), log, {}, isWanted),
    agentLines: () => onlyAgents(resultLines()),
    resultLines,
  };
}

async function* onlyAgents(lines: AsyncIterable<ResultLine>): AsyncGenerator<AgentLine> {
  for await (const line of lines) if ('agent' in line) yield line;
}
