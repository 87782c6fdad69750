import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { reasonOf, WORKLOAD_BYTES_MAX } from '../base/index.ts';
import { isMapping } from './describe.ts';
import type { Path, Report } from './problems.ts';

/** Flows nested deeper than this have another problem. */
const DEPTH_MAX = 50;

/** Contents in base64 of every file that a step of any flow uploads, by the path as written, relative to the scenario file. */
export async function loadUploads(document: unknown, scenarioFile: string, report: Report): Promise<Record<string, string>> {
  const wanted = new Map<string, Path>();
  if (isMapping(document)) for (const key of ['setup', 'scenarios', 'teardown']) collect(document[key], [key], wanted);
  const contents: Record<string, string> = {};
  for (const [file, path] of wanted) {
    const read = await readBytes(resolve(dirname(scenarioFile), file));
    if (typeof read === 'string') contents[file] = read;
    else report(path, `${file}: ${read.problem}`);
  }
  return contents;
}

function collect(value: unknown, path: Path, wanted: Map<string, Path>): void {
  if (path.length > DEPTH_MAX) return;
  if (Array.isArray(value)) value.forEach((item, i) => collect(item, [...path, i], wanted));
  if (!isMapping(value)) return;
  for (const [key, below] of Object.entries(value)) {
    // Bodies are data: what looks like a step in them is none.
    if (key === 'json') continue;
    if (key === 'bodyFile' && typeof below === 'string') wanted.set(below, [...path, key]);
    else if (key === 'multipart' && isMapping(below)) collectParts(below, [...path, key], wanted);
    else collect(below, [...path, key], wanted);
  }
}

function collectParts(fields: Readonly<Record<string, unknown>>, path: Path, wanted: Map<string, Path>): void {
  for (const [name, field] of Object.entries(fields)) {
    const items: readonly unknown[] = Array.isArray(field) ? field : [field];
    for (const item of items) if (isMapping(item) && typeof item['file'] === 'string') wanted.set(item['file'], [...path, name]);
  }
}

async function readBytes(file: string): Promise<string | { readonly problem: string }> {
  try {
    const { size } = await stat(file);
    if (size > WORKLOAD_BYTES_MAX) return { problem: `${String(size)} bytes; at most ${String(WORKLOAD_BYTES_MAX)} travel to the agents` };
    return (await readFile(file)).toString('base64');
  } catch (thrown) {
    // Missing, a directory, not readable: the system's own words are the best.
    return { problem: `cannot be read: ${reasonOf(thrown)}` };
  }
}
