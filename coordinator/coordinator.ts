import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { AppError, type Clock, type Log } from '../shared/base/index.ts';
import { endUs } from '../shared/plan/index.ts';
import type { Snapshot } from '../shared/report/index.ts';
import { ResultsPlane, type RunEvent, type StreamOptions } from '../shared/wire/index.ts';
import { Fleet, type Agent } from './fleet.ts';
import type { Outcome } from './outcome.ts';
import { Run } from './run.ts';
import type { Submission } from './submission.ts';

export interface CoordinatorOptions {
  readonly natsUrl: string;
  /** Folder of the run bundles, one folder a run. */
  readonly runsDir: string;
  readonly joinToken: string;
  readonly stream: StreamOptions;
  /** How long results may still arrive after the last agent's load has ended. */
  readonly drainTimeoutMs: number;
}

/** What is told to somebody who watches a run. */
export type WatchItem =
  { readonly kind: 'snapshot'; readonly snapshot: Snapshot } | { readonly kind: 'outcome'; readonly outcome: Outcome };

/** A run as it is listed. */
export interface RunEntry {
  readonly runId: string;
  readonly name: string;
  /** `lost`: an earlier coordinator ended before it did. */
  readonly state: Snapshot['state'] | 'lost';
  readonly submittedAtMs: number;
  readonly elapsedUs: number;
  readonly durationUs: number;
  readonly agents: number;
  readonly exitCode: number | undefined;
}

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
  /** Runs of earlier processes, as the stream tells them. */
  private readonly past: readonly RunEntry[];
  private readonly beating: NodeJS.Timeout;

  /** Throws `AppError` when NATS cannot be reached or keeps no stream. */
  static async start(options: CoordinatorOptions, clock: Clock, log: Log): Promise<Coordinator> {
    const plane = await ResultsPlane.connect(options.natsUrl, 'coordinator');
    try {
      await plane.ensureStream(options.stream);
      return new Coordinator(options, plane, clock, log, pastRuns(await plane.events()));
    } catch (thrown) {
      await plane.close();
      throw thrown;
    }
  }

  private constructor(options: CoordinatorOptions, plane: ResultsPlane, clock: Clock, log: Log, past: readonly RunEntry[]) {
    this.options = options;
    this.plane = plane;
    this.clock = clock;
    this.log = log;
    this.past = past;
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
    const active = new ActiveRun(
      runId,
      submission,
      this.clock.nowUs(),
      (onSnapshot) =>
        new Run({
          runId,
          submission,
          fleet: this.fleet,
          plane: this.plane,
          bundleDir: this.bundleDir(runId),
          drainTimeoutMs: this.options.drainTimeoutMs,
          clock: this.clock,
          log: this.log,
          onSnapshot,
        }),
    );
    this.runs.set(runId, active);
    this.forgetOldest();
    this.log.info({ runId, name: submission.plan.name }, 'run submitted');
    return runId;
  }

  /** Snapshots from now on, then the outcome. Throws `AppError('RUN_UNKNOWN')`. */
  watch(runId: string, onItem: (item: WatchItem) => void): () => void {
    return this.find(runId).watch(onItem);
  }

  stop(runId: string, reason: string): void {
    this.find(runId).run.stop({ kind: 'person', reason });
  }

  list(): RunEntry[] {
    return [...this.past, ...[...this.runs.values()].map((active) => active.entry)];
  }

  /** Folder of a run's bundle. Throws `AppError('RUN_UNKNOWN')`. */
  bundleOf(runId: string): string {
    if (!this.list().some((entry) => entry.runId === runId)) throw unknownRun(runId);
    return this.bundleDir(runId);
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
    await this.plane.close();
  }

  private find(runId: string): ActiveRun {
    const active = this.runs.get(runId);
    if (active !== undefined) return active;
    const past = this.past.find((entry) => entry.runId === runId);
    if (past === undefined) throw unknownRun(runId);
    const why = past.state === 'lost' ? 'was lost with an earlier coordinator: what its agents still send ends with them' : 'is over';
    throw new AppError('RUN_UNKNOWN', `run ${runId} ${why}`);
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

  constructor(runId: string, submission: Submission, submittedUs: number, create: (onSnapshot: (snapshot: Snapshot) => void) => Run) {
    this.runId = runId;
    this.submission = submission;
    this.submittedUs = submittedUs;
    this.run = create((snapshot) => {
      this.latest = snapshot;
      this.tell({ kind: 'snapshot', snapshot });
    });
    this.done = this.run.conduct().then((outcome) => {
      this.outcome = outcome;
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

/** What the stream tells of runs that ended, or were cut short, before this process began. */
function pastRuns(events: readonly RunEvent[]): RunEntry[] {
  const runs = new Map<string, RunEntry>();
  for (const { runId, kind, atMs, detail } of events) {
    if (kind === 'submitted') {
      const name = typeof detail['name'] === 'string' ? detail['name'] : '';
      runs.set(runId, { runId, name, state: 'lost', submittedAtMs: atMs, elapsedUs: 0, durationUs: 0, agents: 0, exitCode: undefined });
    }
    const run = runs.get(runId);
    if (run === undefined) continue;
    if (kind === 'assigned' && Array.isArray(detail['agents'])) runs.set(runId, { ...run, agents: detail['agents'].length });
    if (kind === 'finished' && typeof detail['exitCode'] === 'number')
      runs.set(runId, { ...run, state: 'finished', exitCode: detail['exitCode'] });
  }
  return [...runs.values()];
}
