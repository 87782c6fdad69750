/** A request body: bytes in memory, or pieces that are read while they are sent. Both know their `length` in bytes. */
export type RequestBody = Buffer | StreamedBody;

/** A file of this machine, open for reading for as long as requests send it. */
export interface StoredFile {
  readonly descriptor: number;
  readonly length: number;
}

/** A body too large to be held: text and files in order. Any number of requests may send it at once. */
export class StreamedBody {
  readonly pieces: readonly (Buffer | StoredFile)[];
  readonly length: number;

  constructor(pieces: readonly (Buffer | StoredFile)[]) {
    this.pieces = pieces;
    this.length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }
}
