import type { LargeFile } from '../shared/scenario/index.ts';
import { readParts } from '../shared/scenario/index.ts';
import type { RunsClient } from './rpc/runs-client.ts';

/** Brings the large files of a scenario to where the agents fetch them, a part at a time. Throws `AppError`, also when a file is no longer
 *  what it was when the scenario was read. */
export async function sendFiles(client: RunsClient, files: readonly LargeFile[]): Promise<void> {
  for (const { path, reference } of files) {
    let next = 0;
    for await (const part of readParts(path)) await client.putFilePart(reference.parts[next++] ?? '', part);
  }
}
