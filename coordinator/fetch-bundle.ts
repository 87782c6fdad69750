import { mkdir, open, rename, type FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '../shared/base/index.ts';
import type { RunsClient } from './rpc/runs-client.ts';

/** Writes a run's bundle to `dir`, each file whole or not at all. Throws `AppError('OUT_UNWRITABLE')`, or what the coordinator says. */
export async function fetchBundle(client: RunsClient, runId: string, dir: string): Promise<void> {
  let current: { readonly name: string; readonly handle: FileHandle } | undefined;
  const finish = async (): Promise<void> => {
    if (current === undefined) return;
    const { name, handle } = current;
    current = undefined;
    await handle.close();
    await rename(join(dir, `.${name}.part`), join(dir, name));
  };
  try {
    await mkdir(dir, { recursive: true });
    for await (const { file, chunk } of client.bundle(runId)) {
      // A name from the network is never a path.
      const name = basename(file);
      if (current?.name !== name) {
        await finish();
        current = { name, handle: await open(join(dir, `.${name}.part`), 'w') };
      }
      if (chunk.length > 0) await current.handle.writeFile(chunk);
    }
    await finish();
  } catch (thrown) {
    await current?.handle.close();
    throw AppError.from(thrown, 'OUT_UNWRITABLE', `cannot write the run bundle to ${dir}`);
  }
}
