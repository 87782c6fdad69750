/** What a head says beside its fields of rarer kinds. */
export interface PlainHead {
  status: number;
  isVersion11: boolean;
  contentLength: number;
  isChunked: boolean;
  saysClose: boolean;
  saysKeepAlive: boolean;
}

/** After so many heads in a row, each another one than the one before, as many as `REST` are not remembered: some servers give every answer
 *  an id. */
const MISSES_MAX = 16;
const REST = 1_000;

/** The head that a request was answered with last, and what was read from it. Servers answer the same request with the same bytes but for
 *  the second of their date, and to compare four bytes at a time takes a fraction of the time of reading them (`test/bench/head-memo.ts`).
 *  Law: what is read with a memo is what is read without. */
export class HeadMemo implements PlainHead {
  status = 0;
  isVersion11 = false;
  contentLength = -1;
  isChunked = false;
  saysClose = false;
  saysKeepAlive = false;
  /** As latin1 text; empty until somebody keeps heads. */
  text = '';
  /** Bytes of the head, its empty line included; 0 while there is none. */
  length = 0;
  private bytes = NO_BYTES;
  private words = wholeWords(NO_BYTES);
  private misses = 0;
  private resting = 0;
  /** Nothing is kept of the first: a URL that a script made up may never be asked for again. */
  private isAskedAgain = false;

  /** Whether the remembered head stands at `from`, whole. */
  matches(buffer: Buffer, from: number, to: number): boolean {
    const { bytes, words, length } = this;
    if (length === 0 || to - from < length) return false;
    let same = 0;
    const coming = from === 0 ? wordsOf(buffer) : undefined;
    if (coming !== undefined) {
      const whole = length >> 2;
      for (let i = 0; i < whole; i++) if (coming[i] !== words[i]) return false;
      same = whole << 2;
    }
    for (let i = same; i < length; i++) if (buffer[from + i] !== bytes[i]) return false;
    this.misses = 0;
    return true;
  }

  /** Remembers the head in `[from, to)` instead of the last one, from the second on. */
  keep(buffer: Buffer, from: number, to: number, head: PlainHead): void {
    if (!this.isAskedAgain) {
      this.isAskedAgain = true;
      return;
    }
    if (this.resting > 0) {
      this.resting--;
      return;
    }
    this.length = to - from;
    this.text = '';
    if (++this.misses > MISSES_MAX) {
      this.misses = 0;
      this.resting = REST;
      this.length = 0;
      return;
    }
    if (this.bytes.length < this.length) {
      this.bytes = Buffer.allocUnsafeSlow(this.length);
      this.words = wholeWords(this.bytes);
    }
    buffer.copy(this.bytes, 0, from, to);
    copyHead(head, this);
  }
}

/** Makes `to` say what `from` says. */
export function copyHead(from: PlainHead, to: PlainHead): void {
  to.status = from.status;
  to.isVersion11 = from.isVersion11;
  to.contentLength = from.contentLength;
  to.isChunked = from.isChunked;
  to.saysClose = from.saysClose;
  to.saysKeepAlive = from.saysKeepAlive;
}

const NO_BYTES = Buffer.alloc(0);

let lastBuffer: Buffer = NO_BYTES;
let lastWords: Int32Array | undefined;

/** The bytes of a buffer by fours; `undefined` where they do not lie so. An agent reads into one buffer, so the last one's are kept, and
 *  nothing is made for one that was not asked about just before. */
function wordsOf(buffer: Buffer): Int32Array | undefined {
  if (buffer === lastBuffer) return (lastWords ??= buffer.byteOffset % 4 === 0 ? wholeWords(buffer) : undefined);
  lastBuffer = buffer;
  lastWords = undefined;
  return undefined;
}

function wholeWords({ buffer, byteOffset, length }: Buffer): Int32Array {
  return new Int32Array(buffer, byteOffset, length >> 2);
}
