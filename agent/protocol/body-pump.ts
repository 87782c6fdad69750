import { read } from 'node:fs';
import type { StreamedBody } from './body.ts';

/** Takes a piece and says when it is gone; the bytes are overwritten then. */
type Sink = (bytes: Buffer, taken: () => void) => void;

/** Bytes read at once: what an upload under way holds in memory, whatever its length. */
const PIECE_BYTES = 64 * 1024;

/** Sends one streamed body, the next piece when the last was taken: the peer's pace is the pace of reading. */
export class BodyPump {
  /** Bytes taken so far. */
  sentBytes = 0;
  isDone = false;

  private readonly body: StreamedBody;
  private readonly sink: Sink;
  private readonly onEnd: (isWhole: boolean) => void;
  private readonly buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  private piece = 0;
  /** Within the piece. */
  private position = 0;
  private isStopped = false;

  /** `onEnd` is called once, unless it is stopped first: with false when a file could not be read to its end. */
  constructor(body: StreamedBody, sink: Sink, onEnd: (isWhole: boolean) => void) {
    this.body = body;
    this.sink = sink;
    this.onEnd = onEnd;
  }

  start(): void {
    this.next();
  }

  stop(): void {
    this.isStopped = true;
  }

  private next(): void {
    if (this.isStopped) return;
    const piece = this.body.pieces[this.piece];
    if (piece === undefined) {
      this.isDone = true;
      this.onEnd(true);
      return;
    }
    const left = piece.length - this.position;
    if (left <= 0) {
      this.piece++;
      this.position = 0;
      this.next();
    } else if (Buffer.isBuffer(piece)) {
      this.give(piece.subarray(this.position));
    } else {
      read(piece.descriptor, this.buffer, 0, Math.min(left, PIECE_BYTES), this.position, (error, byteCount) => {
        if (this.isStopped) return;
        if (error === null && byteCount > 0) this.give(this.buffer.subarray(0, byteCount));
        else this.onEnd(false);
      });
    }
  }

  private give(bytes: Buffer): void {
    this.position += bytes.length;
    this.sink(bytes, () => {
      if (this.isStopped) return;
      this.sentBytes += bytes.length;
      this.next();
    });
  }
}
