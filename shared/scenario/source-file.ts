import { open } from 'node:fs/promises';
import { reasonOf } from '../base/index.ts';

/** The text of a file of at most `bytesMax` bytes, or one sentence that says why there is none. */
export async function readTextFile(file: string, bytesMax: number): Promise<{ readonly text: string } | { readonly problem: string }> {
  let bytes: Buffer;
  try {
    const handle = await open(file, 'r');
    try {
      const stat = await handle.stat();
      if (stat.isDirectory()) return { problem: 'this is a directory, expected a file' };
      // A pipe or a device may never end.
      if (!stat.isFile()) return { problem: 'this is not a regular file' };
      if (stat.size > bytesMax) return { problem: `the file has ${String(stat.size)} bytes, at most ${String(bytesMax)} are read` };
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    return { problem: whyUnreadable(thrown) };
  }
  return decode(bytes);
}

function decode(bytes: Buffer): { readonly text: string } | { readonly problem: string } {
  if (bytes.includes(0)) return { problem: 'this is a binary file, expected text' };
  try {
    // A byte order mark is dropped by the decoder.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.trim() === '' ? { problem: 'the file is empty' } : { text };
  } catch {
    // The decoder throws for one reason only: the bytes are no UTF-8.
    return { problem: 'this is not UTF-8 text' };
  }
}

function whyUnreadable(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'the file may not be read';
  return `the file cannot be read: ${reasonOf(thrown)}`;
}
