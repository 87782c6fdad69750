/** Thrown into a script whose iteration was interrupted, so that it ends instead of going on unseen. Nobody's mistake: never counted. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor() {
    super('the iteration is over');
  }
}
