import { BACKSLASH, CR, EQUALS, HTAB, isTokenByte, LF, QUOTE, SEMICOLON, isValueByte } from './syntax.ts';

/** A chunk's size and extensions; a longer line is illegal. The same bound as Node's. */
const CHUNK_LINE_BYTES_MAX = 16 * 1024;

/** Reads the line before a chunk, `SIZE[;name[=value]]… CR LF`, from slices cut at any point. As strict as llhttp: no blanks at all. */
export class ChunkLineReader {
  size = 0;

  private state = SIZE_START;
  private byteCount = 0;

  get isComplete(): boolean {
    return this.state === COMPLETE;
  }

  get isIllegal(): boolean {
    return this.state === ILLEGAL;
  }

  begin(): void {
    this.size = 0;
    this.state = SIZE_START;
    this.byteCount = 0;
  }

  /** Reads on, and returns the position behind what was read: behind the line when complete. */
  read(buffer: Buffer, from: number, to: number): number {
    let at = from;
    while (at < to && this.state < COMPLETE) this.state = this.next(buffer[at++] ?? 0);
    this.byteCount += at - from;
    if (this.byteCount > CHUNK_LINE_BYTES_MAX) this.state = ILLEGAL;
    return at;
  }

  private next(byte: number): number {
    switch (this.state) {
      case SIZE_START:
      case SIZE: {
        const digit = hexDigit(byte);
        if (digit === -1) return this.state === SIZE ? afterPart(byte) : ILLEGAL;
        this.size = this.size * 16 + digit;
        return this.size > Number.MAX_SAFE_INTEGER ? ILLEGAL : SIZE;
      }
      case NAME_START:
        return isTokenByte(byte) ? NAME : ILLEGAL;
      case NAME:
        if (isTokenByte(byte)) return NAME;
        return byte === EQUALS ? VALUE_START : afterPart(byte);
      case VALUE_START:
        if (byte === QUOTE) return QUOTED;
        return isTokenByte(byte) ? VALUE : ILLEGAL;
      case VALUE:
        return isTokenByte(byte) ? VALUE : afterPart(byte);
      case QUOTED:
        if (byte === QUOTE) return QUOTED_END;
        if (byte === BACKSLASH) return QUOTED_PAIR;
        return isValueByte(byte) ? QUOTED : ILLEGAL;
      case QUOTED_PAIR:
        return isValueByte(byte) || byte === HTAB ? QUOTED : ILLEGAL;
      case QUOTED_END:
        return afterPart(byte);
      default:
        return byte === LF ? COMPLETE : ILLEGAL;
    }
  }
}

const SIZE_START = 0;
const SIZE = 1;
const NAME_START = 2;
const NAME = 3;
const VALUE_START = 4;
const VALUE = 5;
const QUOTED = 6;
const QUOTED_PAIR = 7;
const QUOTED_END = 8;
const LINE_FEED = 9;
/** States from here on are final. */
const COMPLETE = 10;
const ILLEGAL = 11;

function afterPart(byte: number): number {
  if (byte === CR) return LINE_FEED;
  return byte === SEMICOLON ? NAME_START : ILLEGAL;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
