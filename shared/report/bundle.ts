import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, reasonOf } from '../base/index.ts';
import type { CountedScenario } from '../sla/index.ts';
import { parseHlog, type HlogLine, type SeriesFilter } from './hlog.ts';
import type { AgentLine } from './interval-lines.ts';
import { parseResultLines, type ResultLine } from './parse-result-lines.ts';
import { parseSummary } from './parse-summary.ts';
import { readLines } from './read-lines.ts';
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

/** A bundle on disk. The series are read line by line: a long run does not fit into memory and need not. */
export interface Bundle {
  readonly dir: string;
  readonly manifest: Manifest;
  readonly summary: Summary;
  /** Every series of every interval, or those that are wanted, in the order of the file. Throws `BUNDLE_INVALID` with the line number. */
  intervals(isWanted?: SeriesFilter): AsyncGenerator<HlogLine>;
  /** Of every batch what is not in a histogram: one agent in one interval. */
  agentLines(): AsyncGenerator<AgentLine>;
  /** All lines of `intervals.ndjson`; `readIntervals` puts them and the log together. Throws `BUNDLE_INVALID` with the line number. */
  resultLines(): AsyncGenerator<ResultLine>;
}

/** Reads a bundle's JSON files and opens its series on demand. Throws `BUNDLE_INVALID` with the path and what was expected there. */
export async function readBundle(dir: string): Promise<Bundle> {
  const manifest = parseManifest(await readJson(join(dir, BUNDLE_FILES.manifest)), join(dir, BUNDLE_FILES.manifest));
  const summary = await readSummary(dir);
  const resultLines = (): AsyncGenerator<ResultLine> =>
    parseResultLines(readLines(join(dir, BUNDLE_FILES.agents)), join(dir, BUNDLE_FILES.agents));
  return {
    dir,
    manifest,
    summary,
    intervals: (isWanted) => parseHlog(readLines(join(dir, BUNDLE_FILES.intervals)), join(dir, BUNDLE_FILES.intervals), {}, isWanted),
    agentLines: () => onlyAgents(resultLines()),
    resultLines,
  };
}

/** The summary alone, for which nothing else of a bundle need be there. Throws `BUNDLE_INVALID` as `readBundle` does. */
export async function readSummary(dir: string): Promise<Summary> {
  const path = join(dir, BUNDLE_FILES.summary);
  return parseSummary(await readJson(path), path);
}

/** A JSON file of a bundle; a run's manifest and summary are far below this, and a larger file is refused unread. */
const JSON_BYTES_MAX = 256 * 1024 * 1024;

async function readJson(path: string): Promise<unknown> {
  try {
    const { size } = await stat(path);
    if (size > JSON_BYTES_MAX) throw new RangeError(`it has ${size} bytes, and at most ${JSON_BYTES_MAX} are read`);
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (cause) {
    throw new AppError('BUNDLE_INVALID', `${path}: expected a JSON file of a run bundle: ${reasonOf(cause)}`, { cause });
  }
}

function parseManifest(unknown: unknown, path: string): Manifest {
  const manifest = typeof unknown === 'object' && unknown !== null ? (unknown as Readonly<Record<string, unknown>>) : {};
  if (manifest['schemaVersion'] !== 1) {
    throw new AppError('BUNDLE_INVALID', `${path}: schemaVersion: expected 1, got ${JSON.stringify(manifest['schemaVersion'])}`);
  }
  const run = manifest['run'] as Readonly<Record<string, unknown>> | undefined | null;
  for (const name of ['id', 'name', 'startedAt']) {
    if (typeof run?.[name] !== 'string') throw new AppError('BUNDLE_INVALID', `${path}: run.${name}: expected a string`);
  }
  if (typeof manifest['intervalMs'] !== 'number') throw new AppError('BUNDLE_INVALID', `${path}: intervalMs: expected a number`);
  for (const name of ['agents', 'epochs', 'events']) {
    if (!Array.isArray(manifest[name])) throw new AppError('BUNDLE_INVALID', `${path}: ${name}: expected an array`);
  }
  return manifest as unknown as Manifest;
}

async function* onlyAgents(lines: AsyncIterable<ResultLine>): AsyncGenerator<AgentLine> {
  for await (const line of lines) if ('agent' in line) yield line;
}
