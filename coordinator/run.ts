import { AppError, reasonOf, type Clock, type ExitCode, type Log } from '../shared/base/index.ts';
import { amendPlan, loadEndUs, planEndUs, plannedArrivals, spreadOwners, type Epoch } from '../shared/plan/index.ts';
import { BundleWriter, writeReport, type Snapshot } from '../shared/report/index.ts';
import { planToWire, type CoordinatorMessage, type ResultsPlane, type RunEvent } from '../shared/wire/index.ts';
import { Checkpoints, type Checkpoint } from './checkpoint.ts';
import { Chores, type ChoresBefore } from './chores.ts';
import { Collector } from './collector.ts';
import { EpochLog } from './epoch-log.ts';
import type { EventOutbox } from './event-outbox.ts';
import type { Agent, Fleet } from './fleet.ts';
import { LateJoiners } from './late-joiners.ts';
import { LiveControl } from './live-control.ts';
import { Live } from './live.ts';
import { earliestUs, EPOCH_MARGIN_US, lossTerms } from './loss-terms.ts';
import { Membership, type MembershipChange } from './membership.ts';
import { judge, type Outcome, type StopCause } from './outcome.ts';
import { Participants, type Participant } from './participants.ts';
import type { AssignedAgent } from './run-fold.ts';
import { agentsBefore, CatchUp, countBehind, reopenBundle, RETURN_WITHIN_US, type Resumed } from './resume.ts';
import { settleRun, summariseRun } from './settlement.ts';
import { storeSetup, storeSubmission, type Submission } from './submission.ts';

/** From "start" to the run's zero: time for the message to reach every agent. */
const START_MARGIN_US = 500_000;
/** From "stop" to the end of the plan, for the same reason. */
const STOP_MARGIN_US = 300_000;
const PREPARE_TIMEOUT_MS = 60_000;
/** What agents give iterations under way after a stop. */
const STOP_GRACE_US = 5_000_000;
/** How often a run tells how it is doing, and how often it looks who is still there. */
const LOOK_EVERY_MS = 1_000;
/** What is heard within this time is looked at together: a look goes over all agents, and each of them speaks every second or
 *  twice in it. */
const TURN_MS = 20;
/** Why a nap is over before its time. */
const WOKEN = 'woken';
const MEMBERS_EVERY_MS = 200;
const READER_CLOSE_TIMEOUT_MS = 5_000;
/** The end of a run waits this long for the stream to have its events. */
const EVENTS_TIMEOUT_MS = 5_000;
/** An epoch waits this long for the stream to have it before the agents are told: well within its margin. */
const EPOCH_STORED_WITHIN_MS = 200;

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
  private restarts = 0;
  /** Run-relative instant at which this coordinator began with it, where another started it. */
  private takenUpUs = 0;
  private participants: Participants | undefined;
  private collector: Collector | undefined;
  private epochs: EpochLog | undefined;
  private membership: Membership | undefined;
  private lateJoiners: LateJoiners | undefined;
  private liveControl: LiveControl | undefined;
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
    ({ zeroUs: this.zeroUs, cutUs: this.cutUs, stopCause: this.stopCause } = history);
    if (this.stopCause !== undefined) this.stopping.abort();
    this.takenUpUs = this.elapsedUs;
    this.state = 'running';
    const participants = this.gather(agentsBefore(history));
    const epochs = this.openEpochs(history.epochs, participants);
    participants.await(clock.nowUs() + RETURN_WITHIN_US, 'the coordinator was restarted');
    for (const [agent, lastSeenUs] of history.lost) participants.markLost(agent, this.zeroUs + lastSeenUs);
    for (const agent of history.returned) participants.markReturned(agent);
    fleet.claim([], runId, participants);
    this.restarts = history.restarts + 1;
    this.event('coordinator-restarted', { restarts: this.restarts, elapsedUs: this.elapsedUs });
    this.live.note(`the coordinator was restarted and takes the run up`);
    const { bundle, checkpoint } = await reopenBundle(bundleDir, resumed, log);
    this.openCollector(bundle, checkpoint);
    this.watchOver(participants, epochs, resumed.setupJson);
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

  /** Changes of the load in mid-run. Throws `AppError('USAGE')` before the load has begun and when it is over. */
  get control(): LiveControl {
    if (this.liveControl === undefined || this.state !== 'running')
      throw new AppError('USAGE', `run ${this.context.runId} is ${this.state}: only a load under way can be changed`);
    return this.liveControl;
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
    const participants = new Participants(agents, this.context.clock, {
      onChange: () => {
        this.wake();
      },
      // Whoever was away may have missed that the run was stopped.
      onBack: ({ agent }) => {
        if (this.cutUs !== Infinity) this.sendStop(agent);
      },
      onProgress: (part, progress) => this.epochs?.answer(part, progress),
    });
    this.participants = participants;
    return participants;
  }

  private async prepare(agents: readonly Agent[]): Promise<void> {
    const { fleet, submission } = this.context;
    this.state = 'preparing';
    this.look();
    const { workloadHash } = submission;
    const { participants } = this;
    if (participants === undefined) throw new Error('nobody to prepare');
    const epochs: Epoch[] = [{ number: 0, fromUs: 0, owners: spreadOwners(agents.map(({ id, capacity }) => ({ id, weight: capacity }))) }];
    this.openEpochs(epochs, participants);
    for (const agent of agents) fleet.send(agent, this.assign(agent));
    this.event('assigned', { agents: agents.map(assignedAgent), workloadHash, epochs });
    const parts = participants.all;
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

  /** What an agent needs to take part: the plan and all epochs so far. Where another may be given its share, it fires on a lease. */
  private assign(agent: Agent): CoordinatorMessage {
    const { runId, submission } = this.context;
    const { plan, workloadHash } = submission;
    const epochs = this.epochs?.toWire(agent.id) ?? [];
    const lease = this.isLeased ? lossTerms(plan).lease : undefined;
    return { $case: 'assign', value: { runId, plan: planToWire(plan), workloadHash, epochs, lease } };
  }

  /** One agent alone has nobody who could take over, and so needs nobody's leave. */
  private get isLeased(): boolean {
    const { onAgentLoss, lateJoin } = this.context.submission;
    return onAgentLoss === 'rebalance' && (lateJoin || this.agentCount > 1);
  }

  private openEpochs(epochs: readonly Epoch[], participants: Participants): EpochLog {
    const { runId, fleet, submission, eventOutbox } = this.context;
    const log = new EpochLog(epochs, {
      ...{ runId, fleet, participants },
      tell: async (epoch) => {
        this.live.amend(amendPlan(submission.plan, log.all));
        this.event('epoch', { ...epoch });
        await eventOutbox.flushed(EPOCH_STORED_WITHIN_MS);
      },
    });
    this.epochs = log;
    this.live.amend(amendPlan(submission.plan, epochs));
    return log;
  }

  private async start(setupJson: string): Promise<void> {
    const { fleet, plane, bundleDir, clock } = this.context;
    const { participants, epochs } = this;
    if (participants === undefined || epochs === undefined) throw new Error('nobody to start');
    const setupHash = await storeSetup(setupJson, plane);
    this.openCollector(await BundleWriter.open(bundleDir, clock.nowUs() + START_MARGIN_US));
    this.zeroUs = clock.nowUs() + START_MARGIN_US;
    const clocks = participants.all.map(({ agent: { id, clock: estimate } }) => ({ agent: id, ...estimate }));
    this.event('started', { zeroUs: this.zeroUs, clocks, setupHash });
    for (const part of participants.all) {
      part.hasStarted = true;
      part.clockAtStart = part.agent.clock;
      fleet.send(part.agent, this.startMessage(part.agent, setupJson));
    }
    this.watchOver(participants, epochs, setupJson);
    this.state = 'running';
  }

  private startMessage(agent: Agent, setupJson: string): CoordinatorMessage {
    const { runId } = this.context;
    return { $case: 'start', value: { runId, atAgentClockUs: this.zeroUs + agent.clock.offsetUs, setupJson } };
  }

  /** From here on agents may go and come, and people may change the load. */
  private watchOver(participants: Participants, epochs: EpochLog, setupJson: string): void {
    const { fleet, plane, runId, clock, submission } = this.context;
    const { plan, onAgentLoss: policy, lateJoin } = submission;
    const { zeroUs } = this;
    const cutUs = (): number => this.cutUs;
    const fromSequence = this.checkpoints?.position.sequence ?? 0;
    this.membership = new Membership({
      ...{ runId, plan, policy, fleet, plane, participants, epochs, clock, zeroUs, fromSequence, cutUs, isLeased: this.isLeased },
      hasDelivered: (agent) => this.collector?.isComplete(agent) === true,
      tell: (change) => {
        this.membershipChanged(change);
      },
    });
    const start = (agent: Agent): CoordinatorMessage => this.startMessage(agent, setupJson);
    if (lateJoin) this.lateJoiners = new LateJoiners({ runId, fleet, participants, assign: (agent) => this.assign(agent), start });
    const terms = lossTerms(plan);
    this.liveControl = new LiveControl({
      plan,
      epochs,
      // An agent that cannot hear of it must have ceased to fire by then.
      soonestUs: () => (this.isLeased ? earliestUs(terms, clock.nowUs()) : clock.nowUs() + EPOCH_MARGIN_US) - zeroUs,
      unreachable: () => {
        const part = this.membership?.unreachable;
        return part === undefined ? undefined : `agent ${part.agent.id} cannot be told (${part.disconnected ?? 'it is silent'})`;
      },
      overFromUs: cutUs,
      tell: (kind, detail) => {
        this.live.note(`${detail.change} at ${(detail.atUs / 1_000_000).toFixed(2)} s`);
        this.event(kind, { ...detail });
        this.look();
      },
    });
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
          this.membership?.consumed(batch, sequence, catchUp.isDone(clock.nowUs()));
          collector.add(batch);
          checkpoints.took(sequence);
          catchUp.took(clock.nowUs());
          // Of one batch in many there is something to decide.
          if (batch.isFinal || collector.abort !== undefined) this.wake();
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
    let nextMembersUs = nextLookUs;
    while (!catchUp.isDone(clock.nowUs()) || !this.isOver(participants, collector)) {
      checkpoints.makeIfDue();
      if (collector.abort !== undefined)
        this.stop({ kind: 'threshold', reason: `threshold ${collector.abort.metric}: ${collector.abort.expression} failed` });
      const nowUs = clock.nowUs();
      if (nowUs >= nextMembersUs && catchUp.isDone(nowUs)) {
        nextMembersUs = nowUs + MEMBERS_EVERY_MS * 1000;
        this.lookAfter(participants, collector);
      }
      if (nowUs >= nextLookUs) {
        nextLookUs += LOOK_EVERY_MS * 1000;
        if (hasEnded(participants)) this.state = 'draining';
        this.tellAway();
        this.look();
      }
      await this.nap(Math.min(MEMBERS_EVERY_MS, (nextLookUs - nowUs) / 1000));
    }
    await this.membership?.close();
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
    const isDone = (part: Participant): boolean =>
      !part.hasStarted || part.isLost || ((part.finished !== undefined || participants.isAway(part)) && collector.isComplete(part.agent));
    if (participants.all.every(isDone)) return true;
    if (hasEnded(participants)) this.loadEndedUs = Math.min(this.loadEndedUs, this.elapsedUs);
    const endedUs = Math.max(this.takenUpUs, Math.min(this.loadEndedUs, this.latestEndUs));
    return this.elapsedUs > endedUs + this.context.drainTimeoutMs * 1000;
  }

  /** When the slowest agent must have ended its load: the plan's end or the cut, and the grace after it. */
  private get latestEndUs(): number {
    return Math.min(planEndUs(this.context.submission.plan), this.cutUs + STOP_GRACE_US);
  }

  /** Who has gone and who has come. An agent whose stream broke is not waited for with every interval: it may deliver late, or never. */
  private lookAfter(participants: Participants, collector: Collector): void {
    this.lateJoiners?.look();
    this.membership?.look();
    for (const part of participants.all) {
      if (part.isToldSilent || !participants.isAway(part) || part.finished !== undefined) continue;
      part.isToldSilent = true;
      this.live.note(`agent ${part.agent.id}: ${part.disconnected ?? 'away'}; waiting for a sign of life`);
    }
    collector.expect(participants.expected);
  }

  private membershipChanged(change: MembershipChange): void {
    const { kind, agent, ...detail } = change;
    if (kind === 'agent-joined') {
      const joined = change.how === 'late' ? this.participants?.all.find((part) => part.agent.id === agent) : undefined;
      this.event(kind, { agent, ...detail, joined: joined === undefined ? undefined : assignedAgent(joined.agent) });
      this.live.note(`agent ${agent} ${change.how === 'late' ? 'has joined' : 'is back'}`);
      return;
    }
    const reason = `agent ${agent} lost: ${change.reason}`;
    this.event(kind, { agent, ...detail });
    this.live.note(reason);
    if (this.context.submission.onAgentLoss === 'fail') this.stop({ kind: 'agent-lost', reason });
  }

  /** Adds everything up, writes the bundle and judges. */
  private async settle(): Promise<Outcome> {
    const { submission, runId } = this.context;
    const { collector, participants, bundle, checkpoints, stopCause, zeroUs, cutUs, restarts, whyMissing } = this;
    const epochs = this.epochs?.all ?? [];
    if (collector === undefined || participants === undefined || bundle === undefined) throw new Error('nothing to settle');
    this.membership?.loseSilent();
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
      counting: {
        loadEndUs: loadEndUs(submission.plan),
        scenarios: submission.plan.scenarios.map(({ name, startUs, warmupUs }) => ({ name, startUs, warmupUs })),
      },
      agents: participants.all.map(manifestAgent),
      epochs,
      events: this.events,
      plannedArrivals: plannedArrivals(amendPlan(submission.plan, epochs)),
      checkpoint: checkpoints?.position,
    });
    await bundle.writeSummary(summariseRun(settlement, bundle.failure));
    await bundle.close();
    if (bundle.failure === undefined) await this.report(bundle.dir);
    // What failed while writing the summary itself can only be told in the outcome.
    return judge(summariseRun(settlement, bundle.failure), stopCause, participants.scriptError, this.teardownFailure);
  }

  /** The page is a convenience: everything in it can be made again of the bundle, so a run does not fail for want of it. */
  private async report(dir: string): Promise<void> {
    const { runId, log } = this.context;
    try {
      if (!(await writeReport(dir))) log.info({ runId }, `the bundle is large: muster report ${dir} makes its report`);
    } catch (thrown) {
      log.error({ runId, reason: reasonOf(thrown) }, 'the report could not be made');
    }
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
    // Every heartbeat wakes, and Node makes an exception with a stack for every call without a reason, also when it changes nothing.
    this.wake = () => {
      if (!woken.signal.aborted) woken.abort(WOKEN);
    };
    await this.context.clock.sleep(TURN_MS);
    if (!woken.signal.aborted) await this.context.clock.sleep(Math.max(1, ms - TURN_MS), woken.signal);
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

function assignedAgent({ id, incarnation, version, labels, capacity, machineRate }: Agent): AssignedAgent {
  return { id, incarnation, version, labels, capacity, machineRate };
}

/** Nobody who takes part makes load any more. */
function hasEnded({ all }: Participants): boolean {
  return all.every(({ hasStarted, loadEnded, isLost }) => !hasStarted || loadEnded || isLost);
}

function manifestAgent({ agent, isLost, finished }: Participant): object {
  const { id, incarnation, version, labels, capacity, clock } = agent;
  return { id, incarnation, version, labels, capacity, clock, isLost, startErrorUs: finished?.startErrorUs, batches: finished?.batches };
}
