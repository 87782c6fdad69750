import { endUs, vusOwnedIn, type Epoch } from '../../shared/plan/index.ts';
import type { ScenarioLedger } from '../../shared/stats/index.ts';
import type { Actor } from '../flow/actor.ts';
import { arrivalShare, correct, type ArrivalShare, type OpenScenario } from './arrival-share.ts';
import type { Executor, ExecutorContext } from './executor.ts';
import { Tally } from './tally.ts';
import { WaitingLine } from './waiting-line.ts';

/** Arrivals that may wait for a VU on one agent; an arrival beyond is dropped and counted. 16 bytes each. */
const WAITING_MAX = 1_000_000;
/** Spans of indices that were forfeited and are remembered; past it the oldest is taken for begun, and the books will not balance. */
const FORFEITED_MAX = 1_000;

/** constant-arrival-rate and ramping-arrival-rate: arrivals come at the plan's instants whether or not earlier ones have been answered.
 *  An arrival without a free VU waits and keeps its intended instant, so the wait shows in its response time. What falls due while the
 *  agent holds its fire is forfeited: counted, and never begun late, for it may be somebody else's by then. */
export class ArrivalRate implements Executor {
  readonly scenario: string;
  private readonly planned: OpenScenario;
  private readonly context: ExecutorContext;
  private share: ArrivalShare;
  private readonly tally = new Tally();
  private readonly waiting = new WaitingLine(WAITING_MAX);
  /** Every index of the share before this one has been taken: begun, put in the line, dropped or forfeited. */
  private takenBefore = 0;
  private readonly forfeited: { readonly from: number; to: number }[] = [];
  private isForfeiting = false;
  astray = 0;
  private firedUntilUs = 0;
  /** The epoch in force, by its place in the share's. */
  private epoch = 0;
  /** By the number of a VU. */
  private isOwned = new Uint8Array(0);
  /** Owned VUs that have not been needed yet, lowest number last. */
  private unused: number[] = [];
  /** Free actors; the last one used is used again first, so few connections carry a light load. The `fresh` first ones were never used. */
  private free: Actor[] = [];
  private fresh = 0;
  private actors: Actor[] = [];
  /** Their VUs are another agent's now; closed with the next turn, for the end of an iteration is no place to close its connection. */
  private retiring: Actor[] = [];
  /** When each VU's iteration under way started, by the VU's number; 0 while it is free. */
  private startedAtUs = new Float64Array(0);
  /** When it was to start. */
  private intendedAtUs = new Float64Array(0);
  private busyCount = 0;
  private seenUs = -Infinity;
  private cutUs = Infinity;
  private graceEndsUs: number;
  private isOver = false;

  constructor(scenario: OpenScenario, context: ExecutorContext) {
    const { plan, epochs, agentId } = context;
    this.scenario = scenario.name;
    this.planned = scenario;
    this.context = context;
    this.share = arrivalShare(scenario, epochs, plan.seed, agentId);
    this.graceEndsUs = endUs(scenario) + scenario.gracefulStopUs;
    this.makeRoom();
    this.takeOverVus();
    const { preAllocatedVus, maxVus } = scenario.load;
    const ready = Math.min(this.unused.length, Math.ceil((preAllocatedVus * this.unused.length) / maxVus));
    for (let i = 0; i < ready; i++) this.free.push(this.create(this.unused.pop() ?? 0));
    this.fresh = ready;
  }

  get dueUs(): number {
    if (this.isOver) return Infinity;
    const { stripe, epochs } = this.share;
    const arrivalUs = stripe.instantUs < this.cutUs ? stripe.instantUs : Infinity;
    const epochUs = epochs[this.epoch + 1]?.fromUs ?? Infinity;
    const lastUs = this.seenUs < this.lastUs ? this.lastUs : Infinity;
    // Only while something is left to interrupt or drop does the end of the grace matter.
    const graceUs = this.busyCount + this.waiting.length > 0 ? this.graceEndsUs : Infinity;
    return Math.min(arrivalUs, epochUs, lastUs, graceUs);
  }

  get isDone(): boolean {
    return this.busyCount === 0 && this.waiting.length === 0 && (this.isOver || this.seenUs >= this.lastUs);
  }

  get activeVus(): number {
    return this.busyCount;
  }

  /** An arrival takes a VU that has not been used yet only when no answer that is already here could free one: after a stall of some
   *  milliseconds the answers wait together with the arrivals. Opening a connection for each of those costs as much as the time until the
   *  next arrival at some thousand a second, so the backlog would feed itself until all VUs are in use. */
  turn(nowUs: number, isLast: boolean): void {
    this.seenUs = nowUs;
    if (this.retiring.length > 0) this.closeRetiring();
    if (this.isNextEpochDue(nowUs)) this.enterEpoch(nowUs);
    const { stripe } = this.share;
    const mayBegin = this.context.mayBegin(nowUs);
    if (mayBegin) this.isForfeiting = false;
    while (stripe.instantUs <= nowUs && stripe.instantUs < this.cutUs && !this.isOver) {
      if (mayBegin && !isLast && this.free.length === this.fresh && this.fresh + this.unused.length > 0) {
        // Nothing that is left due has been seen: an epoch that comes before the next turn must not take it for done.
        this.seenUs = stripe.instantUs - 1;
        return;
      }
      const { index, instantUs } = stripe;
      stripe.advance();
      this.takenBefore = index + 1;
      if (mayBegin) {
        this.context.observeLag(nowUs - instantUs);
        this.arrive(index, instantUs, nowUs);
      } else this.forfeit(index);
    }
    if (!mayBegin) this.forfeitWaiting();
    if (nowUs >= this.graceEndsUs && !this.isOver) this.finish(nowUs);
  }

  amend(epochs: readonly Epoch[]): void {
    const { plan, agentId } = this.context;
    const before = this.share;
    this.share = arrivalShare(this.planned, epochs, plan.seed, agentId);
    const passed = Math.max(this.takenBefore, this.share.schedule.countBefore(this.seenUs));
    const { missed, missedIn, forgiven, astray } = correct(before, this.share, this.takenBefore, passed, (index) =>
      this.forfeited.some(({ from, to }) => index >= from && index < to),
    );
    this.tally.undelivered += missed - forgiven;
    // The next epoch may say that they are another's after all.
    this.isForfeiting = false;
    for (const span of missedIn) this.remember(span);
    this.astray += astray;
    this.takenBefore = passed;
    this.share.stripe.skipTo(passed);
    this.makeRoom();
  }

  stop(atUs: number, graceUs: number): void {
    this.cutUs = Math.min(this.cutUs, atUs);
    this.graceEndsUs = Math.min(this.graceEndsUs, atUs + graceUs);
    this.dropWaiting();
  }

  /** A VU's iteration is over: its next arrival may have been waiting for it. */
  ended(actor: Actor, isCompleted: boolean, endedAtUs: number): void {
    const startedAtUs = this.startedAtUs[actor.vu]!;
    this.startedAtUs[actor.vu] = 0;
    this.busyCount--;
    this.tally.end(isCompleted);
    const ranUs = endedAtUs - startedAtUs - actor.cleanUpUs;
    this.context.recorder.iterationEnded(ranUs, isCompleted, this.busyCount, this.intendedAtUs[actor.vu]!);
    const nowUs = endedAtUs - this.context.zeroUs;
    if (this.isOwned[actor.vu] === 0) this.retiring.push(actor);
    else if (this.waiting.length > 0 && !this.isOver && this.context.mayBegin(nowUs)) {
      const { firstIndex, firstIntendedUs } = this.waiting;
      this.waiting.shift();
      this.begin(actor, firstIndex, firstIntendedUs, nowUs);
    } else {
      this.free.push(actor);
    }
  }

  ledger(nowUs: number): ScenarioLedger {
    const coveredUntilUs = Math.min(nowUs, this.share.stripe.instantUs, this.cutUs);
    const { scenario, firedUntilUs, waiting, tally } = this;
    return { scenario, coveredUntilUs, waiting: waiting.length, firedUntilUs, ledger: tally.counts };
  }

  close(): void {
    for (const actor of this.actors) actor.close();
  }

  /** Nothing falls due after this instant, whatever epochs still come. */
  private get lastUs(): number {
    return Math.min(this.share.lastUs, this.cutUs);
  }

  private arrive(index: number, intendedUs: number, nowUs: number): void {
    const actor = this.free.pop() ?? this.another();
    this.fresh = Math.min(this.fresh, this.free.length);
    if (actor !== undefined) this.begin(actor, index, intendedUs, nowUs);
    else if (!this.waiting.push(index, intendedUs)) this.drop(intendedUs);
  }

  private another(): Actor | undefined {
    const vu = this.unused.pop();
    return vu === undefined ? undefined : this.create(vu);
  }

  private create(vu: number): Actor {
    const actor = this.context.createActor(vu);
    this.actors.push(actor);
    return actor;
  }

  private begin(actor: Actor, index: number, intendedUs: number, nowUs: number): void {
    this.busyCount++;
    this.tally.started++;
    if (intendedUs > this.firedUntilUs) this.firedUntilUs = intendedUs;
    const startUs = this.context.zeroUs + nowUs;
    const intendedAtUs = this.context.zeroUs + intendedUs;
    this.startedAtUs[actor.vu] = startUs;
    this.intendedAtUs[actor.vu] = intendedAtUs;
    this.context.recorder.iterationStarted(nowUs - intendedUs, this.busyCount, intendedAtUs);
    actor.start(index, intendedAtUs, startUs);
  }

  private isNextEpochDue(nowUs: number): boolean {
    const next = this.share.epochs[this.epoch + 1];
    return next !== undefined && next.fromUs <= nowUs;
  }

  /** VUs are owned by epoch: those that went to another agent begin nothing more here, those that came are new ones. */
  private enterEpoch(nowUs: number): void {
    while (this.isNextEpochDue(nowUs)) this.epoch++;
    this.closeRetiring();
    this.takeOverVus();
    this.retiring.push(...this.free.filter(({ vu }) => this.isOwned[vu] === 0));
    const isKept = ({ vu }: Actor): boolean => this.isOwned[vu] === 1;
    this.fresh = this.free.slice(0, this.fresh).filter(isKept).length;
    this.free = this.free.filter(isKept);
    this.closeRetiring();
    while (this.waiting.length > 0 && this.unused.length > 0 && this.context.mayBegin(nowUs)) {
      const { firstIndex, firstIntendedUs } = this.waiting;
      this.waiting.shift();
      this.arrive(firstIndex, firstIntendedUs, nowUs);
    }
  }

  private takeOverVus(): void {
    const epoch = this.share.epochs[this.epoch];
    const owned = epoch === undefined ? [] : vusOwnedIn(epoch, this.context.agentId);
    // One that still ends what it began as its last goes on as it is when it comes back.
    const made = new Set(this.actors.map(({ vu }) => vu));
    this.isOwned.fill(0);
    for (const vu of owned) this.isOwned[vu] = 1;
    this.unused = owned.filter((vu) => !made.has(vu)).reverse();
  }

  private closeRetiring(): void {
    const gone = new Set(this.retiring);
    this.actors = this.actors.filter((actor) => !gone.has(actor));
    for (const actor of gone) actor.close();
    this.retiring = [];
  }

  /** For as many VUs as any known epoch has. */
  private makeRoom(): void {
    const { vusMax } = this.share;
    if (vusMax <= this.isOwned.length) return;
    const [isOwned, startedAtUs, intendedAtUs] = [new Uint8Array(vusMax), new Float64Array(vusMax), new Float64Array(vusMax)];
    isOwned.set(this.isOwned);
    startedAtUs.set(this.startedAtUs);
    intendedAtUs.set(this.intendedAtUs);
    Object.assign(this, { isOwned, startedAtUs, intendedAtUs });
  }

  private forfeit(index: number): void {
    this.tally.undelivered++;
    const last = this.forfeited.at(-1);
    if (this.isForfeiting && last !== undefined) {
      last.to = index + 1;
      return;
    }
    this.isForfeiting = true;
    this.remember({ from: index, to: index + 1 });
  }

  private remember(span: { readonly from: number; to: number }): void {
    this.forfeited.push(span);
    if (this.forfeited.length > FORFEITED_MAX) this.forfeited.shift();
  }

  /** It fell due while the agent might fire, and found no VU until now. */
  private forfeitWaiting(): void {
    while (this.waiting.length > 0) {
      this.waiting.shift();
      this.tally.undelivered++;
    }
  }

  /** The grace is over: what still waits was never started, what still runs is interrupted. */
  private finish(nowUs: number): void {
    this.isOver = true;
    this.cutUs = Math.min(this.cutUs, nowUs);
    this.dropWaiting();
    for (const actor of [...this.actors]) if (this.startedAtUs[actor.vu]! > 0) actor.interrupt();
  }

  private dropWaiting(): void {
    while (this.waiting.length > 0) {
      this.drop(this.waiting.firstIntendedUs);
      this.waiting.shift();
    }
  }

  private drop(intendedUs: number): void {
    this.tally.dropped++;
    this.context.recorder.iterationsDropped(1, this.context.zeroUs + intendedUs);
  }
}
