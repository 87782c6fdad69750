import { createSchedule, endUs, ownedVus, Stripe, type PlannedScenario } from '../../shared/plan/index.ts';
import type { OpenLoad } from '../../shared/plan/index.ts';
import type { ScenarioLedger } from '../../shared/stats/index.ts';
import type { Actor } from '../flow/actor.ts';
import type { Executor, ExecutorContext } from './executor.ts';
import { Tally } from './tally.ts';
import { WaitingLine } from './waiting-line.ts';

/** Arrivals that may wait for a VU on one agent; an arrival beyond is dropped and counted. 16 bytes each. */
const WAITING_MAX = 1_000_000;

/** constant-arrival-rate and ramping-arrival-rate: arrivals come at the plan's instants whether or not earlier ones have been answered.
 *  An arrival without a free VU waits and keeps its intended instant, so the wait shows in its response time. */
export class ArrivalRate implements Executor {
  readonly scenario: string;
  private readonly stripe: Stripe;
  private readonly context: ExecutorContext;
  private readonly tally = new Tally();
  private readonly waiting = new WaitingLine(WAITING_MAX);
  /** Owned VUs that have not been needed yet, lowest number last. */
  private readonly unused: number[];
  /** Free actors; the last one used is used again first, so few connections carry a light load. The `fresh` first ones were never used. */
  private readonly free: Actor[] = [];
  private fresh = 0;
  private readonly actors: Actor[] = [];
  /** When each VU's iteration under way started, by the VU's number; 0 while it is free. */
  private readonly startedAtUs: Float64Array;
  /** When it was to start. */
  private readonly intendedAtUs: Float64Array;
  private busyCount = 0;
  private cutUs = Infinity;
  private graceEndsUs: number;
  private isOver = false;

  constructor(scenario: PlannedScenario & { readonly load: OpenLoad }, context: ExecutorContext) {
    const { plan, epochs, agentId } = context;
    this.scenario = scenario.name;
    this.context = context;
    this.stripe = new Stripe(scenario, createSchedule(scenario, plan.seed), epochs, agentId);
    this.startedAtUs = new Float64Array(scenario.load.maxVus);
    this.intendedAtUs = new Float64Array(scenario.load.maxVus);
    this.unused = epochs[0] === undefined ? [] : ownedVus(epochs[0], scenario.load, agentId).reverse();
    this.graceEndsUs = endUs(scenario) + scenario.gracefulStopUs;
    const ready = Math.min(this.unused.length, Math.ceil((scenario.load.preAllocatedVus * this.unused.length) / scenario.load.maxVus));
    for (let i = 0; i < ready; i++) this.free.push(this.create(this.unused.pop() ?? 0));
    this.fresh = ready;
  }

  get dueUs(): number {
    if (this.isOver) return Infinity;
    const arrivalUs = this.stripe.instantUs < this.cutUs ? this.stripe.instantUs : Infinity;
    // Only while something is left to interrupt or drop does the end of the grace matter.
    return this.busyCount + this.waiting.length > 0 ? Math.min(arrivalUs, this.graceEndsUs) : arrivalUs;
  }

  get isDone(): boolean {
    const hasArrivals = !this.isOver && this.stripe.index >= 0 && this.stripe.instantUs < this.cutUs;
    return this.busyCount === 0 && this.waiting.length === 0 && !hasArrivals;
  }

  get activeVus(): number {
    return this.busyCount;
  }

  /** An arrival takes a VU that has not been used yet only when no answer that is already here could free one: after a stall of some
   *  milliseconds the answers wait together with the arrivals. Opening a connection for each of those costs as much as the time until the
   *  next arrival at some thousand a second, so the backlog would feed itself until all VUs are in use. */
  turn(nowUs: number, isLast: boolean): void {
    const { stripe } = this;
    while (stripe.instantUs <= nowUs && stripe.instantUs < this.cutUs && !this.isOver) {
      if (!isLast && this.free.length === this.fresh && this.fresh + this.unused.length > 0) break;
      const { index, instantUs } = stripe;
      stripe.advance();
      this.context.observeLag(nowUs - instantUs);
      this.arrive(index, instantUs, nowUs);
    }
    if (nowUs >= this.graceEndsUs && !this.isOver) this.finish(nowUs);
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
    if (this.waiting.length > 0 && !this.isOver) {
      const { firstIndex, firstIntendedUs } = this.waiting;
      this.waiting.shift();
      this.begin(actor, firstIndex, firstIntendedUs, endedAtUs - this.context.zeroUs);
    } else {
      this.free.push(actor);
    }
  }

  ledger(nowUs: number): ScenarioLedger {
    const coveredUntilUs = Math.min(nowUs, this.stripe.instantUs, this.cutUs);
    return { scenario: this.scenario, coveredUntilUs, waiting: this.waiting.length, ledger: this.tally.counts };
  }

  close(): void {
    for (const actor of this.actors) actor.close();
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
    const startUs = this.context.zeroUs + nowUs;
    const intendedAtUs = this.context.zeroUs + intendedUs;
    this.startedAtUs[actor.vu] = startUs;
    this.intendedAtUs[actor.vu] = intendedAtUs;
    this.context.recorder.iterationStarted(nowUs - intendedUs, this.busyCount, intendedAtUs);
    actor.start(index, intendedAtUs, startUs);
  }

  /** The grace is over: what still waits was never started, what still runs is interrupted. */
  private finish(nowUs: number): void {
    this.isOver = true;
    this.cutUs = Math.min(this.cutUs, nowUs);
    this.dropWaiting();
    for (const actor of this.actors) if (this.startedAtUs[actor.vu]! > 0) actor.interrupt();
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
