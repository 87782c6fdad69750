import { ResponseReader, type ResponseLimits } from './reader.ts';

/** Readers for as many responses as are coming in at once. Most responses come in one piece, so that one reader, which stays in the
 *  processor's cache, reads them all, whatever the number of connections. */
export class ReaderPool {
  private readonly limits: ResponseLimits;
  /** The one that is taken first, apart because it is nearly always the only one that is free. */
  private first: ResponseReader | undefined = undefined;
  private readonly others: ResponseReader[] = [];

  constructor(limits: ResponseLimits) {
    this.limits = limits;
  }

  /** The caller begins with it, and gives it back. */
  take(): ResponseReader {
    const { first } = this;
    if (first === undefined) return this.others.pop() ?? new ResponseReader(this.limits);
    this.first = undefined;
    return first;
  }

  giveBack(reader: ResponseReader): void {
    // The body that it kept may be large, and it may be long until it is taken again.
    reader.body.begin(false);
    if (this.first === undefined) this.first = reader;
    else this.others.push(reader);
  }
}
