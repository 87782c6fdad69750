import type { Clock } from '../shared/base/index.ts';
import { endUs, handOverOwners, planEndUs, spreadOwners, type Plan } from '../shared/plan/index.ts';
import type { Batch } from '../shared/stats/index.ts';
import type { ResultsPlane } from '../shared/wire/index.ts';
import type { EpochLog } from './epoch-log.ts';
import type { Agent, Fleet } from './fleet.ts';
import { earliestUs, EPOCH_MARGIN_US, lossTerms, type LossTerms } from './loss-terms.ts';
import type { Participant, Participants } from './participants.ts';
import { Patience } from './patience.ts';
import type { LossPolicy } from './submission.ts';

export interface MembershipContext {
  readonly runId: string;
  readonly plan: Plan;
  readonly policy: LossPolicy;
  /** Agents fire on a lease; without one they fire to the end of the plan, heard or not. */
  readonly isLeased: boolean;
  readonly fleet: Fleet;
  readonly plane: Pick<ResultsPlane, 'lastBatchSequence'>;
  readonly participants: Participants;
  readonly epochs: EpochLog;
  readonly clock: Clock;
  /** The run's zero on our clock. */
  readonly zeroUs: number;
  /** Every batch up to this place in the stream is known already. */
  readonly fromSequence: number;
  /** Run-relative instant at which nothing more is planned because the run is stopped; `Infinity` while it is not. */
  readonly cutUs: () => number;
  /** True when its last batch is in: whatever becomes of it now, nothing is missing. */
  readonly hasDelivered: (agent: Agent) => boolean;
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

/** Looks this far apart, several a second are due, are a stall of our own. */
const OWN_STALL_US = 1_000_000;

/** Who takes part in a run while it makes load. An agent of which neither plane hears is lost; under `rebalance` the others get its share
 *  by a new epoch, and it gets a share again when it comes back.
 *
 *  Law: no epoch gives an agent's share away before the agent's lease is over. So it must be known that nothing of it was heard on the
 *  control plane, and that the results plane has nothing of it either: it is asked, and while it cannot answer nobody is lost. */
export class Membership {
  private readonly context: MembershipContext;
  private readonly terms: LossTerms;
  private readonly patience: Patience;
  /** The newest batch that was handed to us, by its place in the stream. */
  private consumedSequence: number;
  private readonly asking = new Map<string, Promise<void>>();

  constructor(context: MembershipContext) {
    this.context = context;
    this.terms = lossTerms(context.plan);
    const nowUs = context.clock.nowUs();
    this.patience = new Patience(nowUs, OWN_STALL_US, Math.max(context.zeroUs, nowUs));
    this.consumedSequence = context.fromSequence;
  }

  /** A batch was consumed: it is the `sequence`-th message of the stream. One that is read again after a restart is old: no sign of life. */
  consumed({ key, intervalIndex, intervalCount }: Batch, sequence: number, isNew: boolean): void {
    this.consumedSequence = Math.max(this.consumedSequence, sequence);
    if (!isNew) return;
    const { participants, zeroUs, plan } = this.context;
    participants.heard(key.agent, zeroUs + (intervalIndex + intervalCount) * plan.intervalMs * 1_000);
  }

  /** To be called several times a second while the run makes load. */
  look(): void {
    const { clock, participants } = this.context;
    const nowUs = clock.nowUs();
    this.patience.look(nowUs);
    for (const part of participants.all) {
      if (part.isLost || !part.hasStarted) continue;
      if (this.isSilent(part, nowUs)) this.ask(part);
      else if (part.mayReturn) this.welcome(part);
    }
    this.shareOut(nowUs);
  }

  /** One that may fire and cannot be told anything now; the first, if there is one. What it says on the results plane keeps it alive, so it
   *  would go on by what it knows. */
  get unreachable(): Participant | undefined {
    const { participants, epochs, clock, hasDelivered } = this.context;
    const owning = new Set(epochs.owners);
    const quietFromUs = clock.nowUs() - this.terms.brokenUs;
    return participants.all.find(
      ({ agent, hasStarted, isLost, loadEnded, disconnected, controlSeenUs }) =>
        owning.has(agent.id) &&
        hasStarted &&
        !isLost &&
        !loadEnded &&
        !hasDelivered(agent) &&
        (disconnected !== undefined || controlSeenUs < quietFromUs),
    );
  }

  /** What is asked of the results plane is no longer waited for. */
  async close(): Promise<void> {
    await Promise.all(this.asking.values());
  }

  private isSilent(part: Participant, nowUs: number): boolean {
    const limitUs = part.disconnected === undefined ? this.terms.silentUs : this.terms.brokenUs;
    const isHeard = nowUs - Math.max(part.lastSeenUs, this.patience.fromUs, part.awaitedUntilUs) < limitUs;
    return !isHeard && part.finished === undefined && !this.context.hasDelivered(part.agent);
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

  /** At the end: whoever began and neither ended its load nor delivered a last batch is lost, if it was not before. */
  loseSilent(): void {
    for (const part of this.context.participants.all) {
      if (!part.hasStarted || part.loadEnded || part.isLost || this.context.hasDelivered(part.agent)) continue;
      Object.assign(part, { isLost: true, firedUntilUs: this.firedUntilUs(part) });
    }
  }

  private lose(part: Participant): void {
    const { zeroUs, tell } = this.context;
    const firedUntilUs = this.firedUntilUs(part);
    Object.assign(part, { isLost: true, wasLost: true, mayReturn: false, firedUntilUs });
    tell({
      kind: 'agent-lost',
      agent: part.agent.id,
      reason: part.disconnected ?? `silent for ${(this.terms.silentUs / 1_000_000).toFixed(1)} s`,
      lastSeenUs: part.lastSeenUs - zeroUs,
      firedUntilUs: firedUntilUs - zeroUs,
    });
  }

  /** A process that ended had fired until then. Of one that cannot be heard nobody knows: it may fire until its lease is over, and without
   *  one until the plan is. */
  private firedUntilUs({ hungUpUs, lastSeenUs }: Participant): number {
    const { isLeased, plan, zeroUs } = this.context;
    const leaseEndsUs = Math.max(zeroUs, lastSeenUs) + this.terms.lease.lengthUs;
    return hungUpUs ?? Math.min(zeroUs + planEndUs(plan), isLeased ? leaseEndsUs : Infinity);
  }

  /** It is there and knows every epoch: it may be given a share. */
  private welcome(part: Participant): void {
    if (part.disconnected !== undefined || part.epochs < this.context.epochs.all.length) return;
    part.mayReturn = false;
    this.context.tell({ kind: 'agent-joined', agent: part.agent.id, how: part.wasLost ? 'came-back' : 'late' });
  }

  /** One epoch for all who went and came since the last: those who own something and are lost, and those who could and own nothing. */
  private shareOut(nowUs: number): void {
    const { policy, epochs, participants, zeroUs } = this.context;
    if (policy !== 'rebalance') return;
    const owning = new Set(epochs.owners);
    const gone = participants.all.filter(({ agent, isLost }) => isLost && owning.has(agent.id));
    const here = participants.all.filter(
      ({ isLost, loadEnded, hasStarted, mayReturn }) => !isLost && !loadEnded && hasStarted && !mayReturn,
    );
    const canAllBeTold = this.unreachable === undefined;
    const hasComers = canAllBeTold && here.some(({ agent }) => !owning.has(agent.id));
    const takers = hasComers ? here : here.filter(({ agent }) => owning.has(agent.id));
    if (takers.length === 0 || (gone.length === 0 && !hasComers)) return;
    const heirs = takers.map(({ agent }) => ({ id: agent.id, weight: agent.capacity })).sort((a, b) => (a.id < b.id ? -1 : 1));
    const owners = hasComers ? spreadOwners(heirs) : handOverOwners(epochs.owners, heirs);
    // Something is taken from those who stay only while all of them hear of it: whoever delivers results may fire on without that.
    const takesFromStayers = !keepWhatTheyHave(new Set(heirs.map(({ id }) => id)), epochs.owners, owners);
    if (takesFromStayers && !canAllBeTold) return;
    // One that hears may cease to before the message comes: its lease must be over by then too.
    const givers = takesFromStayers ? participants.all : gone;
    const seenUs = Math.max(...givers.map(({ lastSeenUs }) => lastSeenUs));
    const atUs = Math.max(nowUs + EPOCH_MARGIN_US, earliestUs(this.terms, seenUs)) - zeroUs;
    if (atUs >= this.planEndsUs) return;
    epochs.append(atUs, { owners });
  }

  private get planEndsUs(): number {
    return Math.min(this.context.cutUs(), Math.max(...this.context.plan.scenarios.map(endUs)));
  }
}

/** Every slot of `before` that belongs to one of `ids` is still its own. */
function keepWhatTheyHave(ids: ReadonlySet<string>, before: readonly string[], after: readonly string[]): boolean {
  const isKept = (owner: string, slot: number): boolean => {
    const had = before[slot % before.length] ?? '';
    return had === owner || !ids.has(had);
  };
  return after.length % before.length === 0 && after.every(isKept);
}
