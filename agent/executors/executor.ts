import type { Epoch, Plan } from '../../shared/plan/index.ts';
import type { ScenarioLedger } from '../../shared/stats/index.ts';
import type { Actor } from '../flow/actor.ts';
import type { ScenarioSamples } from '../recorder.ts';

/** One scenario's load on one agent. The engine turns it; it starts iterations and never waits for one. */
export interface Executor {
  readonly scenario: string;
  /** Run-relative instant at which `turn` wants to be called next; `Infinity` when only a VU's end can bring something new. */
  readonly dueUs: number;
  /** True when every iteration is over and none will start, whatever epochs may still come. */
  readonly isDone: boolean;
  readonly activeVus: number;
  /** Iterations begun that an epoch, heard of too late, had given to another agent. */
  readonly astray: number;
  /** Starts whatever is due at run-relative `nowUs`. Unless this is the loop's last turn before it looks for answers again, an arrival
   *  that would need one more VU may be left due. */
  turn(nowUs: number, isLast: boolean): void;
  /** Epochs were added to those it knows. What was due at the last turn was due by the old ones; it wants another turn. */
  amend(epochs: readonly Epoch[]): void;
  /** An actor of this executor has ended its iteration, at `endedAtUs` on the agent's clock. */
  ended(actor: Actor, isCompleted: boolean, endedAtUs: number): void;
  /** The plan ends at `atUs`: nothing planned at or after it starts; iterations under way have `graceUs` to end. */
  stop(atUs: number, graceUs: number): void;
  /** Cumulative, for the batch sealed at run-relative `nowUs`. */
  ledger(nowUs: number): ScenarioLedger;
  close(): void;
}

/** What an executor is given beside its scenario. */
export interface ExecutorContext {
  readonly plan: Plan;
  /** Those known at the start. */
  readonly epochs: readonly Epoch[];
  readonly agentId: string;
  /** The run's zero on the agent's clock: actors count from it. */
  readonly zeroUs: number;
  readonly recorder: ScenarioSamples;
  /** Makes the actor of one VU. */
  createActor(vu: number): Actor;
  /** A due arrival was noticed this late. */
  observeLag(lagUs: number): void;
  /** False while the agent holds its fire: what falls due then is never begun. */
  mayBegin(nowUs: number): boolean;
}
