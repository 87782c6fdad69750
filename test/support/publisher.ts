import type { Publish, SealedInterval } from '../../agent/outbox.ts';

/** One attempt to store a batch, which the test ends as it likes. */
export interface Attempt {
  readonly sequence: number;
  readonly sealed: SealedInterval;
  /** The server has it and says so. */
  acknowledge(): void;
  /** The server has it, but its word is lost on the way. */
  loseAcknowledgement(): void;
  /** The server never got it. */
  fail(): void;
}

/** A results plane in the hands of a test: it stores nothing and answers nothing until told to. */
export class ManualPublisher {
  /** Attempts without an end yet, oldest first. */
  readonly pending: Attempt[] = [];
  /** Every attempt ever made, in order. */
  readonly attempts: { readonly sequence: number; readonly sealed: SealedInterval }[] = [];
  /** What the server holds, by sequence. A repeat is recognised and not stored twice. */
  readonly stored = new Map<number, SealedInterval>();

  readonly publish: Publish = (sequence, sealed) =>
    new Promise<void>((resolve, reject) => {
      this.attempts.push({ sequence, sealed });
      const end = (isStored: boolean, isTold: boolean): void => {
        this.pending.splice(this.pending.indexOf(attempt), 1);
        if (isStored && !this.stored.has(sequence)) this.stored.set(sequence, sealed);
        if (isTold) resolve();
        else reject(new Error('no answer from the server'));
      };
      const attempt: Attempt = {
        sequence,
        sealed,
        acknowledge: () => end(true, true),
        loseAcknowledgement: () => end(true, false),
        fail: () => end(false, false),
      };
      this.pending.push(attempt);
    });

  acknowledgeAll(): void {
    for (const attempt of [...this.pending]) attempt.acknowledge();
  }
}
