/** Indices `[0, limit)` of which each agent has its own: index n is `owners[n mod length]`'s, so no agent has to ask and the piles of all
 *  together hold every index once. */
export class Pile {
  private readonly own: readonly number[];
  private readonly slots: number;
  private readonly limit: number;
  private taken = 0;

  constructor(owners: readonly string[], agent: string, limit: number) {
    this.own = owners.flatMap((owner, slot) => (owner === agent ? [slot] : []));
    this.slots = owners.length;
    this.limit = limit;
  }

  /** The next index, ascending; -1 when nothing is left. */
  take(): number {
    const index = this.next;
    if (index >= 0) this.taken++;
    return index;
  }

  get isUsedUp(): boolean {
    return this.next < 0;
  }

  private get next(): number {
    const { own, slots, taken, limit } = this;
    const slot = own[taken % own.length];
    const index = slot === undefined ? -1 : Math.floor(taken / own.length) * slots + slot;
    return index < limit ? index : -1;
  }
}
