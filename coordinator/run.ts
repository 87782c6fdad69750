import { AppError, type Clock, type ExitCode, type Log } from '../shared/base/index.ts';
import { planEndUs, spreadOwners, type Epoch } from '../shared/plan/index.ts';
import { BundleWriter, type Snapshot } from '../shared/report/index.ts';
import { epochToWire, planToWire, workloadHash, type ResultsPlane, type RunEvent } from '../shared/wire/index.ts';
import { Checkpoints, type Checkpoint } from './checkpoint.ts';
import { Chores, type ChoresBefore } from './chores.ts';
import { Collector } from './collector.ts';
import type { EventOutbox } from './event-outbox.ts';
import type { Agent, Fleet } from './fleet.ts';
import { Live } from './live.ts';
import { judge, type Outcome, type StopCause } from './outcome.ts';
import { Participants, type Participant } from './participants.ts';
import type { AssignedAgent } from './run-fold.ts';
import { agentsBefore, CatchUp, countBehind, reopenBundle, RETURN_WITHIN_US, type Resumed } from './resume.ts';
import { settleRun, summariseRun } from './settlement.ts';
import { storeSubmission, type Submission } from './submission.ts';

/** From "start" to the run's zero: time for the message to reach every agent. */
const START_MARGIN_US = 500_000;
/** From "stop" to the end of the plan, for the same reason. */
const STOP_MARGIN_US = 300_000;
const PREPARE_TIMEOUT_MS = 60_000;
/** An agent that is heard of on neither plane for this long is lost. */
const LOST_AFTER_US = 5_000_000;
/** What agents give iterations under way after a stop. */
const STOP_GRACE_US = 5_000_000;
const LOOK_EVERY_MS = 1_000;
const READER_CLOSE_TIMEOUT_MS = 5_000;
/** The end of a run waits this long for the stream to have its events. */
const EVENTS_TIMEOUT_MS = 5_000;

export interface RunContext {
  readonly runId: string;
  readonly submission: Submission;
  readonly fleet: Fleet;
  readonly plane: ResultsPlane;
  readonly eventOutbox: EventOutbox;
  readonly bundleDir: string;
  /** How long results may still arrive after the last agent's load has ended. */
  readonly drainTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** About once a second, and whenever something happened. */
  readonly onSnapshot: (snapshot: Snapshot) => void;
  /** Where an earlier coordinator left it. */
  readonly resumed?: Resumed | undefined;
}

/** One run, from submission to verdict:
 *
 *  find agents → hand out plan and stripes → all ready → setup → start at one instant → collect, watch, judge → teardown → settle
 *  → bundle → verdict
 *
 *  A run whose coordinator died is taken up at "collect": the events say what was before, the checkpoint what was merged, the stream the rest.
 *
 *  The story is here, in order; what each step knows is in the file it calls. */
export class Run {
  private readonly context: RunContext;
  private readonly live: Live;
  private readonly events: RunEvent[] = [];
  private readonly stopping = new AbortController();
  private stopCause: StopCause | undefined;
  /** Run-relative instant at which the plan was cut. */
  private cutUs = Infinity;
  private zeroUs = Infinity;
  /** Run-relative instant at which the last agent's load was seen to be over. */
  private loadEndedUs = Infinity;
  private readonly epochs: Epoch[] = [];
  private restarts = 0;
  /** Run-relative instant at which this coordinator began with it, where another started it. */
  private takenUpUs = 0;
  private participants: Participants | undefined;
  private collector: Collector | undefined;
  private bundle: BundleWriter | undefined;
  private checkpoints: Checkpoints | undefined;
  private teardownFailure: string | undefined;
  /** Why results may not have arrived, once that is known. */
  private whyMissing: string | undefined;
  /** That NATS is not reachable has been told. */
  private isAway = false;
  private wake: () => void = () => undefined;
  state: Snapshot['state'] = 'waiting';

  constructor(context: RunContext) {
    this.context = context;
    this.live = new Live(context.runId, context.submission.plan);
  }

  /** Runs to the end, whatever happens on the way. */
  async conduct(): Promise<Outcome> {
    const { runId, fleet, log, resumed } = this.context;
    try {
      const chores = resumed === undefined ? await this.begin() : await this.takeUp(resumed);
      await this.load(chores);
      const outcome = await this.settle();
      await this.tellEnd(outcome.exitCode, outcome.message);
      return outcome;
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      log.error({ runId, code: thrown.code }, thrown.message);
      await this.tellEnd(thrown.exitCode, thrown.message);
      return { exitCode: thrown.exitCode, summary: undefined, message: thrown.message };
    } finally {
      this.state = 'finished';
      fleet.release(runId);
      await this.bundle?.close();
    }
  }

  /** Everything before the start. */
  private async begin(): Promise<Chores> {
    const { submission, plane } = this.context;
    const { plan, agents, workloadHash } = submission;
    const submissionHash = await storeSubmission(submission, plane);
    this.event('submitted', { name: plan.name, agents, durationUs: planEndUs(plan), submissionHash, workloadHash });
    const found = await this.findAgents();
    await this.prepare(found);
    const chores = this.chores();
    await chores.setUp(this.stopping.signal);
    return chores;
  }

  /** Everything up to "collect", as the events of an earlier coordinator tell it. The agents need not know: they make their load. */
  private async takeUp(resumed: Resumed): Promise<Chores> {
    const { runId, fleet, bundleDir, clock, log } = this.context;
    const { history } = resumed;
    this.events.push(...history.events);
    this.epochs.push(...history.epochs);
    ({ zeroUs: this.zeroUs, cutUs: this.cutUs, stopCause: this.stopCause } = history);
    if (this.stopCause !== undefined) this.stopping.abort();
    this.takenUpUs = this.elapsedUs;
    this.state = 'running';
    const participants = this.gather(agentsBefore(history));
    participants.await(clock.nowUs() + RETURN_WITHIN_US, 'the coordinator was restarted');
    for (const [agent, lastSeenUs] of history.lost) participants.markLost(agent, this.zeroUs + lastSeenUs);
    fleet.claim([], runId, participants);
    this.restarts = history.restarts + 1;
    this.event('coordinator-restarted', { restarts: this.restarts, elapsedUs: this.elapsedUs });
    this.live.note(`the coordinator was restarted and takes the run up`);
    const { bundle, checkpoint } = await reopenBundle(bundleDir, resumed, log);
    this.openCollector(bundle, checkpoint);
    return this.chores({ ...history, setupJson: resumed.setupJson });
  }

  /** The load, and the teardown after it whatever became of it. */
  private async load(chores: Chores): Promise<void> {
    try {
      if (this.context.resumed === undefined) {
        this.refuseIfStopped();
        await this.start(chores.setupJson);
      }
      await this.collect();
    } finally {
      this.teardownFailure = await chores.tearDown();
    }
  }

  private chores(before?: ChoresBefore): Chores {
    const { runId, submission, fleet, clock } = this.context;
    const { participants } = this;
    if (participants === undefined) throw new Error('nobody to do chores');
    const context = {
      runId,
      plan: submission.plan,
      fleet,
      participants,
      clock,
      giving: (kind: string, agent: string) => {
        this.event('chore-given', { kind, agent });
      },
      tell: (kind: string, agent: string, failure: string) => {
        this.live.note(`${kind} on agent ${agent}: ${failure === '' ? 'done' : failure}`);
        this.look();
        this.event('chore', { kind, agent, failure });
      },
    };
    return new Chores(context, before);
  }

  /** Ends the plan for all agents at one instant a little ahead. A second call changes nothing. */
  stop(cause: StopCause): void {
    if (this.stopCause !== undefined) return;
    this.stopCause = cause;
    this.live.note(cause.reason);
    this.stopping.abort();
    this.wake();
    if (this.zeroUs === Infinity) return;
    this.cutUs = Math.max(0, this.elapsedUs) + STOP_MARGIN_US;
    this.event('stopping', { atUs: this.cutUs, ...cause });
    for (const { agent } of this.participants?.all ?? []) this.sendStop(agent);
  }

  private sendStop(agent: Agent): void {
    const { runId, fleet } = this.context;
    fleet.send(agent, { $case: 'stop', value: { runId, atUs: this.cutUs, reason: this.stopCause?.reason ?? '' } });
  }

  get elapsedUs(): number {
    return this.zeroUs === Infinity ? 0 : this.context.clock.nowUs() - this.zeroUs;
  }

  get agentCount(): number {
    return this.participants?.all.length ?? 0;
  }

  private async findAgents(): Promise<readonly Agent[]> {
    const { fleet, submission, runId } = this.context;
    const wanted = submission.agents;
    const enough = (): boolean => fleet.ready().length >= Math.max(1, wanted);
    this.look();
    if (!(await fleet.until(enough, submission.waitAgentsMs, this.stopping.signal))) {
      this.refuseIfStopped();
      const free = fleet.ready().length;
      throw new AppError(
        'NO_AGENTS',
        `${free} of ${Math.max(1, wanted)} agents free after ${submission.waitAgentsMs / 1000} s (${fleet.agents().length} joined)`,
      );
    }
    const agents = fleet.ready().sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, wanted === 0 ? undefined : wanted); // prettier-ignore
    fleet.claim(agents, runId, this.gather(agents));
    return agents;
  }

  private gather(agents: readonly Agent[]): Participants {
    const wake = (): void => {
      this.wake();
    };
    // Whoever was away may have missed that the run was stopped, and its intervals are waited for again.
    const onBack = ({ agent }: Participant): void => {
      if (this.cutUs !== Infinity) this.sendStop(agent);
      this.collector?.expect(participants.expected);
    };
    const participants = new Participants(agents, this.context.clock, wake, onBack);
    this.participants = participants;
    return participants;
  }

  private async prepare(agents: readonly Agent[]): Promise<void> {
    const { fleet, submission, runId } = this.context;
    this.state = 'preparing';
    this.look();
    const { plan, workloadHash } = submission;
    const { epochs } = this;
    epochs.push({ number: 0, fromUs: 0, owners: spreadOwners(agents.map(({ id, capacity }) => ({ id, weight: capacity }))) });
    for (const agent of agents) {
      fleet.send(agent, { $case: 'assign', value: { runId, plan: planToWire(plan), workloadHash, epochs: epochs.map(epochToWire) } });
    }
    this.event('assigned', { agents: agents.map(assignedAgent), workloadHash, epochs: [...epochs] });
    const parts = this.participants?.all ?? [];
    const isSettled = (): boolean => parts.every((part) => part.isReady || part.refusal !== undefined || part.disconnected !== undefined);
    const inTime = await this.context.fleet.until(isSettled, PREPARE_TIMEOUT_MS, this.stopping.signal);
    this.refuseIfStopped();
    for (const { agent, refusal, disconnected } of parts) {
      if (refusal !== undefined)
        throw new AppError(refusal.scriptThrew ? 'SCRIPT_THREW' : 'AGENT_REFUSED', `agent ${agent.id}: ${refusal.reason}`);
      if (disconnected !== undefined) throw new AppError('NO_AGENTS', `agent ${agent.id} left before the start: ${disconnected}`);
    }
    if (!inTime) {
      const late = parts.filter(({ isReady }) => !isReady).map(({ agent }) => agent.id);
      throw new AppError('NO_AGENTS', `not ready after ${PREPARE_TIMEOUT_MS / 1000} s: ${late.join(', ')}`);
    }
  }

  private async start(setupJson: string): Promise<void> {
    const { fleet, runId, plane, bundleDir, clock } = this.context;
    const agents = this.participants?.all.map(({ agent }) => agent) ?? [];
    const setupHash = setupJson === '' ? undefined : workloadHash(Buffer.from(setupJson));
    if (setupHash !== undefined) await plane.putBlob(setupHash, Buffer.from(setupJson));
    this.openCollector(await BundleWriter.open(bundleDir, clock.nowUs() + START_MARGIN_US));
    this.zeroUs = clock.nowUs() + START_MARGIN_US;
    const clocks = agents.map(({ id, clock: estimate }) => ({ agent: id, ...estimate }));
    this.event('started', { zeroUs: this.zeroUs, clocks, setupHash });
    for (const part of this.participants?.all ?? []) part.clockAtStart = part.agent.clock;
    for (const agent of agents) {
      fleet.send(agent, { $case: 'start', value: { runId, atAgentClockUs: this.zeroUs + agent.clock.offsetUs, setupJson } });
    }
    this.state = 'running';
  }

  private openCollector(bundle: BundleWriter, checkpoint?: Checkpoint): void {
    const { runId, submission, plane, clock, log } = this.context;
    const collector = new Collector(submission.plan, submission.thresholds, bundle, log, checkpoint?.collector);
    if (this.participants !== undefined) collector.expect(this.participants.expected);
    const drop = (sequence: number): Promise<void> => plane.dropBatches(runId, sequence);
    this.bundle = bundle;
    this.collector = collector;
    this.checkpoints = new Checkpoints({ runId, bundle, collector, drop, clock, log }, checkpoint?.sequence ?? 0);
  }

  /** Merges what comes in until every agent has delivered its last batch or is lost. */
  private async collect(): Promise<void> {
    const { plane, runId, clock, log } = this.context;
    const { collector, participants, checkpoints } = this;
    if (collector === undefined || participants === undefined || checkpoints === undefined) throw new Error('nothing to collect with');
    const fromSequence = checkpoints.position.sequence + 1;
    const behind = this.restarts === 0 ? 0 : await countBehind(plane, runId, fromSequence, clock, log);
    const catchUp = new CatchUp(behind, clock.nowUs());
    const done = new AbortController();
    const reading = plane.readBatches(
      {
        runId,
        fromSequence,
        onBatch: (batch, sequence) => {
          participants.heard(batch.key.agent);
          collector.add(batch);
          checkpoints.took(sequence);
          catchUp.took(clock.nowUs());
          this.wake();
        },
        onGarbage: (reason) => {
          collector.refuse(reason);
          catchUp.took(clock.nowUs());
        },
        onTrouble: (reason) => {
          log.warn({ runId, reason }, 'reading results begins anew');
        },
      },
      done.signal,
    );
    let nextLookUs = clock.nowUs();
    while (!catchUp.isDone(clock.nowUs()) || !this.isOver(participants, collector)) {
      checkpoints.makeIfDue();
      if (catchUp.isDone(clock.nowUs())) this.findLost(participants, collector);
      if (collector.abort !== undefined)
        this.stop({ kind: 'threshold', reason: `threshold ${collector.abort.metric}: ${collector.abort.expression} failed` });
      const nowUs = clock.nowUs();
      if (nowUs >= nextLookUs) {
        nextLookUs += LOOK_EVERY_MS * 1000;
        if (participants.all.every(({ loadEnded, isLost }) => loadEnded || isLost)) this.state = 'draining';
        this.tellAway();
        this.look();
      }
      await this.nap((nextLookUs - nowUs) / 1000);
    }
    if (!plane.isReachable)
      this.whyMissing = `NATS was not reachable for ${this.context.drainTimeoutMs / 1000} s after the load (--drain-timeout)`;
    done.abort();
    const waited = new AbortController();
    await Promise.race([reading, clock.sleep(READER_CLOSE_TIMEOUT_MS, waited.signal)]);
    waited.abort();
    collector.finish();
    await checkpoints.settled();
    // What happened since the last look would not be told otherwise.
    this.look();
  }

  /** Tells when NATS goes away and when it is back: results wait with the agents meanwhile, at the end for as long as the run drains. */
  private tellAway(): void {
    const { plane, drainTimeoutMs } = this.context;
    if (plane.isReachable !== this.isAway) return;
    this.isAway = !plane.isReachable;
    this.live.note(
      this.isAway
        ? `NATS is not reachable: results wait with the agents, after the load for up to ${drainTimeoutMs / 1000} s`
        : 'NATS is back: results come in again',
    );
  }

  private isOver(participants: Participants, collector: Collector): boolean {
    const { complete } = collector;
    const isDone = (part: Participant): boolean =>
      part.isLost || (complete.has(part.agent.id) && (part.finished !== undefined || participants.isAway(part)));
    if (participants.all.every(isDone)) return true;
    if (participants.all.every(({ loadEnded, isLost }) => loadEnded || isLost))
      this.loadEndedUs = Math.min(this.loadEndedUs, this.elapsedUs);
    const endedUs = Math.max(this.takenUpUs, Math.min(this.loadEndedUs, this.latestEndUs));
    return this.elapsedUs > endedUs + this.context.drainTimeoutMs * 1000;
  }

  /** When the slowest agent must have ended its load: the plan's end or the cut, and the grace after it. */
  private get latestEndUs(): number {
    return Math.min(planEndUs(this.context.submission.plan), this.cutUs + STOP_GRACE_US);
  }

  private findLost(participants: Participants, collector: Collector): void {
    const nowUs = this.context.clock.nowUs();
    for (const part of participants.all) this.tellSilent(part, participants, collector);
    for (const part of participants.all) {
      // While its stream is up the fleet watches the heartbeat; without one, its batches are the sign of life.
      if (part.isLost || part.disconnected === undefined || !participants.isAway(part) || nowUs - part.lastSeenUs < LOST_AFTER_US) continue;
      if (collector.agents.some(({ agent, last }) => agent === part.agent.id && last.isFinal)) continue;
      part.isLost = true;
      const reason = `agent ${part.agent.id} lost: ${part.disconnected}`;
      this.live.note(reason);
      this.event('agent-lost', { agent: part.agent.id, reason: part.disconnected, lastSeenUs: part.lastSeenUs - this.zeroUs });
      if (this.context.submission.onAgentLoss === 'fail') this.stop({ kind: 'agent-lost', reason });
    }
  }

  /** An agent whose stream broke is not waited for with every interval: it may deliver late, or never. */
  private tellSilent(part: Participant, participants: Participants, collector: Collector): void {
    if (part.isToldSilent || part.disconnected === undefined || !participants.isAway(part) || part.finished !== undefined) return;
    part.isToldSilent = true;
    this.live.note(`agent ${part.agent.id}: ${part.disconnected}; waiting ${LOST_AFTER_US / 1_000_000} s for a sign of life`);
    collector.expect(participants.expected);
  }

  /** Adds everything up, writes the bundle and judges. */
  private async settle(): Promise<Outcome> {
    const { submission, runId } = this.context;
    const { collector, participants, bundle, checkpoints, stopCause, zeroUs, cutUs, epochs, restarts, whyMissing } = this;
    if (collector === undefined || participants === undefined || bundle === undefined) throw new Error('nothing to settle');
    participants.loseSilent(collector);
    const settlement = settleRun({
      runId,
      submission,
      epochs,
      zeroUs,
      cutUs,
      stopped: stopCause?.reason,
      restarts,
      whyMissing,
      participants,
      collector,
    });
    const { startedAt } = settlement.run;
    await bundle.writeRun({
      schemaVersion: 1,
      run: { id: runId, name: submission.plan.name, startedAt },
      intervalMs: submission.plan.intervalMs,
      scenario: submission.source,
      plan: submission.plan,
      agents: participants.all.map(manifestAgent),
      epochs,
      events: this.events,
      checkpoint: checkpoints?.position,
    });
    await bundle.writeSummary(summariseRun(settlement, bundle.failure));
    await bundle.close();
    // What failed while writing the summary itself can only be told in the outcome.
    return judge(summariseRun(settlement, bundle.failure), stopCause, participants.scriptError, this.teardownFailure);
  }

  private refuseIfStopped(): void {
    if (this.stopCause !== undefined) throw new AppError('STOPPED', `stopped before the start: ${this.stopCause.reason}`);
  }

  private look(): void {
    const { onSnapshot, submission } = this.context;
    onSnapshot(
      this.live.look(this.state, this.elapsedUs, this.participants?.all.length ?? submission.agents, this.participants, this.collector),
    );
  }

  private async nap(ms: number): Promise<void> {
    const woken = new AbortController();
    this.wake = () => {
      woken.abort();
    };
    await this.context.clock.sleep(Math.max(1, ms), woken.signal);
  }

  /** Events are state for whoever comes after: kept until the stream has them. */
  private event(kind: RunEvent['kind'], detail: Readonly<Record<string, unknown>>): void {
    const { runId, eventOutbox, clock } = this.context;
    const event: RunEvent = { runId, atMs: clock.nowUs() / 1000, kind, detail };
    this.events.push(event);
    eventOutbox.add(event);
  }

  private async tellEnd(exitCode: ExitCode, message: string): Promise<void> {
    this.event('finished', { exitCode, message, elapsedUs: this.elapsedUs });
    // As long as the stream does not know of the end, a restart goes on from the checkpoint.
    if (await this.context.eventOutbox.flushed(EVENTS_TIMEOUT_MS)) await this.bundle?.removeCheckpoint();
  }
}

function assignedAgent({ id, incarnation, version, labels, capacity }: Agent): AssignedAgent {
  return { id, incarnation, version, labels, capacity };
}

function manifestAgent({ agent, isLost, finished }: Participant): object {
  const { id, incarnation, version, labels, capacity, clock } = agent;
  return { id, incarnation, version, labels, capacity, clock, isLost, startErrorUs: finished?.startErrorUs, batches: finished?.batches };
}
