import { AppError, type Clock } from '../shared/base/index.ts';
import {
  decodeWorkload,
  encodeBatch,
  epochFromWire,
  ledgerToWire,
  planFromWire,
  type Assign,
  type Chore,
  type ChoreDone,
  type Finished,
  type NewEpoch,
  type Progress,
  type ResultsPlane,
} from '../shared/wire/index.ts';
import type { AllowList } from './allow-list.ts';
import { Engine, type EngineResult } from './engine.ts';
import { doChore, type ChoreContext } from './flow/chore.ts';
import { loadScript } from './flow/script-module.ts';
import { SetupResult } from './flow/setup-result.ts';
import { openFilesMax, tooFewFiles } from './open-files.ts';
import { Outbox } from './outbox.ts';
import { StoredFiles } from './stored-files.ts';

/** Iterations under way when a run is stopped have this long to end by themselves. */
const STOP_GRACE_US = 5_000_000;
/** Past this many unanswered heartbeats they are forgotten; a lease is long over by then. */
const UNANSWERED_MAX = 32;

/** One agent's part in one run: the engine that makes the load and the outbox that carries its results. */
export class Assignment {
  readonly runId: string;
  private readonly agentId: string;
  private readonly engine: Engine;
  private readonly outbox: Outbox;
  private readonly chores: ChoreContext;
  private readonly storedFiles: StoredFiles;
  private readonly releasing = new AbortController();
  private readonly clock: Clock;
  /** Heartbeats that nobody has answered yet: number and when it was sent. */
  private readonly unanswered = new Map<number, number>();
  private heartbeats = 0;
  private isLoadEnded = false;

  /** Fetches and loads everything the run needs. Throws `AppError` when it cannot take part. */
  static async prepare(
    assign: Assign,
    identity: AgentIdentity,
    plane: ResultsPlane,
    clock: Clock,
    isAllowed: AllowList,
  ): Promise<Assignment> {
    const { runId, workloadHash } = assign;
    if (assign.plan === undefined) throw new TypeError('an assignment carries a plan');
    const plan = planFromWire(assign.plan);
    const epochs = assign.epochs.map((epoch) => epochFromWire(epoch, identity.agentId));
    const workload = decodeWorkload(await plane.getWorkload(workloadHash), workloadHash);
    const obstacle = tooFewFiles(plan, epochs, identity.agentId, workload.http.connections, openFilesMax());
    if (obstacle !== undefined) throw new AppError('AGENT_REFUSED', obstacle);
    const storedFiles = await StoredFiles.fetch(workload, (hash) => plane.getBlob(hash));
    let engine: Engine | undefined;
    const outbox = new Outbox(async (sequence, sealed) => {
      const key = { agent: identity.agentId, incarnation: identity.incarnation, sequence };
      const saidUs = clock.nowUs();
      await plane.publishBatch(runId, key, encodeBatch({ key, ...sealed }));
      engine?.stored(saidUs);
    }, clock);
    const setup = new SetupResult();
    try {
      const script = workload.script === undefined ? undefined : await loadScript(workload.script);
      engine = await Engine.prepare({
        agentId: identity.agentId,
        plan,
        script,
        setup,
        epochs,
        lease: assign.lease,
        workload,
        storedFiles,
        clock,
        isAllowed,
        onSealed: (sealed) => {
          outbox.add(sealed);
        },
        outboxLength: () => outbox.length,
      });
      return new Assignment(runId, identity.agentId, engine, outbox, { plan, workload, script, setup, storedFiles, clock, isAllowed });
    } catch (thrown) {
      await storedFiles.close();
      throw thrown;
    }
  }

  private constructor(
    runId: string,
    agentId: string,
    engine: Engine,
    outbox: Outbox,
    chores: ChoreContext & { readonly storedFiles: StoredFiles },
  ) {
    this.chores = chores;
    this.clock = chores.clock;
    this.storedFiles = chores.storedFiles;
    this.runId = runId;
    this.agentId = agentId;
    this.engine = engine;
    this.outbox = outbox;
  }

  /** Runs the scenario's setup or teardown for all agents of the run. */
  async doChore({ runId, kind, limitMs, setupJson }: Chore): Promise<ChoreDone> {
    const { chores, releasing } = this;
    if (kind === 'teardown') chores.setup.set(setupJson);
    const outcome = await doChore(kind === 'setup' ? 'setup' : 'teardown', limitMs, chores, releasing.signal);
    return outcome.kind === 'done'
      ? { runId, kind, resultJson: outcome.json, failure: '', scriptThrew: false }
      : { runId, kind, resultJson: '', failure: outcome.reason, scriptThrew: outcome.scriptThrew };
  }

  /** Gives all VUs what the run's setup returned. To be called before `run`. */
  giveSetup(json: string): void {
    this.chores.setup.set(json);
  }

  /** Runs the load from `zeroUs` on the agent's clock; `onLoadEnded` when it is over, and resolves when everything is acknowledged too. */
  async run(zeroUs: number, onLoadEnded: () => void): Promise<Finished> {
    const result = await this.engine.run(zeroUs);
    this.isLoadEnded = true;
    onLoadEnded();
    await this.outbox.drained();
    return finished(this.runId, result, this.outbox.sequences);
  }

  stop(atUs: number): void {
    this.engine.stop(atUs, STOP_GRACE_US);
  }

  /** Nothing begins any more. */
  holdFire(): void {
    this.engine.holdFire();
  }

  /** Nobody waits for what is not acknowledged yet. */
  async release(): Promise<void> {
    this.releasing.abort();
    this.engine.stop(0, 0);
    await this.engine.discard();
    await this.storedFiles.close();
    await this.outbox.abandon();
  }

  amend({ epoch }: NewEpoch): void {
    if (epoch !== undefined) this.engine.amend(epochFromWire(epoch, this.agentId));
  }

  /** The coordinator has heard the heartbeat of this number. */
  heard(number: number): void {
    const saidUs = this.unanswered.get(number);
    if (saidUs === undefined) return;
    for (const earlier of this.unanswered.keys()) if (earlier <= number) this.unanswered.delete(earlier);
    this.engine.heard(saidUs);
  }

  /** The next heartbeat. */
  beat(): Progress {
    const { engine, runId, unanswered } = this;
    // Answers that never come must not pile up.
    if (unanswered.size > UNANSWERED_MAX) unanswered.clear();
    unanswered.set(++this.heartbeats, this.clock.nowUs());
    const elapsedUs = Number.isFinite(engine.elapsedUs) ? engine.elapsedUs : 0;
    return {
      runId,
      elapsedUs,
      activeVus: engine.activeVus,
      ledgers: engine.ledgers.map(ledgerToWire),
      samplesRecorded: engine.samplesRecorded,
      loadEnded: this.isLoadEnded,
      number: this.heartbeats,
      epochs: engine.epochCount,
    };
  }

  /** True while it holds its fire because nobody hears it. */
  get isHolding(): boolean {
    return !this.isLoadEnded && !this.engine.mayFire;
  }

  /** Why results are not getting through, while they are not. */
  get outboxFailure(): string | undefined {
    return this.outbox.failure;
  }
}

export interface AgentIdentity {
  readonly agentId: string;
  /** New with every process. */
  readonly incarnation: string;
}

function finished(runId: string, result: EngineResult, batches: number): Finished {
  const { ledgers, thrown, blocks, ...rest } = result;
  return { runId, batches, ledgers: ledgers.map(ledgerToWire), thrown: [...thrown], blocks: [...blocks], ...rest };
}
