import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileReference, Workload } from '../shared/plan/index.ts';
import type { StoredFile } from './protocol/index.ts';

/** The large files of a workload: one copy per agent, on disk, read by every request that sends them.
 *  The copies have no name, so that nothing is left behind however the agent ends. */
export class StoredFiles {
  private readonly handles = new Map<string, FileHandle>();
  private readonly files = new Map<string, StoredFile>();

  /** `getPart` fetches what is known by a SHA-256; one part at a time is held in memory. Throws what `getPart` or the file system throws. */
  static async fetch(workload: Pick<Workload, 'files'>, getPart: (hash: string) => Promise<Uint8Array>): Promise<StoredFiles> {
    const stored = new StoredFiles();
    try {
      for (const [file, content] of Object.entries(workload.files)) {
        if (typeof content !== 'string') await stored.fetchOne(file, content, getPart);
      }
      return stored;
    } catch (thrown) {
      await stored.close();
      throw thrown;
    }
  }

  get(file: string): StoredFile | undefined {
    return this.files.get(file);
  }

  /** To be called when no request reads them any more. */
  async close(): Promise<void> {
    const handles = [...this.handles.values()];
    this.handles.clear();
    this.files.clear();
    for (const handle of handles) await handle.close();
  }

  private async fetchOne(file: string, { bytes, parts }: FileReference, getPart: (hash: string) => Promise<Uint8Array>): Promise<void> {
    const handle = await openNameless();
    this.handles.set(file, handle);
    for (const hash of parts) await handle.writeFile(await getPart(hash));
    this.files.set(file, { descriptor: handle.fd, length: bytes });
  }
}

async function openNameless(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-file-'));
  try {
    return await open(join(folder, 'copy'), 'wx+');
  } finally {
    await rm(folder, { recursive: true });
  }
}
