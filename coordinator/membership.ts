import type { Clock } from '../shared/base/index.ts';
import { endUs, handOverOwners, spreadOwners, type Plan } from '../shared/plan/index.ts';
import type { ResultsPlane } from '../shared/wire/index.ts';
import type { EpochLog } from './epoch-log.ts';
import type { Fleet } from './fleet.ts';
import { earliestUs, EPOCH_MARGIN_US, lossTerms, type LossTerms } from './loss-terms.ts';
import type { Participant, Participants } from './participants.ts';
import type { LossPolicy } from './submission.ts';

export interface MembershipContext {
  readonly runId: string;
  readonly plan: Plan;
  readonly policy: LossPolicy;
  readonly fleet: Fleet;
  readonly plane: Pick<ResultsPlane, 'lastBatchSequence'>;
  readonly participants: Participants;
  readonly epochs: EpochLog;
  /** Place in the stream up to which all batches are in. */
  readonly consumedSequence: number;
  readonly clock: Clock;
  /** The run's zero on our clock. */
  readonly zeroUs: number;
  /** Run-relative instant at which nothing more is planned because the run is stopped; `Infinity` while it is not. */
  readonly cutUs: () => number;
  /** True when its last batch is in: whatever becomes of it now, nothing is missing. */
  readonly hasDelivered: (agentId: string) => boolean;
  readonly tell: (change: MembershipChange) => void;
}

export type MembershipChange =
  | {
      readonly kind: 'agent-lost';
      readonly agent: string;
      readonly reason: string;
      /** Run-relative. */
      readonly lastSeenUs: number;
      /** Until when it may have fired. */
      readonly firedUntilUs: number;
    }
  | { readonly kind: 'agent-joined'; readonly agent: string; readonly how: 'came-back' | 'late' };

/** A look that comes this late means that we ourselves were deaf meanwhile: everybody is given time to be heard again. */
const OWN_STALL_US = 1_000_000;

/** Who takes part in a run while it makes load. An agent of which neither plane hears is lost; under `rebalance` the others get its share
 *  by a new epoch, and it gets a share again when it comes back.
 *
 *  Law: no epoch gives an agent's share away before the agent's lease is over. So it must be known that nothing of it was heard on the
 *  control plane, and that the results plane has nothing of it either: it is asked, and while it cannot answer nobody is lost. */
export class Membership {
  private readonly context: MembershipContext;
  private readonly terms: LossTerms;
  private lookedUs: number;
  /** Nobody's silence counts from before this instant. */
  private patientFromUs: number;
  /** The newest batch that was handed to us, by its place in the stream. */
  private consumedSequence: number;
  private readonly asking = new Map<string, Promise<void>>();
  /** Lost since the last epoch that names owners. */
  private readonly vacated = new Set<Participant>();
  private hasComers = false;

  constructor(context: MembershipContext) {
    this.context = context;
    this.terms = lossTerms(context.plan);
    this.lookedUs = context.clock.nowUs();
    this.patientFromUs = context.zeroUs;
    this.consumedSequence = context.consumedSequence;
    // An earlier coordinator may have died between a loss and the epoch that follows from it.
    for (const part of context.participants.all) if (part.isLost && context.epochs.owners.includes(part.agent.id)) this.vacated.add(part);
  }

  /** A batch was consumed: it is the `sequence`-th message of the stream. */
  consumed(agentId: string, sequence: number): void {
    this.consumedSequence = Math.max(this.consumedSequence, sequence);
    this.context.participants.heard(agentId);
  }

  /** A batch from before our time was consumed: it says nothing about who lives now. */
  caughtUp(sequence: number): void {
    this.consumedSequence = Math.max(this.consumedSequence, sequence);
  }

  /** To be called several times a second while the run makes load. */
  look(): void {
    const { clock, participants } = this.context;
    const nowUs = clock.nowUs();
    if (nowUs - this.lookedUs > OWN_STALL_US) this.patientFromUs = nowUs;
    this.lookedUs = nowUs;
    for (const part of participants.all) {
      if (part.isLost || !part.hasStarted) continue;
      if (this.isSilent(part, nowUs)) this.ask(part);
      else if (part.mayReturn) this.welcome(part);
    }
    this.shareOut(nowUs);
  }

  /** What is asked of the results plane is no longer waited for. */
  async close(): Promise<void> {
    await Promise.all(this.asking.values());
  }

  private isSilent(part: Participant, nowUs: number): boolean {
    const { participants, hasDelivered } = this.context;
    if (part.finished !== undefined || hasDelivered(part.agent.id) || participants.isAwaited(part)) return false;
    const limitUs = part.disconnected === undefined ? this.terms.silentUs : this.terms.brokenUs;
    return nowUs - Math.max(part.lastSeenUs, this.patientFromUs) >= limitUs;
  }

  private ask(part: Participant): void {
    const { id } = part.agent;
    if (this.asking.has(id)) return;
    const asked = this.confirm(part).finally(() => this.asking.delete(id));
    this.asking.set(id, asked);
  }

  private async confirm(part: Participant): Promise<void> {
    const { plane, runId, clock } = this.context;
    let stored: number;
    try {
      stored = await plane.lastBatchSequence(runId, part.agent.id);
    } catch {
      // Who cannot ask cannot judge: the agent may be heard there, and its lease with it.
      return;
    }
    // A batch that is stored and not consumed yet will be, in a moment.
    if (stored <= this.consumedSequence && !part.isLost && this.isSilent(part, clock.nowUs())) this.lose(part);
  }

  private lose(part: Participant): void {
    const { zeroUs, tell } = this.context;
    // A process that died had fired until its stream broke; of one that fell silent nobody knows, but its lease.
    const firedUntilUs = part.disconnected === undefined ? part.lastSeenUs + this.terms.lease.lengthUs : part.lastSeenUs;
    Object.assign(part, { isLost: true, wasLost: true, mayReturn: false, firedUntilUs });
    if (!part.loadEnded) this.vacated.add(part);
    tell({
      kind: 'agent-lost',
      agent: part.agent.id,
      reason: part.disconnected ?? `silent for ${(this.terms.silentUs / 1_000_000).toFixed(1)} s`,
      lastSeenUs: part.lastSeenUs - zeroUs,
      firedUntilUs: firedUntilUs - zeroUs,
    });
  }

  /** It is there and knows every epoch: it may be given a share. */
  private welcome(part: Participant): void {
    if (part.disconnected !== undefined || part.epochs < this.context.epochs.all.length) return;
    part.mayReturn = false;
    this.hasComers = true;
    this.context.tell({ kind: 'agent-joined', agent: part.agent.id, how: part.wasLost ? 'came-back' : 'late' });
  }

  /** One epoch for all who went and came since the last. */
  private shareOut(nowUs: number): void {
    const { policy, epochs, participants, zeroUs } = this.context;
    if (this.vacated.size === 0 && !this.hasComers) return;
    const heirs = participants.all
      .filter(({ isLost, loadEnded, hasStarted, mayReturn }) => !isLost && !loadEnded && hasStarted && !mayReturn)
      .map(({ agent }) => ({ id: agent.id, weight: agent.capacity }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    // Whoever comes is given something that agents have who may not hear of it: their leases must be over by then too.
    const givers = this.hasComers ? participants.all : [...this.vacated];
    const seenUs = Math.max(-Infinity, ...givers.map(({ lastSeenUs }) => lastSeenUs));
    const atUs = Math.max(nowUs + EPOCH_MARGIN_US, earliestUs(this.terms, seenUs)) - zeroUs;
    const owners = this.hasComers ? spreadOwners(heirs) : handOverOwners(epochs.owners, heirs);
    this.vacated.clear();
    this.hasComers = false;
    if (policy === 'rebalance' && heirs.length > 0 && atUs < this.planEndsUs && owners.join() !== epochs.owners.join())
      epochs.append(atUs, { owners });
  }

  private get planEndsUs(): number {
    return Math.min(this.context.cutUs(), Math.max(...this.context.plan.scenarios.map(endUs)));
  }
}
