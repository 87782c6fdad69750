import { endUs, ownedVus, type ClosedLoad, type PlannedScenario, type Presence } from '../../shared/plan/index.ts';
import type { ScenarioLedger } from '../../shared/stats/index.ts';
import type { Actor } from '../flow/actor.ts';
import type { Executor, ExecutorContext } from './executor.ts';
import { Tally } from './tally.ts';

/** What makes one closed executor differ from another. */
export interface Loops {
  /** When VU `vu` is wanted, relative to the scenario's zero. */
  presences(vu: number): readonly Presence[];
  /** Global index of the iteration that VU `vu` begins as its `round`-th (0-based); -1 when there is none left for it. */
  takeIndex(vu: number, round: number): number;
  /** Iterations planned for this agent; `undefined` where every iteration begun was planned. */
  readonly quota: number | undefined;
  /** How long an iteration may go on after its VU is no longer wanted; `Infinity` for as long as the scenario's own grace. */
  readonly gracefulRampDownUs: number;
}

/** Executors whose plan is VUs that loop: a VU begins its next iteration when the last one has ended, as long as it is wanted. */
export class ClosedModel implements Executor {
  readonly scenario: string;
  private readonly context: ExecutorContext;
  private readonly loops: Loops;
  private readonly tally = new Tally();
  /** By the VU's number; a hole where another agent owns it. */
  private readonly seats: (Seat | undefined)[] = [];
  /** VUs coming and going, in the order of time. */
  private readonly changes: readonly Change[];
  private nextChange = 0;
  /** VUs that were ramped down in the middle of an iteration, in the order of their deadlines. */
  private readonly leaving: { readonly seat: Seat; readonly round: number; readonly deadlineUs: number }[] = [];
  private readonly startUs: number;
  private active = 0;
  private endUs: number;
  private graceEndsUs: number;
  private isCut = false;
  private isOver = false;
  private areDropsCounted = false;

  constructor(scenario: PlannedScenario & { readonly load: ClosedLoad }, loops: Loops, context: ExecutorContext) {
    const [epoch] = context.epochs;
    this.scenario = scenario.name;
    this.context = context;
    this.loops = loops;
    this.startUs = scenario.startUs;
    this.endUs = endUs(scenario);
    this.graceEndsUs = this.endUs + scenario.gracefulStopUs;
    const owned = epoch === undefined ? [] : ownedVus(epoch, scenario.load, context.agentId);
    this.changes = owned.flatMap((vu) => changesOf({ vu, actor: undefined, isWanted: false, isBusy: false, startedAtUs: 0, intendedAtUs: 0, round: 0 }, this.startUs, loops)).sort(byInstant); // prettier-ignore
  }

  get dueUs(): number {
    if (this.isOver) return Infinity;
    const change = this.changes[this.nextChange];
    const changeUs = change === undefined || change.atUs >= this.endUs ? Infinity : change.atUs;
    const leavingUs = this.leaving[0]?.deadlineUs ?? Infinity;
    const endUs = this.mayStillDrop ? this.endUs : Infinity;
    return Math.min(changeUs, leavingUs, endUs, this.active > 0 ? this.graceEndsUs : Infinity);
  }

  get isDone(): boolean {
    return this.active === 0 && !this.mayStillDrop && (this.isOver || !this.hasComings);
  }

  get activeVus(): number {
    return this.active;
  }

  turn(nowUs: number): void {
    for (let change = this.changes[this.nextChange]; change !== undefined && change.atUs <= nowUs; change = this.changes[this.nextChange]) {
      this.nextChange++;
      if (change.atUs >= this.endUs) continue;
      if (change.isComing) this.come(change, nowUs);
      else this.leave(change);
    }
    for (let [first] = this.leaving; first !== undefined && first.deadlineUs <= nowUs; [first] = this.leaving) {
      this.leaving.shift();
      const { seat, round } = first;
      if (seat.isBusy && !seat.isWanted && seat.round === round) seat.actor?.interrupt();
    }
    if (nowUs >= this.endUs && this.mayStillDrop) this.countDrops();
    if (nowUs >= this.graceEndsUs && !this.isOver) {
      this.isOver = true;
      for (const seat of this.seats) if (seat?.isBusy === true) seat.actor?.interrupt();
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
    this.begin(seat, nowUs, nowUs);
  }

  ledger(nowUs: number): ScenarioLedger {
    return { scenario: this.scenario, coveredUntilUs: Math.min(nowUs, this.endUs), waiting: 0, ledger: this.tally.counts };
  }

  close(): void {
    for (const seat of this.seats) seat?.actor?.close();
  }

  private come({ seat, atUs }: Change, nowUs: number): void {
    seat.isWanted = true;
    if (seat.actor === undefined) {
      seat.actor = this.context.createActor(seat.vu);
      this.seats[seat.vu] = seat;
    }
    this.context.observeLag(nowUs - atUs);
    // Still in the iteration that it was ramped down in: it just goes on.
    if (!seat.isBusy) this.begin(seat, atUs, nowUs);
  }

  private leave({ seat, atUs }: Change): void {
    seat.isWanted = false;
    const deadlineUs = atUs + this.loops.gracefulRampDownUs;
    if (seat.isBusy && deadlineUs !== Infinity) this.leaving.push({ seat, round: seat.round, deadlineUs });
  }

  private begin(seat: Seat, intendedUs: number, nowUs: number): void {
    if (!seat.isWanted || nowUs >= this.endUs || this.isOver || seat.actor === undefined) return;
    const index = this.loops.takeIndex(seat.vu, seat.round);
    if (index < 0) return;
    seat.round++;
    seat.isBusy = true;
    this.active++;
    this.tally.started++;
    seat.startedAtUs = this.context.zeroUs + nowUs;
    seat.intendedAtUs = this.context.zeroUs + intendedUs;
    this.context.recorder.iterationStarted(nowUs - intendedUs, this.active, seat.intendedAtUs);
    seat.actor.start(index, seat.intendedAtUs, seat.startedAtUs);
  }

  /** A VU will still come. */
  private get hasComings(): boolean {
    for (let i = this.nextChange; i < this.changes.length; i++) {
      const change = this.changes[i];
      if (change !== undefined && change.isComing && change.atUs < this.endUs) return true;
    }
    return false;
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

/** One VU of this agent. */
interface Seat {
  readonly vu: number;
  actor: Actor | undefined;
  isWanted: boolean;
  isBusy: boolean;
  /** On the agent's clock. */
  startedAtUs: number;
  /** When it was to begin: where its VU was not wanted earlier, when the last one ended. */
  intendedAtUs: number;
  /** Iterations begun. */
  round: number;
}

interface Change {
  readonly seat: Seat;
  /** Run-relative. */
  readonly atUs: number;
  readonly isComing: boolean;
}

function changesOf(seat: Seat, startUs: number, loops: Loops): Change[] {
  return loops
    .presences(seat.vu)
    .flatMap(({ fromUs, toUs }) => [
      { seat, atUs: startUs + fromUs, isComing: true },
      ...(toUs === Infinity ? [] : [{ seat, atUs: startUs + toUs, isComing: false }]),
    ]);
}

function byInstant(a: Change, b: Change): number {
  return a.atUs - b.atUs;
}
