/** From when on the silence of others counts. Whoever stood still itself was deaf meanwhile, and what was said waits to be read: then nobody's
 *  silence counts from before it looks again. */
export class Patience {
  /** Nobody's silence counts from before this instant, microseconds on our clock. */
  fromUs: number;
  private lookedUs: number;
  private readonly stallUs: number;

  /** Looks further apart than `stallUs` mean that we stood still. */
  constructor(nowUs: number, stallUs: number, fromUs = -Infinity) {
    this.lookedUs = nowUs;
    this.stallUs = stallUs;
    this.fromUs = fromUs;
  }

  /** To be called at every look at who is silent, before it. */
  look(nowUs: number): void {
    if (nowUs - this.lookedUs > this.stallUs) this.fromUs = nowUs;
    this.lookedUs = nowUs;
  }
}
