import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { FILE_PART_BYTES } from '../base/index.ts';
import type { FileReference } from '../plan/index.ts';

/** A file on the submitting side that travels in parts, beside the workload. */
export interface LargeFile {
  readonly path: string;
  readonly reference: FileReference;
}

/** Reads the file once, part by part, for its name on the agents: the hashes of its parts. */
export async function referTo(path: string): Promise<FileReference> {
  const parts: string[] = [];
  let bytes = 0;
  for await (const part of readParts(path)) {
    parts.push(createHash('sha256').update(part).digest('hex'));
    bytes += part.length;
  }
  return { bytes, parts };
}

/** The file's bytes in parts of the same length, the last one shorter; every part is overwritten by the next. */
export async function* readParts(path: string): AsyncGenerator<Buffer> {
  const file = await open(path);
  try {
    const buffer = Buffer.allocUnsafe(FILE_PART_BYTES);
    for (;;) {
      const byteCount = await fill(buffer, (from) => file.read(buffer, from, buffer.length - from));
      if (byteCount > 0) yield buffer.subarray(0, byteCount);
      if (byteCount < buffer.length) return;
    }
  } finally {
    await file.close();
  }
}

/** Reads until the buffer is full or the file at its end: a single read may give less. */
async function fill(buffer: Buffer, read: (from: number) => Promise<{ readonly bytesRead: number }>): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await read(filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
