import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppError, reasonOf } from '../base/index.ts';
import { parseHlog, type HlogLine } from './hlog.ts';
import { parseSummary } from './parse-summary.ts';
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
  readonly intervalMs: number;
  readonly scenario: unknown;
  readonly plan: unknown;
  /** Ids, versions, labels, clock offsets. */
  readonly agents: readonly unknown[];
  readonly epochs: readonly unknown[];
  readonly events: readonly unknown[];
  /** Where the files were complete when this was written: what a restarted coordinator continues from. */
  readonly checkpoint?: unknown;
}

/** A bundle on disk. The series are read line by line: a long run does not fit into memory and need not. */
export interface Bundle {
  readonly dir: string;
  readonly manifest: Manifest;
  readonly summary: Summary;
  /** Every series of every interval, in the order of the file. Throws `BUNDLE_INVALID` with the line number. */
  intervals(): AsyncGenerator<HlogLine>;
  /** The lines of `intervals.ndjson`. */
  agentLines(): AsyncGenerator;
}

/** Reads a bundle's JSON files and opens its series on demand. Throws `BUNDLE_INVALID` with the path and what was expected there. */
export async function readBundle(dir: string): Promise<Bundle> {
  const manifest = parseManifest(await readJson(join(dir, BUNDLE_FILES.manifest)), join(dir, BUNDLE_FILES.manifest));
  const summary = parseSummary(await readJson(join(dir, BUNDLE_FILES.summary)), join(dir, BUNDLE_FILES.summary));
  return {
    dir,
    manifest,
    summary,
    intervals: () => parseHlog(readLines(join(dir, BUNDLE_FILES.intervals)), join(dir, BUNDLE_FILES.intervals)),
    agentLines: () => parseAgentLines(join(dir, BUNDLE_FILES.agents)),
  };
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

async function* parseAgentLines(path: string): AsyncGenerator {
  let number = 0;
  for await (const line of readLines(path)) {
    number++;
    if (line === '') continue;
    try {
      yield JSON.parse(line) as unknown;
    } catch (cause) {
      throw new AppError('BUNDLE_INVALID', `${path}: line ${number}: expected one JSON object: ${reasonOf(cause)}`, { cause });
    }
  }
}

async function* readLines(path: string): AsyncGenerator<string> {
  const stream = createReadStream(path, 'utf8');
  try {
    yield* createInterface({ input: stream, crlfDelay: Infinity });
  } catch (cause) {
    throw new AppError('BUNDLE_INVALID', `${path}: expected a readable file: ${reasonOf(cause)}`, { cause });
  } finally {
    stream.destroy();
  }
}
