import { AppError, reasonOf, type Clock, type Log } from '../shared/base/index.ts';
import { amendPlan, planEndUs, spreadOwners, type Epoch } from '../shared/plan/index.ts';
import { BundleWriter, type Snapshot } from '../shared/report/index.ts';
import { epochToWire, planToWire, type CoordinatorMessage, type ResultsPlane, type RunEvent } from '../shared/wire/index.ts';
import { Chores } from './chores.ts';
import { Collector } from './collector.ts';
import { EpochLog } from './epoch-log.ts';
import type { Agent, Fleet } from './fleet.ts';
import { LateJoiners } from './late-joiners.ts';
import { LiveControl } from './live-control.ts';
import { Live } from './live.ts';
import { earliestUs, EPOCH_MARGIN_US, lossTerms } from './loss-terms.ts';
import { Membership, type MembershipChange } from './membership.ts';
import { judge, type Outcome, type StopCause } from './outcome.ts';
import { Participants, type Participant } from './participants.ts';
import { settleRun, summariseRun } from './settlement.ts';
import type { Submission } from './submission.ts';

/** From "start" to the run's zero: time for the message to reach every agent. */
const START_MARGIN_US = 500_000;
/** From "stop" to the end of the plan, for the same reason. */
const STOP_MARGIN_US = 300_000;
const PREPARE_TIMEOUT_MS = 60_000;
/** What agents give iterations under way after a stop. */
const STOP_GRACE_US = 5_000_000;
/** How often a run tells how it is doing, and how often it looks who is still there. */
const LOOK_EVERY_MS = 1_000;
const MEMBERS_EVERY_MS = 200;
const CONSUMER_CLOSE_TIMEOUT_MS = 5_000;

export interface RunContext {
  readonly runId: string;
  readonly submission: Submission;
  readonly fleet: Fleet;
  readonly plane: ResultsPlane;
  readonly bundleDir: string;
  /** How long results may still arrive after the last agent's load has ended. */
  readonly drainTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** About once a second, and whenever something happened. */
  readonly onSnapshot: (snapshot: Snapshot) => void;
}

/** One run, from submission to verdict:
 *
 *  find agents → hand out plan and stripes → all ready → setup → start at one instant → collect, watch, judge → teardown → settle
 *  → bundle → verdict
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
  private participants: Participants | undefined;
  private collector: Collector | undefined;
  private epochs: EpochLog | undefined;
  private membership: Membership | undefined;
  private lateJoiners: LateJoiners | undefined;
  private liveControl: LiveControl | undefined;
  private bundle: BundleWriter | undefined;
  private teardownFailure: string | undefined;
  private wake: () => void = () => undefined;
  state: Snapshot['state'] = 'waiting';

  constructor(context: RunContext) {
    this.context = context;
    this.live = new Live(context.runId, context.submission.plan);
  }

  /** Runs to the end, whatever happens on the way. */
  async conduct(): Promise<Outcome> {
    const { runId, submission, fleet, log } = this.context;
    try {
      await this.event('submitted', { name: submission.plan.name, agents: submission.agents });
      const agents = await this.findAgents();
      await this.prepare(agents);
      const chores = this.chores();
      await chores.setUp(this.stopping.signal);
      await this.load(chores);
      const outcome = await this.settle();
      await this.event('finished', { exitCode: outcome.exitCode, message: outcome.message });
      return outcome;
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      log.error({ runId, code: thrown.code }, thrown.message);
      await this.event('finished', { exitCode: thrown.exitCode, message: thrown.message });
      return { exitCode: thrown.exitCode, summary: undefined, message: thrown.message };
    } finally {
      this.state = 'finished';
      fleet.release(runId);
      await this.bundle?.close();
    }
  }

  /** The load, and the teardown after it whatever became of it. */
  private async load(chores: Chores): Promise<void> {
    try {
      this.refuseIfStopped();
      await this.start(chores.setupJson);
      await this.collect();
    } finally {
      this.teardownFailure = await chores.tearDown();
    }
  }

  private chores(): Chores {
    const { runId, submission, fleet } = this.context;
    const { participants } = this;
    if (participants === undefined) throw new Error('nobody to do chores');
    return new Chores({
      runId,
      plan: submission.plan,
      fleet,
      participants,
      tell: async (kind, { agent, failure }) => {
        this.live.note(`${kind} on agent ${String(agent)}: ${failure === '' ? 'done' : String(failure)}`);
        this.look();
        await this.event('chore', { kind, agent, failure });
      },
    });
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
    for (const { agent } of this.participants?.all ?? []) this.sendStop(agent);
    void this.event('stopping', { atUs: this.cutUs, ...cause });
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

  private sendStop(agent: Agent): void {
    const { runId, fleet } = this.context;
    fleet.send(agent, { $case: 'stop', value: { runId, atUs: this.cutUs, reason: this.stopCause?.reason ?? '' } });
  }

  private async findAgents(): Promise<readonly Agent[]> {
    const { fleet, submission, runId, clock } = this.context;
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
    this.participants = new Participants(agents, clock, {
      onChange: () => {
        this.wake();
      },
      onBack: (part) => {
        if (this.cutUs !== Infinity) this.sendStop(part.agent);
      },
      onProgress: (part, progress) => this.epochs?.answer(part, progress),
    });
    fleet.claim(agents, runId, this.participants);
    return agents;
  }

  private async prepare(agents: readonly Agent[]): Promise<void> {
    const { fleet, plane, submission, runId } = this.context;
    this.state = 'preparing';
    this.look();
    const { workload, workloadHash } = submission;
    const { participants } = this;
    if (participants === undefined) throw new Error('nobody to prepare');
    const epochs: Epoch[] = [{ number: 0, fromUs: 0, owners: spreadOwners(agents.map(({ id, capacity }) => ({ id, weight: capacity }))) }];
    this.epochs = new EpochLog(epochs, { runId, fleet, participants, tell: (epoch) => this.tellEpoch(epoch) });
    try {
      await plane.putWorkload(workloadHash, workload);
    } catch (thrown) {
      throw AppError.from(thrown, 'NATS_UNAVAILABLE', 'the workload could not be stored');
    }
    for (const agent of agents) fleet.send(agent, this.assign());
    await this.event('assigned', { agents: agents.map(({ id }) => id), workloadHash, epochs });
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
  private assign(): CoordinatorMessage {
    const { runId, submission } = this.context;
    const { plan, workloadHash } = submission;
    const epochs = (this.epochs?.all ?? []).map(epochToWire);
    const lease = this.isLeased ? lossTerms(plan).lease : undefined;
    return { $case: 'assign', value: { runId, plan: planToWire(plan), workloadHash, epochs, lease } };
  }

  /** One agent alone has nobody who could take over, and so needs nobody's leave. */
  private get isLeased(): boolean {
    const { onAgentLoss, lateJoin } = this.context.submission;
    return onAgentLoss === 'rebalance' && (lateJoin || this.agentCount > 1);
  }

  private tellEpoch(epoch: Epoch): void {
    this.live.amend(amendPlan(this.context.submission.plan, this.epochs?.all ?? []));
    void this.event('epoch', { ...epoch });
  }

  private async start(setupJson: string): Promise<void> {
    const { fleet, runId, submission, bundleDir, clock, log } = this.context;
    const { participants, epochs } = this;
    if (participants === undefined || epochs === undefined) throw new Error('nobody to start');
    this.bundle = await BundleWriter.open(bundleDir, clock.nowUs() + START_MARGIN_US);
    this.collector = new Collector(submission.plan, submission.thresholds, this.bundle, log);
    this.zeroUs = clock.nowUs() + START_MARGIN_US;
    const message = (agent: Agent): CoordinatorMessage => ({
      $case: 'start',
      value: { runId, atAgentClockUs: this.zeroUs + agent.clock.offsetUs, setupJson },
    });
    for (const part of participants.all) {
      part.hasStarted = true;
      fleet.send(part.agent, message(part.agent));
    }
    this.watchOver(participants, epochs, message);
    this.state = 'running';
    const clocks = participants.all.map(({ agent: { id, clock: estimate } }) => ({ agent: id, ...estimate }));
    await this.event('started', { zeroUs: this.zeroUs, clocks });
  }

  /** From here on agents may go and come, and people may change the load. */
  private watchOver(participants: Participants, epochs: EpochLog, start: (agent: Agent) => CoordinatorMessage): void {
    const { fleet, plane, runId, clock, submission } = this.context;
    const { plan, onAgentLoss: policy, lateJoin } = submission;
    const { zeroUs } = this;
    const cutUs = (): number => this.cutUs;
    this.membership = new Membership({
      ...{ runId, plan, policy, fleet, plane, participants, epochs, clock, zeroUs, cutUs },
      hasDelivered: (id) => this.collector?.agents.some(({ agent, last }) => agent === id && last.isFinal) === true,
      tell: (change) => {
        this.membershipChanged(change);
      },
    });
    if (lateJoin) this.lateJoiners = new LateJoiners({ runId, fleet, participants, assign: () => this.assign(), start });
    const terms = lossTerms(plan);
    this.liveControl = new LiveControl({
      plan,
      epochs,
      // An agent that cannot hear of it must have ceased to fire by then.
      soonestUs: () => (this.isLeased ? earliestUs(terms, clock.nowUs()) : clock.nowUs() + EPOCH_MARGIN_US) - zeroUs,
      overFromUs: cutUs,
      tell: (kind, detail) => {
        this.live.note(`${detail.change} at ${(detail.atUs / 1_000_000).toFixed(2)} s`);
        void this.event(kind, detail);
        this.look();
      },
    });
  }

  /** Merges what comes in until every agent has delivered its last batch or is lost. */
  private async collect(): Promise<void> {
    const { plane, runId, clock, log } = this.context;
    const { collector, participants } = this;
    if (collector === undefined || participants === undefined) throw new Error('nothing to collect with');
    const done = new AbortController();
    const consuming = plane.consumeBatches(
      runId,
      (batch, sequence) => {
        this.membership?.consumed(batch.key.agent, sequence);
        collector.add(batch);
        this.wake();
      },
      (reason) => {
        collector.refuse(reason);
      },
      done.signal,
    );
    // Without NATS there is nothing to consume; what the agents say on their heartbeats still settles the run.
    const consumed = consuming.catch((thrown: unknown) => {
      log.error({ runId, reason: reasonOf(thrown) }, 'the results plane is gone');
    });
    let nextLookUs = clock.nowUs();
    while (!this.isOver(participants, collector)) {
      this.lateJoiners?.look();
      this.membership?.look();
      this.expectHeard(participants, collector);
      if (collector.abort !== undefined)
        this.stop({ kind: 'threshold', reason: `threshold ${collector.abort.metric}: ${collector.abort.expression} failed` });
      const nowUs = clock.nowUs();
      if (nowUs >= nextLookUs) {
        nextLookUs += LOOK_EVERY_MS * 1000;
        if (hasEnded(participants)) this.state = 'draining';
        this.look();
      }
      await this.nap(Math.min(MEMBERS_EVERY_MS, (nextLookUs - nowUs) / 1000));
    }
    await this.membership?.close();
    done.abort();
    const waited = new AbortController();
    await Promise.race([consumed, clock.sleep(CONSUMER_CLOSE_TIMEOUT_MS, waited.signal)]);
    waited.abort();
    collector.finish();
    // What happened since the last look would not be told otherwise.
    this.look();
  }

  private isOver(participants: Participants, collector: Collector): boolean {
    const finals = new Set(collector.agents.flatMap(({ agent, last }) => (last.isFinal ? [agent] : [])));
    const isDone = ({ agent, hasStarted, isLost, finished, disconnected }: Participant): boolean =>
      !hasStarted || isLost || (finals.has(agent.id) && (finished !== undefined || disconnected !== undefined));
    if (participants.all.every(isDone)) return true;
    if (hasEnded(participants)) this.loadEndedUs = Math.min(this.loadEndedUs, this.elapsedUs);
    return this.elapsedUs > Math.min(this.loadEndedUs, this.latestEndUs) + this.context.drainTimeoutMs * 1000;
  }

  /** When the slowest agent must have ended its load: the plan's end or the cut, and the grace after it. */
  private get latestEndUs(): number {
    return Math.min(planEndUs(this.context.submission.plan), this.cutUs + STOP_GRACE_US);
  }

  private membershipChanged(change: MembershipChange): void {
    const { kind, agent, ...detail } = change;
    void this.event(kind, { agent, ...detail });
    if (kind === 'agent-joined') {
      this.live.note(`agent ${agent} ${change.how === 'late' ? 'has joined' : 'is back'}`);
      return;
    }
    const reason = `agent ${agent} lost: ${change.reason}`;
    this.live.note(reason);
    if (this.context.submission.onAgentLoss === 'fail') this.stop({ kind: 'agent-lost', reason });
  }

  /** An agent whose stream broke is not waited for with every interval: it may deliver late, or never. */
  private expectHeard(participants: Participants, collector: Collector): void {
    for (const part of participants.all) {
      if (part.isToldSilent || part.disconnected === undefined || part.finished !== undefined) continue;
      part.isToldSilent = true;
      this.live.note(`agent ${part.agent.id}: ${part.disconnected}; waiting for a sign of life`);
    }
    const heard = participants.all.filter(({ hasStarted, isLost, disconnected }) => hasStarted && !isLost && disconnected === undefined);
    collector.expect(new Set(heard.map(({ agent }) => agent.id)));
  }

  /** Adds everything up, writes the bundle and judges. */
  private async settle(): Promise<Outcome> {
    const { submission, runId } = this.context;
    const epochs = this.epochs?.all ?? [];
    const { collector, participants, bundle, stopCause, zeroUs, cutUs } = this;
    if (collector === undefined || participants === undefined || bundle === undefined) throw new Error('nothing to settle');
    participants.loseSilent(collector);
    const settlement = settleRun({ runId, submission, epochs, zeroUs, cutUs, stopped: stopCause?.reason, participants, collector });
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

  /** Events are state for whoever comes after; a run does not fail because one could not be stored. */
  private async event(kind: RunEvent['kind'], detail: Readonly<Record<string, unknown>>): Promise<void> {
    const { runId, plane, clock, log } = this.context;
    const event: RunEvent = { runId, atMs: clock.nowUs() / 1000, kind, detail };
    this.events.push(event);
    try {
      await plane.publishEvent(event);
    } catch (thrown) {
      log.warn({ runId, kind, reason: reasonOf(thrown) }, 'an event could not be stored');
    }
  }
}

/** Nobody who takes part makes load any more. */
function hasEnded({ all }: Participants): boolean {
  return all.every(({ hasStarted, loadEnded, isLost }) => !hasStarted || loadEnded || isLost);
}

function manifestAgent({ agent, isLost, finished }: Participant): object {
  const { id, incarnation, version, labels, capacity, clock } = agent;
  return { id, incarnation, version, labels, capacity, clock, isLost, startErrorUs: finished?.startErrorUs, batches: finished?.batches };
}
