import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { AppError, reasonOf } from '../base/index.ts';

/** The lines of a file, one at a time. Throws `BUNDLE_INVALID` when it cannot be read. */
export async function* readLines(path: string): AsyncGenerator<string> {
  const stream = createReadStream(path, 'utf8');
  try {
    yield* createInterface({ input: stream, crlfDelay: Infinity });
  } catch (cause) {
    throw new AppError('BUNDLE_INVALID', `${path}: expected a readable file: ${reasonOf(cause)}`, { cause });
  } finally {
    stream.destroy();
  }
}
