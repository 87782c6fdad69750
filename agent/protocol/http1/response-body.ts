/** The decoded body of one response: always counted, kept only when somebody will look at it. */
export class ResponseBody {
  byteCount = 0;

  private readonly bytesMax: number;
  private isKept = false;
  private kept: Buffer | undefined;

  /** A kept body may not pass `bytesMax`; one that is only counted may be of any length. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  begin(isKept: boolean): void {
    this.byteCount = 0;
    this.isKept = isKept;
    this.kept = undefined;
  }

  /** Whether a body of this length may be taken. */
  hasRoomFor(byteCount: number): boolean {
    return !this.isKept || byteCount <= this.bytesMax;
  }

  /** Takes `[from, to)`, copying it when kept because the read buffer is shared. False when the limit would be passed. */
  take(buffer: Buffer, from: number, to: number): boolean {
    const before = this.byteCount;
    const after = before + to - from;
    if (this.isKept) {
      if (after > this.bytesMax) return false;
      this.kept = withRoom(this.kept, before, after);
      buffer.copy(this.kept, before, from, to);
    }
    this.byteCount = after;
    return true;
  }

  /** The kept bytes; `undefined` when the body was only counted. */
  result(): Buffer | undefined {
    if (!this.isKept) return undefined;
    const { kept, byteCount } = this;
    if (kept === undefined) return Buffer.alloc(0);
    return kept.length === byteCount ? kept : kept.subarray(0, byteCount);
  }
}

/** The first slice gets exactly its length, for most bodies arrive in one; later ones double, so that a body that
 *  arrives byte by byte costs neither a quadratic copy nor an object per byte. */
function withRoom(kept: Buffer | undefined, byteCount: number, bytesNeeded: number): Buffer {
  if (kept === undefined) return Buffer.allocUnsafe(bytesNeeded);
  if (kept.length >= bytesNeeded) return kept;
  const grown = Buffer.allocUnsafe(Math.max(bytesNeeded, kept.length * 2));
  kept.copy(grown, 0, 0, byteCount);
  return grown;
}
