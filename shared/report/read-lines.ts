import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
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

/** The same without a last line that was cut: of a file whose writer was killed, or is at work. */
export async function* readWholeLines(path: string): AsyncGenerator<string> {
  let last: string | undefined;
  for await (const line of readLines(path)) {
    if (last !== undefined) yield last;
    last = line;
  }
  if (last !== undefined && (await endsWithLineBreak(path))) yield last;
}

async function endsWithLineBreak(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    return bytesRead === 1 && buffer[0] === 0x0a;
  } finally {
    await file.close();
  }
}
