import { endUs, ownedVus, type ClosedLoad, type PlannedScenario } from '../../shared/plan/index.ts';
import type { ScenarioLedger } from '../../shared/stats/index.ts';
import type { Actor } from '../flow/actor.ts';
import type { Executor, ExecutorContext } from './executor.ts';
import { Tally } from './tally.ts';

/** constant-vus: a fixed number of VUs, each looping as fast as its flow lets it. The plan is the VUs, so what is started was planned. */
export class ConstantVus implements Executor {
  readonly scenario: string;
  private readonly startUs: number;
  private readonly vus: number;
  private readonly owned: readonly number[];
  private readonly context: ExecutorContext;
  private readonly tally = new Tally();
  /** When each VU's iteration under way started, and how many it has started, by the VU's number. */
  private readonly startedAtUs: Float64Array;
  private readonly rounds: Float64Array;
  private readonly actors: Actor[] = [];
  private active = 0;
  private endUs: number;
  private graceEndsUs: number;
  private isBegun = false;
  private isOver = false;

  constructor(scenario: PlannedScenario & { readonly load: ClosedLoad }, context: ExecutorContext) {
    const { epochs, agentId } = context;
    this.scenario = scenario.name;
    this.context = context;
    this.startUs = scenario.startUs;
    this.vus = scenario.load.vus;
    this.startedAtUs = new Float64Array(this.vus);
    this.rounds = new Float64Array(this.vus);
    this.owned = epochs[0] === undefined ? [] : ownedVus(epochs[0], scenario.load, agentId);
    this.endUs = endUs(scenario);
    this.graceEndsUs = this.endUs + scenario.gracefulStopUs;
  }

  get dueUs(): number {
    if (!this.isBegun) return this.startUs < this.endUs ? this.startUs : Infinity;
    return this.active > 0 && !this.isOver ? this.graceEndsUs : Infinity;
  }

  get isDone(): boolean {
    return this.active === 0 && (this.isBegun || this.startUs >= this.endUs);
  }

  get activeVus(): number {
    return this.active;
  }

  turn(nowUs: number): void {
    if (!this.isBegun && nowUs >= this.startUs && this.startUs < this.endUs) {
      this.isBegun = true;
      this.context.observeLag(nowUs - this.startUs);
      for (const vu of this.owned) {
        const actor = this.context.createActor(vu);
        this.actors.push(actor);
        this.begin(actor, this.startUs, nowUs);
      }
    }
    if (nowUs >= this.graceEndsUs && !this.isOver) {
      this.isOver = true;
      for (const actor of this.actors) actor.interrupt();
    }
  }

  stop(atUs: number, graceUs: number): void {
    this.endUs = Math.min(this.endUs, atUs);
    this.graceEndsUs = Math.min(this.graceEndsUs, atUs + graceUs);
  }

  ended(actor: Actor, isCompleted: boolean, endedAtUs: number): void {
    this.active--;
    this.tally.end(isCompleted);
    this.context.recorder.iterationEnded(endedAtUs - this.startedAtUs[actor.vu]!, isCompleted, this.active);
    const nowUs = endedAtUs - this.context.zeroUs;
    if (nowUs < this.endUs && !this.isOver) this.begin(actor, nowUs, nowUs);
  }

  ledger(nowUs: number): ScenarioLedger {
    return { scenario: this.scenario, coveredUntilUs: Math.min(nowUs, this.endUs), waiting: 0, ledger: this.tally.counts };
  }

  close(): void {
    for (const actor of this.actors) actor.close();
  }

  private begin(actor: Actor, intendedUs: number, nowUs: number): void {
    const { vu } = actor;
    const startUs = this.context.zeroUs + nowUs;
    this.active++;
    this.tally.started++;
    this.startedAtUs[vu] = startUs;
    this.context.recorder.iterationStarted(nowUs - intendedUs, this.active);
    // VU j's k-th pass is iteration k·VUs + j: unique over the cluster without anybody having to ask.
    const index = this.rounds[vu]! * this.vus + vu;
    this.rounds[vu]!++;
    actor.start(index, this.context.zeroUs + intendedUs, startUs);
  }
}
