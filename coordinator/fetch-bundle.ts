import { open, rename, rm, rmdir, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AppError, makeFolders } from '../shared/base/index.ts';
import type { RunsClient } from './rpc/runs-client.ts';

/** A bundle is larger than this; a disk without as much room is full already. */
const PROBE_BYTES = 16 * 1024;

/** Finds out before a run whether its bundle can be written to `dir`, and leaves nothing behind. Throws `AppError('OUT_UNWRITABLE')`. */
export async function proveWritable(dir: string): Promise<void> {
  const probe = join(dir, `.muster-probe-${process.pid}`);
  let firstMade: string | undefined;
  try {
    firstMade = await makeFolders(dir);
    await writeFile(probe, Buffer.alloc(PROBE_BYTES), { flush: true });
  } catch (thrown) {
    throw unwritable(dir, thrown);
  } finally {
    // What the probe cannot take back is an empty file or folder, which is no reason to refuse the run.
    await rm(probe, { force: true }).catch(() => undefined);
    if (firstMade !== undefined) await removeEmpty(dir, firstMade).catch(() => undefined);
  }
}

/** Writes a run's bundle to `dir`, each file whole or not at all. Throws `AppError('OUT_UNWRITABLE')`, or what the coordinator says. */
export async function fetchBundle(client: RunsClient, runId: string, dir: string): Promise<void> {
  let current: { readonly name: string; readonly part: string; readonly handle: FileHandle } | undefined;
  const finish = async (): Promise<void> => {
    if (current === undefined) return;
    const { name, part, handle } = current;
    await handle.close();
    await rename(part, join(dir, name));
    current = undefined;
  };
  try {
    await makeFolders(dir);
    for await (const { file, chunk } of client.bundle(runId)) {
      // A name from the network is never a path.
      const name = basename(file);
      if (current?.name !== name) {
        await finish();
        const part = join(dir, `.${name}.part`);
        current = { name, part, handle: await open(part, 'w') };
      }
      if (chunk.length > 0) await current.handle.writeFile(chunk);
    }
    await finish();
  } catch (thrown) {
    // Half a file helps nobody; where even removing it fails, the first failure is the one to tell.
    await current?.handle.close().catch(() => undefined);
    if (current !== undefined) await rm(current.part, { force: true }).catch(() => undefined);
    throw unwritable(dir, thrown);
  }
}

function unwritable(dir: string, thrown: unknown): AppError {
  return AppError.from(thrown, 'OUT_UNWRITABLE', `cannot write the run bundle to ${dir}`);
}

/** Removes `dir` and its parents up to `first`; stops at the first that is not empty, which is somebody else's by then. */
async function removeEmpty(dir: string, first: string): Promise<void> {
  for (let folder = resolve(dir); folder.length >= first.length; folder = dirname(folder)) await rmdir(folder);
}
