import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

/** One change to a compiled file: text that occurs exactly once, and what stands there instead. */
export interface Planted {
  /** Below `dist`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A copy of the build with faults planted in it. */
export interface PlantedBuild {
  /** Its `coordinator/main.js`. */
  readonly main: string;
  remove(): Promise<void>;
}

/** Rejects when a text to be replaced is not there exactly once: a fault that was not planted would prove nothing. */
export async function plantFaults(faults: readonly Planted[]): Promise<PlantedBuild> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-planted-'));
  await cp(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(folder, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const { file, from, to } of faults) {
    const path = join(folder, 'dist', file);
    const text = await readFile(path, 'utf8');
    const found = text.split(from).length - 1;
    if (found !== 1) throw new Error(`expected ${JSON.stringify(from)} once in dist/${file}, found it ${found} times`);
    await writeFile(
      path,
      text.replace(from, () => to),
    );
  }
  return { main: join(folder, 'dist/coordinator/main.js'), remove: () => rm(folder, { recursive: true }) };
}
