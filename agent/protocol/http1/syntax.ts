/** Bytes that HTTP/1.1 gives a meaning to. */
export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const BACKSLASH = 0x5c;
const DELETE = 0x7f;

/** Tables of 256 flags, for a look-up costs half of what two comparisons and their branches do in the loops below. */
const TOKEN_BYTES = flagsOf((byte) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte)));
const VALUE_BYTES = flagsOf((byte) => (byte >= SPACE ? byte !== DELETE : byte === HTAB));

/** A character of a `token` (RFC 9110, 5.6.2). */
export function isTokenByte(byte: number): boolean {
  return TOKEN_BYTES[byte] === 1;
}

/** Visible characters, blanks and the bytes above ASCII: what a field value may hold (RFC 9110, 5.5). */
export function isValueByte(byte: number): boolean {
  return VALUE_BYTES[byte] === 1;
}

/** First position from `from` on that holds no token byte, or `to`. */
export function tokenEnd(buffer: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && TOKEN_BYTES[buffer[at] ?? 0] === 1) at++;
  return at;
}

/** First position from `from` on that may not stand in a field value, or `to`. */
export function valueEnd(buffer: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && VALUE_BYTES[buffer[at] ?? 0] === 1) at++;
  return at;
}

/** First CR or LF from `from` on, or `to`. */
export function lineEnd(buffer: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && buffer[at] !== CR && buffer[at] !== LF) at++;
  return at;
}

/** Whether `word` stands at `from`, in any case. `word` is lower-case letters, digits and hyphens only, and the bytes compared are known
 *  to be printable: setting bit 5 folds the case of letters, but would also mistake a CR for a hyphen. */
export function isWord(buffer: Buffer, from: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (((buffer[from + i] ?? 0) | 0x20) !== word[i]) return false;
  return true;
}

/** Words are compared as bytes, which is a little cheaper than as the characters of a string. */
export function wordOf(lowerCase: string): Uint8Array {
  return Uint8Array.from(Buffer.from(lowerCase, 'latin1'));
}

function flagsOf(isSet: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (isSet(byte) ? 1 : 0));
}
