import { BODY_BYTES_MAX, HEAD_BYTES_MAX, type Clock } from '../shared/base/index.ts';
import { type Epoch, type Plan, type PlannedScenario, type Workload } from '../shared/plan/index.ts';
import type { ScenarioLedger } from '../shared/stats/index.ts';
import { createExecutor, type Executor } from './executors/index.ts';
import { readyFlows, type ReadyFlows } from './flow/ready-flows.ts';
import type { ThrownByScript } from './flow/script-errors.ts';
import type { LoadedScript } from './flow/script-module.ts';
import type { SetupResult } from './flow/setup-result.ts';
import { HealthMonitor } from './health.ts';
import { Lease, type LeaseTerms } from './lease.ts';
import { LoopWatch, type LoopBlock } from './loop-watch.ts';
import type { SealedInterval } from './outbox.ts';
import { Pacer } from './pacer.ts';
import { createHttpContext, type HttpContext } from './protocol/index.ts';
import type { Recorder } from './recorder.ts';
import { settleHeap } from './settle-heap.ts';
import type { StoredFiles } from './stored-files.ts';
import { createRecorder } from './warm-up.ts';

export interface EngineOptions {
  readonly agentId: string;
  readonly plan: Plan;
  /** Those known so far; `amend` adds to them. */
  readonly epochs: readonly Epoch[];
  /** Until when the agent may fire; absent: whatever happens. */
  readonly lease?: LeaseTerms | undefined;
  readonly workload: Workload;
  /** The workload's script, where it is loaded already. */
  readonly script?: LoadedScript | undefined;
  /** Filled in before `run`. */
  readonly setup?: SetupResult | undefined;
  /** The workload's large files; they must stay open until `run` has resolved. */
  readonly storedFiles?: StoredFiles;
  readonly clock: Clock;
  /** The agent's own allow-list. */
  readonly isAllowed: (host: string, port: number) => boolean;
  /** Takes every sealed interval, in order, without holes. */
  readonly onSealed: (sealed: SealedInterval) => void;
  readonly outboxLength: () => number;
}

export interface EngineResult {
  readonly ledgers: readonly ScenarioLedger[];
  readonly samplesRecorded: number;
  /** Samples that went to the catch-all series. */
  readonly cappedSamples: number;
  /** What the scenario's own code threw, each distinct error with its source line. */
  readonly thrown: readonly ThrownByScript[];
  /** All of it, also what was too much to be named. */
  readonly scriptErrors: number;
  /** Where scenario code kept the loop to itself. */
  readonly blocks: readonly LoopBlock[];
  /** How late the run's zero was noticed, microseconds; -1 for one that joined after it. */
  readonly startErrorUs: number;
  /** Iterations begun that an epoch, heard of too late, had given to another agent. */
  readonly astray: number;
}

/** So long before the run's zero there is time to put the heap in order. */
const SETTLE_BEFORE_US = 200_000;

/** Runs one agent's share of a plan: pacer → executors → actors → sockets → recorder → sealed intervals.
 *  `prepare` does everything that takes time; `run` begins at one instant. */
export class Engine {
  private readonly options: EngineOptions;
  private readonly http: HttpContext;
  private readonly recorder: Recorder;
  private readonly beginRecording: (zeroUs: number) => void;
  private readonly flows: ReadyFlows;
  private readonly watch: LoopWatch | undefined;
  private readonly health: HealthMonitor;
  private readonly pacer: Pacer;
  private readonly intervalUs: number;
  private readonly epochs: Epoch[];
  private readonly lease: Lease;
  private executors: readonly Executor[] = [];
  private zeroUs = Infinity;
  /** Intervals sealed so far; also the index of the one being filled. */
  private interval = 0;
  /** Agent-clock end of the interval being filled. */
  private boundaryUs = Infinity;
  private startErrorUs = -1;
  private finish: (() => void) | undefined;

  /** Loads the flows. Throws `AppError('SCRIPT_THREW')` when the scenario's own code throws while it is loaded. */
  static async prepare(options: EngineOptions): Promise<Engine> {
    const { clock, isAllowed, workload, plan, script, setup, storedFiles } = options;
    const http = createHttpContext({
      clock,
      bodyBytesMax: BODY_BYTES_MAX,
      headBytesMax: HEAD_BYTES_MAX,
      isAllowed,
      tls: workload.http.tls,
      http: workload.http,
    });
    const { recorder, begin } = createRecorder(plan);
    const parts = { script, setup, findStored: (file: string) => storedFiles?.get(file) };
    const flows = await readyFlows(workload, plan, recorder, http, parts);
    const { origin } = flows.scriptErrors;
    // Only functions can block the loop in a place that nobody knows.
    const watch = origin === undefined ? undefined : await LoopWatch.open(origin);
    return new Engine(options, http, recorder, begin, flows, watch);
  }

  private constructor(
    options: EngineOptions,
    http: HttpContext,
    recorder: Recorder,
    begin: (zeroUs: number) => void,
    flows: ReadyFlows,
    watch: LoopWatch | undefined,
  ) {
    this.options = options;
    this.watch = watch;
    this.epochs = [...options.epochs];
    this.lease = new Lease(options.lease);
    this.http = http;
    this.recorder = recorder;
    this.beginRecording = begin;
    this.flows = flows;
    this.intervalUs = options.plan.intervalMs * 1000;
    this.health = new HealthMonitor(options.clock);
    this.pacer = new Pacer(options.clock, (nowUs, isLast) => this.turn(nowUs, isLast), options.plan.pacing);
  }

  /** Runs the whole plan from `zeroUs` (agent clock) and resolves when its last iteration is over and sealed. Call once. */
  async run(zeroUs: number): Promise<EngineResult> {
    this.zeroUs = zeroUs;
    const lateUs = this.options.clock.nowUs() - zeroUs;
    // One that joins in mid-run has fired nothing yet, and must be heard before it may.
    if (lateUs <= 0) this.lease.heard(zeroUs);
    this.beginRecording(zeroUs);
    this.recorder.zeroUs = zeroUs;
    this.interval = Math.max(0, Math.floor(lateUs / this.intervalUs));
    this.boundaryUs = zeroUs + (this.interval + 1) * this.intervalUs;
    this.executors = this.options.plan.scenarios.map((scenario) => this.executor(scenario));
    if (zeroUs - this.options.clock.nowUs() > SETTLE_BEFORE_US) settleHeap();
    await new Promise<void>((resolve) => {
      this.finish = resolve;
      this.pacer.wake();
    });
    await this.pacer.close();
    const nowUs = this.options.clock.nowUs();
    this.beforeSample(nowUs);
    this.seal(nowUs, true);
    this.health.close();
    for (const executor of this.executors) executor.close();
    await this.http.close();
    await this.watch?.close();
    return {
      ledgers: this.ledgers,
      samplesRecorded: this.recorder.samples,
      cappedSamples: this.recorder.cappedSamples,
      thrown: this.flows.scriptErrors.distinct,
      scriptErrors: this.flows.scriptErrors.count,
      blocks: this.watch?.blocks ?? [],
      startErrorUs: lateUs > 0 ? -1 : this.startErrorUs,
      astray: this.executors.reduce((sum, { astray }) => sum + astray, 0),
    };
  }

  /** Gives everything back when `run` was never called. */
  async discard(): Promise<void> {
    if (this.zeroUs !== Infinity) return;
    await this.pacer.close();
    this.health.close();
    await this.http.close();
    await this.watch?.close();
  }

  /** Ends the plan at run-relative `atUs`; iterations under way have `graceUs` to end by themselves. */
  stop(atUs: number, graceUs: number): void {
    for (const executor of this.executors) executor.stop(atUs, graceUs);
    this.pacer.wake();
  }

  /** Takes in the next epoch. One that is known already, or for which others are missing, changes nothing: `epochCount` says what is. */
  amend(epoch: Epoch): void {
    if (epoch.number !== this.epochs.length) return;
    // What is due by what was known so far is not a matter of the new epoch.
    this.pacer.flush();
    this.epochs.push(epoch);
    for (const executor of this.executors) executor.amend(this.epochs);
    this.pacer.wake();
  }

  get epochCount(): number {
    return this.epochs.length;
  }

  /** The coordinator has heard what was said at `saidUs` (agent clock). */
  heard(saidUs: number): void {
    const isHolding = !this.mayFire;
    // What fell due without a lease is forfeited before there is a new one.
    if (isHolding) this.pacer.flush();
    this.lease.heard(saidUs);
    if (isHolding) this.pacer.wake();
  }

  /** The results plane has stored what was said at `saidUs`. */
  stored(saidUs: number): void {
    this.lease.stored(saidUs, this.options.clock.nowUs());
  }

  /** Nothing begins any more, whatever is heard: this agent leaves. */
  holdFire(): void {
    this.lease.giveUp();
  }

  /** False while nobody has heard of this agent for so long that its share may be somebody else's, and once it leaves. */
  get mayFire(): boolean {
    return this.zeroUs === Infinity || this.lease.holds(this.options.clock.nowUs());
  }

  /** Run-relative, microseconds; negative before the start. */
  get elapsedUs(): number {
    return this.options.clock.nowUs() - this.zeroUs;
  }

  /** What was done so far, by scenario. */
  get ledgers(): ScenarioLedger[] {
    const { elapsedUs } = this;
    return this.executors.map((executor) => executor.ledger(elapsedUs));
  }

  get samplesRecorded(): number {
    return this.recorder.samples;
  }

  get activeVus(): number {
    return this.executors.reduce((sum, executor) => sum + executor.activeVus, 0);
  }

  private executor(scenario: PlannedScenario): Executor {
    const { epochs } = this;
    const { plan, agentId, clock } = this.options;
    const recorder = this.recorder.scenario(scenario.name);
    const around = {
      clock,
      recorder,
      beforeSample: this.beforeSample,
      afterResponse: this.afterResponse,
      ended: (actor: Parameters<Executor['ended']>[0], isCompleted: boolean, endedUs: number): void => {
        executor.ended(actor, isCompleted, endedUs);
        if (executor.isDone) setImmediate(this.settle);
      },
    };
    const executor = createExecutor(scenario, {
      plan,
      epochs,
      agentId,
      zeroUs: this.zeroUs,
      recorder,
      createActor: (vu) => this.flows.createActor(scenario.name, vu, around),
      observeLag: (lagUs) => {
        this.health.observeLag(lagUs);
      },
      mayBegin: (elapsedUs) => this.lease.holds(this.zeroUs + elapsedUs),
    });
    return executor;
  }

  /** One turn: everything in it sees the same `nowUs`. */
  private turn(nowUs: number, isLast: boolean): number {
    if (nowUs < this.zeroUs) return this.zeroUs;
    this.beforeSample(nowUs);
    const elapsedUs = nowUs - this.zeroUs;
    if (this.startErrorUs < 0) this.startErrorUs = elapsedUs;
    let dueUs = Infinity;
    let isDone = true;
    for (const executor of this.executors) {
      executor.turn(elapsedUs, isLast);
      dueUs = Math.min(dueUs, executor.dueUs);
      isDone &&= executor.isDone;
    }
    if (isDone) {
      this.finish?.();
      return Infinity;
    }
    return Math.min(this.zeroUs + dueUs, this.boundaryUs);
  }

  private readonly settle = (): void => {
    if (this.executors.every((executor) => executor.isDone)) this.finish?.();
  };

  /** A sample belongs to the interval in which it ended, so an interval that is over is sealed before anything later is recorded. */
  private readonly beforeSample = (endedUs: number): void => {
    while (endedUs >= this.boundaryUs) this.seal(this.boundaryUs, false);
  };

  private readonly afterResponse = (nowUs: number): void => {
    this.pacer.notice(nowUs);
  };

  private seal(atUs: number, isFinal: boolean): void {
    const { http, recorder, health, options } = this;
    const elapsedUs = atUs - this.zeroUs;
    options.onSealed({
      intervalIndex: this.interval,
      intervalCount: 1,
      ...recorder.seal(),
      ledgers: this.executors.map((executor) => executor.ledger(elapsedUs)),
      samplesRecorded: recorder.samples,
      health: health.seal(http.openSockets, this.activeVus, options.outboxLength()),
      epochs: this.epochCount,
      isFinal,
    });
    this.interval++;
    this.boundaryUs += this.intervalUs;
  }
}
