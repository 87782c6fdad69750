import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_FILES } from '../bundle.ts';
import { readBundle } from '../read-bundle.ts';
import { renderHtml } from './report-page.ts';

/** Logs up to this length are condensed in a few seconds; the end of a run waits no longer for a page. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;

/** Puts `report.html` into a bundle that is complete, whole or not at all. False when the bundle is too large to be read at the end of a run:
 *  `muster report` makes the page then. Throws what reading and writing throw. */
export async function writeReport(dir: string): Promise<boolean> {
  const { size } = await stat(join(dir, BUNDLE_FILES.intervals));
  if (size > LOG_BYTES_MAX) return false;
  const temporary = join(dir, `.${BUNDLE_FILES.report}.tmp`);
  try {
    await writeFile(temporary, await renderHtml(await readBundle(dir)));
    await rename(temporary, join(dir, BUNDLE_FILES.report));
  } finally {
    await rm(temporary, { force: true });
  }
  return true;
}
