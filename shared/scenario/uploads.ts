import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FILE_PART_BYTES, FILES_BYTES_MAX, reasonOf } from '../base/index.ts';
import type { FileReference, Workload } from '../plan/index.ts';
import { isMapping } from './describe.ts';
import { referTo, type LargeFile } from './file-parts.ts';
import type { Path, Report } from './problems.ts';

/** Flows nested deeper than this have another problem. */
const DEPTH_MAX = 50;

interface Uploads {
  /** By the path as written: contents in base64, or what a large file is known by. */
  readonly uploads: Workload['files'];
  readonly largeFiles: readonly LargeFile[];
}

/** Every file that a step of any flow uploads. Paths are relative to the scenario file. */
export async function loadUploads(document: unknown, scenarioFile: string, report: Report): Promise<Uploads> {
  const wanted = new Map<string, Path>();
  if (isMapping(document)) for (const key of ['setup', 'scenarios', 'teardown']) collect(document[key], [key], wanted);
  const uploads: Record<string, string | FileReference> = {};
  const largeFiles: LargeFile[] = [];
  let bytesLeft = FILES_BYTES_MAX;
  for (const [file, path] of wanted) {
    const from = resolve(dirname(scenarioFile), file);
    try {
      const { size } = await stat(from);
      bytesLeft -= size;
      if (bytesLeft < 0) {
        report(path, `${file}: the files are more than ${String(FILES_BYTES_MAX)} bytes together; no more travel to the agents`);
      } else if (size > FILE_PART_BYTES) {
        const reference = await referTo(from);
        uploads[file] = reference;
        largeFiles.push({ path: from, reference });
      } else {
        uploads[file] = (await readFile(from)).toString('base64');
      }
    } catch (thrown) {
      // Missing, a directory, not readable: the system's own words are the best.
      report(path, `${file}: cannot be read: ${reasonOf(thrown)}`);
    }
  }
  return { uploads, largeFiles };
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
