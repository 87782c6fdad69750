import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Makes the folder `path` and the parents that are not there; the uppermost folder it made, if any. Node's own recursive `mkdir` never ends where
 *  the kernel says ENOENT although the parent is there, as it does in /proc. */
export async function makeFolders(path: string): Promise<string | undefined> {
  const dir = resolve(path);
  try {
    await mkdir(dir);
    return dir;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(dir)).isDirectory()) return undefined;
    if (code !== 'ENOENT' || dirname(dir) === dir) throw thrown;
  }
  const first = await makeFolders(dirname(dir));
  await mkdir(dir);
  return first ?? dir;
}
