import { createExecutor, type Executor } from '../../agent/executors/index.ts';
import type { Actor } from '../../agent/flow/actor.ts';
import { Recorder } from '../../agent/recorder.ts';
import type { AgentLedger } from '../../shared/stats/index.ts';
import { epochFromWire, epochToWire } from '../../shared/wire/index.ts';
import type { Epoch, Plan, PlannedScenario } from '../../shared/plan/index.ts';

export interface StartedIteration {
  readonly vu: number;
  readonly index: number;
  /** Run-relative. */
  readonly intendedUs: number;
  readonly atUs: number;
}

/** An agent knows its own slots of an epoch, and of the others how many there are. */
function asTold(agentId: string): (epoch: Epoch) => Epoch {
  return (epoch) => epochFromWire(epochToWire(epoch)(agentId), agentId);
}

/** An executor whose time and whose actors are in the hands of a test. All instants are run-relative. */
export class DrivenExecutor {
  readonly executor: Executor;
  readonly recorder = new Recorder();
  /** Every iteration started, in order. */
  readonly started: StartedIteration[] = [];
  /** How late arrivals were noticed. */
  readonly lagsUs: number[] = [];
  readonly actors: FakeActor[] = [];
  nowUs = 0;
  leaseEndsUs = Infinity;
  private readonly agentId: string;

  constructor(scenario: PlannedScenario, epochs: readonly Epoch[], agentId: string, seed = 7) {
    this.agentId = agentId;
    const plan: Plan = { name: 'driven', seed, intervalMs: 1_000, scenarios: [scenario] };
    this.executor = createExecutor(scenario, {
      plan,
      epochs: epochs.map(asTold(agentId)),
      agentId,
      zeroUs: ZERO_US,
      recorder: this.recorder.scenario(scenario.name),
      createActor: (vu) => {
        const actor = new FakeActor(vu, this);
        this.actors.push(actor);
        return actor;
      },
      observeLag: (lagUs) => this.lagsUs.push(lagUs),
      mayBegin: (us) => us < this.leaseEndsUs,
    });
  }

  /** Actors in the middle of an iteration, longest first. */
  get busy(): FakeActor[] {
    return this.actors.filter(({ running }) => running !== undefined).sort((a, b) => a.startedNumber - b.startedNumber);
  }

  turnAt(us: number, isLast = true): void {
    this.nowUs = us;
    this.executor.turn(us, isLast);
  }

  /** The executor hears of epochs, now; `epochs` are all of them. */
  amend(epochs: readonly Epoch[]): void {
    this.executor.turn(this.nowUs, true);
    this.executor.amend(epochs.map(asTold(this.agentId)));
    this.executor.turn(this.nowUs, true);
  }

  /** An iteration ends by itself, now. */
  complete(actor: FakeActor | undefined): void {
    if (actor === undefined) throw new Error('nobody is busy');
    actor.end(true);
  }

  get counts(): AgentLedger & { readonly waiting: number } {
    const { ledger, waiting } = this.executor.ledger(this.nowUs);
    return { ...ledger, waiting };
  }
}

/** The run's zero on the agent's clock: far from 0, so that a mix-up of the two shows. */
const ZERO_US = 1_700_000_000_000_000;

class FakeActor implements Actor {
  readonly cleanUpUs = 0;
  readonly vu: number;
  running: StartedIteration | undefined;
  /** Which of all starts its current one was. */
  startedNumber = 0;
  isClosed = false;
  private readonly driven: DrivenExecutor;

  constructor(vu: number, driven: DrivenExecutor) {
    this.vu = vu;
    this.driven = driven;
  }

  start(index: number, intendedUs: number, nowUs: number): void {
    if (this.running !== undefined) throw new Error(`VU ${this.vu} is given iteration ${index} in the middle of ${this.running.index}`);
    this.running = { vu: this.vu, index, intendedUs: intendedUs - ZERO_US, atUs: nowUs - ZERO_US };
    this.startedNumber = this.driven.started.push(this.running);
  }

  interrupt(): void {
    if (this.running !== undefined) this.end(false);
  }

  end(isCompleted: boolean): void {
    this.running = undefined;
    this.driven.executor.ended(this, isCompleted, ZERO_US + this.driven.nowUs);
  }

  close(): void {
    this.isClosed = true;
  }
}
