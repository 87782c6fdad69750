import { endUs, vuSpans, type ClosedLoad, type Epoch, type PlannedScenario, type VuSpan } from '../../shared/plan/index.ts';
import type { ScenarioLedger } from '../../shared/stats/index.ts';
import type { Actor } from '../flow/actor.ts';
import type { Executor, ExecutorContext } from './executor.ts';
import { Tally } from './tally.ts';

/** What makes one closed executor differ from another. */
export interface Loops {
  /** Global index of the iteration that a VU begins; -1 when there is none left for it. */
  takeIndex(turn: LoopTurn): number;
  /** No iteration is left for any VU of this agent, whatever epochs still come. */
  isUsedUp(): boolean;
  /** VUs go to other agents where epochs say so. Where iterations are counted they stay: what a VU has taken only its agent knows. */
  readonly areHandedOn: boolean;
  /** Iterations planned for this agent; `undefined` where every iteration begun was planned. */
  readonly quota: number | undefined;
  /** How long an iteration may go on after its VU is no longer wanted; `Infinity` for as long as the scenario's own grace. */
  readonly gracefulRampDownUs: number;
}

/** Where a VU is in its loop. */
export interface LoopTurn {
  readonly vu: number;
  /** How many iterations this incarnation of the VU has begun. */
  readonly round: number;
  /** The epoch in which the incarnation came into being, and the VUs of the cluster in it. */
  readonly incarnation: number;
  readonly vus: number;
}

/** Iterations of VUs that came into being in epoch e are numbered from e times this on, so that no two of the cluster have one number. */
const INDICES_PER_EPOCH = 1e12;

/** VU j's k-th pass is iteration k·VUs + j: unique over the cluster without anybody having to ask. */
export function loopIndex({ vu, round, incarnation, vus }: LoopTurn): number {
  return incarnation * INDICES_PER_EPOCH + round * vus + vu;
}

/** Executors whose plan is VUs that loop: a VU begins its next iteration when the last one has ended, as long as it is wanted and this
 *  agent's. A VU that goes to another agent ends what it has begun and begins nothing more. */
export class ClosedModel implements Executor {
  readonly scenario: string;
  readonly astray = 0;
  private readonly planned: ClosedScenario;
  private readonly context: ExecutorContext;
  private readonly loops: Loops;
  private readonly tally = new Tally();
  /** By the VU's number; a hole where it was never this agent's. */
  private readonly seats: (Seat | undefined)[] = [];
  /** VUs coming and going, in the order of time. */
  private changes: readonly Change[] = [];
  private nextChange = 0;
  /** VUs that were ramped down in the middle of an iteration, in the order of their deadlines. */
  private readonly leaving: { readonly seat: Seat; readonly begun: number; readonly deadlineUs: number }[] = [];
  private active = 0;
  private seenUs = -Infinity;
  private endUs: number;
  private graceEndsUs: number;
  private isCut = false;
  private isOver = false;
  private areDropsCounted = false;
  /** A VU that was to begin had to wait until the agent may fire again. */
  private isHeldBack = false;

  constructor(scenario: ClosedScenario, loops: Loops, context: ExecutorContext) {
    this.scenario = scenario.name;
    this.planned = scenario;
    this.context = context;
    this.loops = loops;
    this.endUs = endUs(scenario);
    this.graceEndsUs = this.endUs + scenario.gracefulStopUs;
    this.schedule(this.spans(context.epochs));
  }

  get dueUs(): number {
    if (this.isOver) return Infinity;
    const change = this.changes[this.nextChange];
    const changeUs = change === undefined || change.atUs >= this.endUs ? Infinity : change.atUs;
    const leavingUs = this.leaving[0]?.deadlineUs ?? Infinity;
    const endUs = this.mayStillDrop || (this.seenUs < this.endUs && !this.loops.isUsedUp()) ? this.endUs : Infinity;
    return Math.min(changeUs, leavingUs, endUs, this.active > 0 ? this.graceEndsUs : Infinity);
  }

  get isDone(): boolean {
    return this.active === 0 && !this.mayStillDrop && (this.isOver || this.seenUs >= this.endUs || this.loops.isUsedUp());
  }

  get activeVus(): number {
    return this.active;
  }

  turn(nowUs: number): void {
    this.seenUs = nowUs;
    for (let change = this.changes[this.nextChange]; change !== undefined && change.atUs <= nowUs; change = this.changes[this.nextChange]) {
      this.nextChange++;
      if (change.atUs >= this.endUs) continue;
      if (change.isComing) this.come(change, nowUs);
      else this.leave(change);
    }
    if (this.isHeldBack && this.context.mayBegin(nowUs)) this.goOn(nowUs);
    for (let [first] = this.leaving; first !== undefined && first.deadlineUs <= nowUs; [first] = this.leaving) {
      this.leaving.shift();
      const { seat, begun } = first;
      if (seat.isBusy && !seat.isWanted && seat.begun === begun) seat.actor.interrupt();
    }
    if (nowUs >= this.endUs && this.mayStillDrop) this.countDrops();
    if (nowUs >= this.graceEndsUs && !this.isOver) {
      this.isOver = true;
      for (const seat of this.seats) if (seat?.isBusy === true) seat.actor.interrupt();
    }
  }

  amend(epochs: readonly Epoch[]): void {
    const nowUs = this.seenUs;
    const spans = this.spans(epochs);
    this.schedule(spans);
    // Changes that were heard of too late are made now.
    const wanted = new Map(spans.filter(({ fromUs, toUs }) => fromUs <= nowUs && nowUs < toUs).map((span) => [span.vu, span]));
    for (const seat of this.seats) {
      if (seat?.isWanted === true && !wanted.has(seat.vu)) this.leave({ vu: seat.vu, atUs: nowUs, isRampDown: false });
    }
    if (nowUs >= this.endUs) return;
    for (const [vu, { incarnation, vus }] of wanted) {
      const seat = this.seats[vu];
      if (seat?.isWanted !== true || seat.incarnation !== incarnation) this.come({ vu, atUs: nowUs, incarnation, vus }, nowUs);
    }
  }

  stop(atUs: number, graceUs: number): void {
    if (atUs < this.endUs) {
      this.isCut = true;
      this.endUs = atUs;
    }
    this.graceEndsUs = Math.min(this.graceEndsUs, atUs + graceUs);
  }

  ended(actor: Actor, isCompleted: boolean, endedAtUs: number): void {
    const seat = this.seats[actor.vu];
    if (seat === undefined) return;
    this.active--;
    seat.isBusy = false;
    this.tally.end(isCompleted);
    const ranUs = endedAtUs - seat.startedAtUs - actor.cleanUpUs;
    this.context.recorder.iterationEnded(ranUs, isCompleted, this.active, seat.intendedAtUs);
    const nowUs = endedAtUs - this.context.zeroUs;
    this.seenUs = Math.max(this.seenUs, nowUs);
    this.begin(seat, nowUs, nowUs);
  }

  ledger(nowUs: number): ScenarioLedger {
    return { scenario: this.scenario, coveredUntilUs: Math.min(nowUs, this.endUs), waiting: 0, firedUntilUs: 0, ledger: this.tally.counts };
  }

  close(): void {
    for (const seat of this.seats) seat?.actor.close();
  }

  private spans(epochs: readonly Epoch[]): VuSpan[] {
    const owners = epochs[0]?.owners ?? [];
    const seen = this.loops.areHandedOn ? epochs : epochs.map((epoch) => ({ ...epoch, owners }));
    return vuSpans(this.planned, seen, this.context.agentId);
  }

  private schedule(spans: readonly VuSpan[]): void {
    this.changes = spans.flatMap(changesOf).sort((a, b) => a.atUs - b.atUs);
    const next = this.changes.findIndex(({ atUs }) => atUs > this.seenUs);
    this.nextChange = next < 0 ? this.changes.length : next;
  }

  private come({ vu, atUs, incarnation, vus }: Omit<Coming, 'isComing'>, nowUs: number): void {
    const seat = (this.seats[vu] ??= newSeat(vu, this.context.createActor(vu)));
    seat.isWanted = true;
    if (seat.incarnation !== incarnation) Object.assign(seat, { incarnation, vus, round: 0 });
    this.context.observeLag(nowUs - atUs);
    // Still in the iteration that it was ramped down in: it just goes on.
    if (!seat.isBusy) this.begin(seat, atUs, nowUs);
  }

  private leave({ vu, atUs, isRampDown }: Omit<Going, 'isComing'>): void {
    const seat = this.seats[vu];
    if (seat === undefined) return;
    seat.isWanted = false;
    const deadlineUs = isRampDown ? atUs + this.loops.gracefulRampDownUs : Infinity;
    if (seat.isBusy && deadlineUs !== Infinity) this.leaving.push({ seat, begun: seat.begun, deadlineUs });
  }

  private begin(seat: Seat, intendedUs: number, nowUs: number): void {
    if (!seat.isWanted || nowUs >= this.endUs || this.isOver) return;
    if (!this.context.mayBegin(nowUs)) {
      this.isHeldBack = true;
      return;
    }
    const index = this.loops.takeIndex(seat);
    if (index < 0) return;
    seat.round++;
    seat.begun++;
    seat.isBusy = true;
    this.active++;
    this.tally.started++;
    seat.startedAtUs = this.context.zeroUs + nowUs;
    seat.intendedAtUs = this.context.zeroUs + intendedUs;
    this.context.recorder.iterationStarted(nowUs - intendedUs, this.active, seat.intendedAtUs);
    seat.actor.start(index, seat.intendedAtUs, seat.startedAtUs);
  }

  /** The agent may fire again. */
  private goOn(nowUs: number): void {
    this.isHeldBack = false;
    for (const seat of this.seats) if (seat?.isBusy === false) this.begin(seat, nowUs, nowUs);
  }

  /** Planned iterations are left that the end of the load would drop. A stop un-plans them instead. */
  private get mayStillDrop(): boolean {
    const { quota } = this.loops;
    return quota !== undefined && !this.isCut && !this.areDropsCounted && this.tally.started < quota;
  }

  private countDrops(): void {
    this.areDropsCounted = true;
    const dropped = (this.loops.quota ?? 0) - this.tally.started;
    this.tally.dropped += dropped;
    this.context.recorder.iterationsDropped(dropped, this.context.zeroUs + this.endUs);
  }
}

type ClosedScenario = PlannedScenario & { readonly load: ClosedLoad };

/** One VU of this agent. */
interface Seat {
  readonly vu: number;
  readonly actor: Actor;
  incarnation: number;
  vus: number;
  isWanted: boolean;
  isBusy: boolean;
  /** On the agent's clock. */
  startedAtUs: number;
  /** When it was to begin: where its VU was not wanted earlier, when the last one ended. */
  intendedAtUs: number;
  /** Iterations begun by this incarnation, and by all. */
  round: number;
  begun: number;
}

function newSeat(vu: number, actor: Actor): Seat {
  return { vu, actor, incarnation: -1, vus: 0, isWanted: false, isBusy: false, startedAtUs: 0, intendedAtUs: 0, round: 0, begun: 0 };
}

/** `atUs` is run-relative. */
interface Coming {
  readonly isComing: true;
  readonly vu: number;
  readonly atUs: number;
  readonly incarnation: number;
  readonly vus: number;
}

interface Going {
  readonly isComing: false;
  readonly vu: number;
  readonly atUs: number;
  /** The plan has fewer VUs from here on; else the VU is only paused or another agent's. */
  readonly isRampDown: boolean;
}

type Change = Coming | Going;

function changesOf({ vu, fromUs, toUs, isRampDown, incarnation, vus }: VuSpan): Change[] {
  const coming: Coming = { isComing: true, vu, atUs: fromUs, incarnation, vus };
  return toUs === Infinity ? [coming] : [coming, { isComing: false, vu, atUs: toUs, isRampDown }];
}
