import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { AppError, type Clock, type Log } from '../shared/base/index.ts';
import { endUs } from '../shared/plan/index.ts';
import type { Snapshot } from '../shared/report/index.ts';
import { ResultsPlane, type StreamOptions } from '../shared/wire/index.ts';
import { EventOutbox } from './event-outbox.ts';
import { Fleet, type Agent } from './fleet.ts';
import type { LiveChange, ScaleRequest } from './live-control.ts';
import type { Outcome } from './outcome.ts';
import { entryOf, outcomeOf, type RunEntry } from './past-runs.ts';
import { loadResumed, type Resumed } from './resume.ts';
import { Run } from './run.ts';
import { foldRuns, type RunHistory } from './run-fold.ts';
import type { Submission } from './submission.ts';

export interface CoordinatorOptions {
  readonly natsUrl: string;
  /** Folder of the run bundles, one folder a run. */
  readonly runsDir: string;
  readonly joinToken: string;
  readonly stream: StreamOptions;
  /** How long results may still arrive after the last agent's load has ended. */
  readonly drainTimeoutMs: number;
  /** It is there for runs of its own process alone: it takes up none that another coordinator left behind, and answers no health checks and no
   *  reflection. */
  readonly isPrivate: boolean;
}

/** What is told to somebody who watches a run. */
export type WatchItem =
  { readonly kind: 'snapshot'; readonly snapshot: Snapshot } | { readonly kind: 'outcome'; readonly outcome: Outcome };

/** Runs kept in memory after their end; older ones are still on disk. */
const RUNS_KEPT = 200;

/** What a coordinator knows and does: the fleet of agents and the runs. How it is reached is `serve.ts`. */
export class Coordinator {
  private readonly options: CoordinatorOptions;
  private readonly plane: ResultsPlane;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly fleet: Fleet;
  private readonly runs = new Map<string, ActiveRun>();
  /** Runs of other processes, as the stream tells them. */
  private readonly past = new Map<string, RunHistory>();
  /** Runs that wait to be taken up. */
  private readonly left: Resumed[] = [];
  private readonly eventOutbox: EventOutbox;
  private readonly beating: NodeJS.Timeout;

  /** Reads what became of earlier runs. Throws `AppError` when NATS cannot be reached or keeps no stream. */
  static async start(options: CoordinatorOptions, clock: Clock, log: Log): Promise<Coordinator> {
    const plane = await ResultsPlane.connect(options.natsUrl, 'coordinator');
    try {
      await plane.ensureStream(options.stream);
      const coordinator = new Coordinator(options, plane, clock, log);
      for (const history of foldRuns(await plane.events()).values()) await coordinator.remember(history);
      return coordinator;
    } catch (thrown) {
      await plane.close();
      throw thrown;
    }
  }

  private constructor(options: CoordinatorOptions, plane: ResultsPlane, clock: Clock, log: Log) {
    this.options = options;
    this.plane = plane;
    this.clock = clock;
    this.log = log;
    this.eventOutbox = new EventOutbox((event, id) => plane.publishEvent(event, id), clock, log);
    this.fleet = new Fleet(clock, log, options.joinToken);
    this.beating = setInterval(() => {
      this.fleet.beat();
    }, 1_000);
  }

  /** Stores a part of a file that a submission will refer to. Throws `AppError` when it is not what its hash says, or cannot be kept. */
  async keepFilePart(hash: string, part: Uint8Array): Promise<void> {
    try {
      await this.plane.putBlob(hash, part);
    } catch (thrown) {
      throw AppError.from(thrown, 'NATS_UNAVAILABLE', 'a part of a file could not be stored');
    }
  }

  get agents(): Agent[] {
    return this.fleet.agents();
  }

  /** The control server's side of the fleet. */
  get members(): Pick<Fleet, 'join' | 'receive' | 'left'> {
    return this.fleet;
  }

  /** Begins a run and returns its id at once. */
  submit(submission: Submission): string {
    const runId = newRunId(this.clock);
    this.conduct(runId, submission, this.clock.nowUs());
    this.log.info({ runId, name: submission.plan.name }, 'run submitted');
    return runId;
  }

  /** Snapshots from now on, then the outcome. Throws `AppError('RUN_UNKNOWN')`. */
  watch(runId: string, onItem: (item: WatchItem) => void): () => void {
    const past = this.past.get(runId);
    if (past?.finished === undefined) return this.find(runId).watch(onItem);
    void outcomeOf(past, past.finished, this.bundleDir(runId)).then((outcome) => {
      onItem({ kind: 'outcome', outcome });
    });
    return () => undefined;
  }

  stop(runId: string, reason: string): void {
    this.find(runId).run.stop({ kind: 'person', reason });
  }

  scale(runId: string, request: ScaleRequest): LiveChange {
    return this.find(runId).run.control.scale(request);
  }

  pause(runId: string): LiveChange {
    return this.find(runId).run.control.pause();
  }

  resume(runId: string): LiveChange {
    return this.find(runId).run.control.resume();
  }

  list(): RunEntry[] {
    return [...[...this.past.values()].map(entryOf), ...[...this.runs.values()].map((active) => active.entry)];
  }

  /** Folder of a run's bundle. Throws `AppError('RUN_UNKNOWN')`. */
  bundleOf(runId: string): string {
    if (!this.list().some((entry) => entry.runId === runId)) throw unknownRun(runId);
    return this.bundleDir(runId);
  }

  /** A run is under way. */
  get isBusy(): boolean {
    return [...this.runs.values()].some(({ entry }) => entry.exitCode === undefined);
  }

  /** Stops every run and waits for their verdicts. */
  async endRuns(): Promise<void> {
    for (const { run, entry } of this.runs.values())
      if (entry.exitCode === undefined) run.stop({ kind: 'person', reason: 'the coordinator was stopped' });
    await Promise.all([...this.runs.values()].map(({ done }) => done));
  }

  async close(): Promise<void> {
    await this.endRuns();
    clearInterval(this.beating);
    await this.eventOutbox.close();
    await this.plane.close();
  }

  /** Goes on with every run that another coordinator left in its middle. To be called when agents can dial in, and before the first does: it
   *  would be told that its run is over. */
  takeUp(): void {
    for (const resumed of this.left.splice(0)) {
      const { runId, name, submittedAtMs } = resumed.history;
      this.past.delete(runId);
      this.conduct(runId, resumed.submission, submittedAtMs * 1000, resumed);
      this.log.info({ runId, name, fromSequence: resumed.checkpoint?.sequence ?? 0 }, 'run taken up');
    }
  }

  /** Keeps in mind what is known of a run, and prepares to take it up when nobody else conducts it. */
  private async remember(history: RunHistory): Promise<void> {
    const { runId, name, zeroUs, finished } = history;
    const past = { ...history, events: [] };
    this.past.set(runId, past);
    if (finished !== undefined || this.options.isPrivate || (await this.plane.isOwned(runId))) return;
    try {
      if (zeroUs === undefined) throw new AppError('COORDINATOR_UNAVAILABLE', 'the coordinator was restarted before the run had begun');
      this.left.push(await loadResumed({ ...history, zeroUs }, this.plane, this.bundleDir(runId), this.log));
    } catch (thrown) {
      const { exitCode, message } = AppError.from(thrown, 'NATS_UNAVAILABLE', 'the run cannot be taken up');
      this.log.error({ runId, name, reason: message }, 'run given up');
      this.eventOutbox.add({ runId, atMs: this.clock.nowUs() / 1000, kind: 'finished', detail: { exitCode, message, elapsedUs: 0 } });
      this.past.set(runId, { ...past, finished: { exitCode, message, elapsedUs: 0 } });
    }
  }

  private conduct(runId: string, submission: Submission, submittedUs: number, resumed?: Resumed): void {
    const { fleet, plane, eventOutbox, clock, log } = this;
    const { drainTimeoutMs } = this.options;
    const around = { fleet, plane, eventOutbox, clock, log, drainTimeoutMs, bundleDir: this.bundleDir(runId) };
    const disown = plane.ownRun(runId);
    const create = (onSnapshot: (snapshot: Snapshot) => void): Run => new Run({ runId, submission, resumed, onSnapshot, ...around });
    this.runs.set(runId, new ActiveRun(runId, submission, submittedUs, create, disown));
    this.forgetOldest();
  }

  private find(runId: string): ActiveRun {
    const active = this.runs.get(runId);
    if (active !== undefined) return active;
    const past = this.past.get(runId);
    if (past === undefined) throw unknownRun(runId);
    throw new AppError('RUN_UNKNOWN', `run ${runId} ${past.finished === undefined ? 'is conducted by another coordinator' : 'is over'}`);
  }

  private bundleDir(runId: string): string {
    return join(this.options.runsDir, runId);
  }

  private forgetOldest(): void {
    for (const [runId, { entry }] of this.runs) {
      if (this.runs.size <= RUNS_KEPT) return;
      if (entry.exitCode !== undefined) this.runs.delete(runId);
    }
  }
}

/** A run with those who watch it. */
class ActiveRun {
  readonly run: Run;
  readonly done: Promise<void>;
  private readonly runId: string;
  private readonly submission: Submission;
  private readonly submittedUs: number;
  private readonly watchers = new Set<(item: WatchItem) => void>();
  private latest: Snapshot | undefined;
  private outcome: Outcome | undefined;

  constructor(
    runId: string,
    submission: Submission,
    submittedUs: number,
    create: (onSnapshot: (snapshot: Snapshot) => void) => Run,
    onEnd: () => void,
  ) {
    this.runId = runId;
    this.submission = submission;
    this.submittedUs = submittedUs;
    this.run = create((snapshot) => {
      this.latest = snapshot;
      this.tell({ kind: 'snapshot', snapshot });
    });
    this.done = this.run.conduct().then((outcome) => {
      this.outcome = outcome;
      onEnd();
      this.tell({ kind: 'outcome', outcome });
    });
  }

  watch(onItem: (item: WatchItem) => void): () => void {
    if (this.latest !== undefined && this.outcome === undefined) onItem({ kind: 'snapshot', snapshot: this.latest });
    if (this.outcome !== undefined) onItem({ kind: 'outcome', outcome: this.outcome });
    this.watchers.add(onItem);
    return () => this.watchers.delete(onItem);
  }

  get entry(): RunEntry {
    const { plan } = this.submission;
    return {
      runId: this.runId,
      name: plan.name,
      state: this.run.state,
      submittedAtMs: this.submittedUs / 1000,
      elapsedUs: Math.max(0, this.latest?.elapsedUs ?? 0),
      durationUs: Math.max(...plan.scenarios.map(endUs)),
      agents: this.run.agentCount,
      exitCode: this.outcome?.exitCode,
    };
  }

  private tell(item: WatchItem): void {
    for (const watcher of this.watchers) watcher(item);
  }
}

/** Sorts by time and reads well: 20260131-142501-9f3a. */
function newRunId(clock: Clock): string {
  const [date = '', time = ''] = new Date(clock.nowUs() / 1000).toISOString().split(/[T.]/);
  return `${date.replaceAll('-', '')}-${time.replaceAll(':', '')}-${randomBytes(2).toString('hex')}`;
}

function unknownRun(runId: string): AppError {
  return new AppError('RUN_UNKNOWN', `no run ${runId} here; "muster runs" lists them`);
}
