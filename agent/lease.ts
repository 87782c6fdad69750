/** How long an agent may fire on what was heard of it, microseconds. The coordinator sets the terms so that a lease is over before the
 *  agent's stripes can be anybody else's. */
export interface LeaseTerms {
  readonly lengthUs: number;
  /** A stored batch prolongs the lease when that is known this soon after the one before was sent. */
  readonly chainUs: number;
}

/** An agent's right to fire. It is counted from the instant at which the agent said what somebody of the coordinator's side then proved
 *  to have heard, so it is over, on the agent's own clock, before the coordinator's patience is.
 *  Law: a lease that is over comes to life again only by the coordinator's own word, which comes behind every epoch that the agent has
 *  missed. Without that an agent that was cut off could fire what had been given away meanwhile. */
export class Lease {
  private readonly terms: LeaseTerms | undefined;
  private heardUs = -Infinity;
  private endsUs: number;
  private isGivenUp = false;

  /** Without terms it holds for ever. */
  constructor(terms: LeaseTerms | undefined) {
    this.terms = terms;
    this.endsUs = terms === undefined ? Infinity : -Infinity;
  }

  holds(nowUs: number): boolean {
    return nowUs < this.endsUs && !this.isGivenUp;
  }

  /** From now on it never holds: this agent leaves. */
  giveUp(): void {
    this.isGivenUp = true;
  }

  /** The coordinator has heard what was said at `saidUs` (agent clock). */
  heard(saidUs: number): void {
    if (this.terms === undefined || saidUs <= this.heardUs) return;
    this.heardUs = saidUs;
    this.endsUs = saidUs + this.terms.lengthUs;
  }

  /** The results plane has stored what was said at `saidUs`, and says so at `nowUs`. Only while it does that one after the other, without
   *  a gap, can the coordinator not have given the agent up meanwhile. */
  stored(saidUs: number, nowUs: number): void {
    if (this.terms !== undefined && this.holds(nowUs) && nowUs <= this.heardUs + this.terms.chainUs) this.heard(saidUs);
  }
}
