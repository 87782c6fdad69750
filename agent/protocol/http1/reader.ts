import type { RequestError } from '../../../shared/stats/index.ts';
import { ChunkLineReader } from './chunk-line-reader.ts';
import type { HeadMemo } from './head-memo.ts';
import { HeadReader } from './head-reader.ts';
import { ResponseBody } from './response-body.ts';
import { CR, LF } from './syntax.ts';

export interface ResponseLimits {
  /** Status line and header fields, and again the trailer fields. */
  readonly headBytesMax: number;
  /** A body that is kept. */
  readonly bodyBytesMax: number;
}

/** Informational responses before the final one; one more is illegal. */
const INFORMATIONAL_MAX = 100;

/** Reads the response to one request from slices cut at any point. Pure: no sockets, no clock. */
export class ResponseReader {
  readonly head: HeadReader;
  readonly body: ResponseBody;
  /** `protocol` or `body-too-large` after an illegal message, `connect-reset` after an end that came too early. */
  error: RequestError | undefined = undefined;

  private readonly chunkLine = new ChunkLineReader();
  private phase = DONE;
  private isHeadRequest = false;
  private isHeadKept = false;
  private informationalCount = 0;
  private hasHead = false;
  /** Body bytes still to come, of the whole message or of the chunk in hand. */
  private remaining = 0;

  constructor(limits: ResponseLimits) {
    this.head = new HeadReader(limits.headBytesMax);
    this.body = new ResponseBody(limits.bodyBytesMax);
  }

  /** Awaits the response to a new request. `headMemo`: what such requests were answered with before. */
  begin(isHeadRequest: boolean, keepHead: boolean, keepBody: boolean, headMemo?: HeadMemo): void {
    this.error = undefined;
    this.phase = HEAD;
    this.isHeadRequest = isHeadRequest;
    this.isHeadKept = keepHead;
    this.informationalCount = 0;
    this.hasHead = false;
    this.head.begin(keepHead, headMemo);
    this.body.begin(keepBody);
  }

  get isDone(): boolean {
    return this.phase === DONE;
  }

  /** Of the final response; 0 before its head is complete. */
  get status(): number {
    return this.hasHead ? this.head.status : 0;
  }

  /** Whether another request may follow on the connection, as far as this response says. Meaningful once done. */
  get isReusable(): boolean {
    const { head } = this;
    if (head.saysClose || this.isEndedByClose) return false;
    // Both framings at once, or chunks from a version that had none, smell of a peer that disagrees with itself about the end.
    if (head.isChunked && (head.contentLength !== -1 || !head.isVersion11)) return false;
    return head.isVersion11 || head.saysKeepAlive;
  }

  /** Reads `[from, to)`, and returns the position behind what belongs to this response. With an error, that position means nothing. */
  read(buffer: Buffer, from: number, to: number): number {
    let at = from;
    while (at < to && this.phase < DONE) {
      switch (this.phase) {
        case HEAD:
          at = this.head.read(buffer, at, to);
          if (this.head.isComplete) this.takeHead();
          else if (this.head.isIllegal) this.fail('protocol');
          break;
        case LENGTH: {
          const end = Math.min(to, at + this.remaining);
          this.remaining -= end - at;
          if (!this.body.take(buffer, at, end)) this.fail('body-too-large');
          else if (this.remaining === 0) this.phase = DONE;
          at = end;
          break;
        }
        case UNTIL_CLOSE:
          if (!this.body.take(buffer, at, to)) this.fail('body-too-large');
          at = to;
          break;
        case CHUNK_LINE:
          at = this.chunkLine.read(buffer, at, to);
          if (this.chunkLine.isComplete) this.takeChunkLine();
          else if (this.chunkLine.isIllegal) this.fail('protocol');
          break;
        case CHUNK_DATA: {
          const end = Math.min(to, at + this.remaining);
          this.remaining -= end - at;
          if (!this.body.take(buffer, at, end)) this.fail('body-too-large');
          else if (this.remaining === 0) this.phase = CHUNK_DATA_CR;
          at = end;
          break;
        }
        case CHUNK_DATA_CR:
          if (buffer[at++] === CR) this.phase = CHUNK_DATA_LF;
          else this.fail('protocol');
          break;
        case CHUNK_DATA_LF:
          if (buffer[at++] === LF) this.beginChunk();
          else this.fail('protocol');
          break;
        case TRAILER:
          at = this.head.read(buffer, at, to);
          if (this.head.isComplete) this.phase = DONE;
          else if (this.head.isIllegal) this.fail('protocol');
          break;
      }
    }
    return at;
  }

  /** The peer will send no more: the end of some bodies, too early for every other message. */
  end(): void {
    if (this.phase === UNTIL_CLOSE) this.phase = DONE;
    else if (this.phase < DONE) this.fail('connect-reset');
  }

  private get isEndedByClose(): boolean {
    return !this.isBodiless && !this.head.isChunked && this.head.contentLength === -1;
  }

  private get isBodiless(): boolean {
    const { status } = this.head;
    return this.isHeadRequest || status === 204 || status === 304;
  }

  private takeHead(): void {
    const { head } = this;
    if (head.status < 200) {
      this.takeInformational();
      return;
    }
    this.hasHead = true;
    if (this.isBodiless) this.phase = DONE;
    else if (head.isChunked) this.beginChunk();
    else if (head.contentLength === 0) this.phase = DONE;
    else if (head.contentLength === -1) this.phase = UNTIL_CLOSE;
    else if (!this.body.hasRoomFor(head.contentLength)) this.fail('body-too-large');
    else {
      this.remaining = head.contentLength;
      this.phase = LENGTH;
    }
  }

  /** We never ask to switch protocols, so a 101 answers a question that was not put. */
  private takeInformational(): void {
    this.informationalCount++;
    if (this.head.status === 101 || this.informationalCount > INFORMATIONAL_MAX) {
      this.fail('protocol');
      return;
    }
    this.head.begin(this.isHeadKept);
  }

  private beginChunk(): void {
    this.chunkLine.begin();
    this.phase = CHUNK_LINE;
  }

  private takeChunkLine(): void {
    this.remaining = this.chunkLine.size;
    if (this.remaining > 0) {
      if (this.body.hasRoomFor(this.body.byteCount + this.remaining)) this.phase = CHUNK_DATA;
      else this.fail('body-too-large');
      return;
    }
    this.head.beginTrailer();
    this.phase = TRAILER;
  }

  private fail(error: RequestError): void {
    this.error = error;
    this.phase = FAILED;
  }
}

const HEAD = 0;
const LENGTH = 1;
const UNTIL_CLOSE = 2;
const CHUNK_LINE = 3;
const CHUNK_DATA = 4;
const CHUNK_DATA_CR = 5;
const CHUNK_DATA_LF = 6;
const TRAILER = 7;
/** Phases from here on are final. */
const DONE = 8;
const FAILED = 9;
