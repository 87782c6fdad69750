import { AppError, reasonOf, VERSION, type Clock, type Log } from '../shared/base/index.ts';
import {
  nextAgentState,
  ResultsPlane,
  type AgentEvent,
  type AgentMessage,
  type AgentState,
  type Assign,
  type ChoreDone,
  type CoordinatorMessage,
  type Finished,
  type MachineRate,
  type Progress,
} from '../shared/wire/index.ts';
import { createAllowList } from './allow-list.ts';
import { Assignment, type AgentIdentity } from './assignment.ts';
import { openControlStream, type ControlStream } from './control-client.ts';

export interface AgentOptions extends AgentIdentity {
  /** HOST:PORT */
  readonly coordinator: string;
  readonly natsUrl: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Stripes per round. */
  readonly capacity: number;
  readonly allow: readonly string[];
  readonly joinToken: string;
  /** What this machine was calibrated to. */
  readonly machineRate: MachineRate | undefined;
  /** How long to look for coordinator and NATS at first before giving up. */
  readonly connectTimeoutMs: number;
}

/** Until the coordinator says how often it wants to hear of this agent. */
const HEARTBEAT_MS = 500;
/** How often it is asked whether a run that nobody watches is over. */
const ALONE_LOOK_MS = 500;
const REDIAL_MIN_MS = 200;
const REDIAL_MAX_MS = 2_000;
/** After its load, an agent without a coordinator keeps what is not delivered, and its last word, this long; then it is free again. */
const ORPHAN_KEEPS_MS = 600_000;

/** The life of one agent process: dial in, join, and take part in one run after another until `signal` aborts.
 *
 *  hello → welcome → READY → assign → prepare → ready → start → load … load ended → outbox drained → finished → release → READY
 *
 *  One agent of a run is given its setup between ready and start, and its teardown between finished and release.
 *
 *  A control stream that breaks does not stop a run under way: the plan is known to its end and results travel another way. The agent
 *  dials in again at once, says what it is at work for, and is taken up or let go. Throws `AppError` when it cannot join at all. */
export async function runAgent(options: AgentOptions, clock: Clock, log: Log, signal: AbortSignal): Promise<void> {
  const plane = await untilConnected(() => ResultsPlane.connect(options.natsUrl, options.agentId), options, clock, log, signal);
  if (plane === undefined) return;
  const agent = new Agent(options, plane, clock, log);
  const holdFire = (): void => {
    agent.holdFire();
  };
  signal.addEventListener('abort', holdFire);
  try {
    let isFirst = true;
    // It may abort while somebody is waited for.
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      // Once joined, an agent never gives up its coordinator; before, it must say that there is none.
      const timeoutMs = isFirst ? options.connectTimeoutMs : Infinity;
      const dial = (): Promise<ControlStream> => openControlStream(options.coordinator, (message) => void agent.receive(message));
      const stream = await untilConnected(dial, { connectTimeoutMs: timeoutMs }, clock, log, signal);
      if (stream === undefined) break;
      if (isOver()) {
        stream.close();
        break;
      }
      isFirst = false;
      await agent.serve(stream, signal);
    }
  } finally {
    signal.removeEventListener('abort', holdFire);
    await agent.close();
    await plane.close();
  }
}

class Agent {
  private readonly options: AgentOptions;
  private readonly plane: ResultsPlane;
  private readonly clock: Clock;
  private readonly log: Log;
  private state: AgentState = 'JOINING';
  private stream: ControlStream | undefined;
  private heartbeatMs = HEARTBEAT_MS;
  private assignment: Assignment | undefined;
  private run: Promise<void> | undefined;
  private isLeaving = false;
  private releasing = Promise.resolve();
  /** What a coordinator must hear of the run, kept for one that comes back. */
  private finished: Finished | undefined;
  private choreDone: ChoreDone | undefined;
  /** Since its stream broke in the middle of a run, until it is welcome again. */
  private alone: { readonly over: AbortController; readonly waiting: Promise<void> } | undefined;

  constructor(options: AgentOptions, plane: ResultsPlane, clock: Clock, log: Log) {
    this.options = options;
    this.plane = plane;
    this.clock = clock;
    this.log = log;
  }

  /** Serves one control stream until it ends. Whatever becomes of the stream, load under way goes on. */
  async serve(stream: ControlStream, signal: AbortSignal): Promise<void> {
    const { agentId, incarnation, labels, capacity, allow, joinToken, machineRate } = this.options;
    if (!this.isAtWork) this.state = 'JOINING';
    this.stream = stream;
    const runId = this.isAtWork ? (this.assignment?.runId ?? '') : '';
    const { state } = this;
    stream.send({
      $case: 'hello',
      value: {
        ...{ agentId, incarnation, version: VERSION, labels: { ...labels }, capacity, allowList: [...allow], joinToken },
        ...{ machineRate, runId, state },
      },
    });
    const beat = (): void => {
      this.beat();
      heartbeat = setTimeout(beat, this.heartbeatMs);
    };
    let heartbeat = setTimeout(beat, this.heartbeatMs);
    const close = (): void => {
      stream.close();
    };
    signal.addEventListener('abort', close);
    const reason = await stream.closed;
    signal.removeEventListener('abort', close);
    clearTimeout(heartbeat);
    this.stream = undefined;
    if (signal.aborted) return;
    const isRefused = /NOT_AUTHORISED|VERSION_SKEW|PERMISSION_DENIED|FAILED_PRECONDITION/.test(reason);
    if (isRefused && !this.isAtWork) throw new AppError('NOT_AUTHORISED', reason);
    this.log.warn({ reason, state: this.state }, 'control stream lost');
    if (this.isAtWork) this.goOnAlone();
    else await this.release();
    await this.clock.sleep((isRefused ? REDIAL_MAX_MS : REDIAL_MIN_MS) * (0.5 + Math.random()), signal);
  }

  async receive(message: CoordinatorMessage): Promise<void> {
    switch (message.$case) {
      case 'welcome':
        this.heartbeatMs = message.value.heartbeatMs || HEARTBEAT_MS;
        this.welcome();
        this.log.info({ coordinatorVersion: message.value.coordinatorVersion }, 'joined');
        return;
      case 'assign':
        await this.prepare(message.value);
        return;
      case 'start':
        this.assignment?.giveSetup(message.value.setupJson);
        this.start(message.value.runId, message.value.atAgentClockUs);
        return;
      case 'chore':
        if (this.assignment?.runId === message.value.runId) {
          this.choreDone = await this.assignment.doChore(message.value);
          this.send({ $case: 'choreDone', value: this.choreDone });
        }
        return;
      case 'stop':
        if (this.assignment?.runId === message.value.runId) this.assignment.stop(message.value.atUs);
        return;
      case 'newEpoch':
        if (this.assignment?.runId === message.value.runId) this.assignment.amend(message.value);
        return;
      case 'heard':
        if (this.assignment?.runId === message.value.runId) this.assignment.heard(message.value.number);
        return;
      case 'release':
        if (this.assignment?.runId === message.value.runId) await this.release();
        return;
      case 'clockPing': {
        const receivedUs = this.clock.nowUs();
        this.send({ $case: 'clockPong', value: { number: message.value.number, receivedUs, sentUs: this.clock.nowUs() } });
        return;
      }
    }
  }

  /** This agent leaves: whoever hears it hang up takes it that it has fired until then, and not after. */
  holdFire(): void {
    this.isLeaving = true;
    this.assignment?.holdFire();
  }

  async close(): Promise<void> {
    this.alone?.over.abort();
    await this.alone?.waiting;
    await this.release();
  }

  /** It makes load, or has made it and is not released yet. */
  private get isAtWork(): boolean {
    return this.state === 'RUNNING' || this.state === 'DRAINING';
  }

  private welcome(): void {
    this.alone?.over.abort();
    if (!this.isAtWork) {
      this.move('welcomed');
      return;
    }
    // Whoever listens now may not be whom it was told.
    if (this.choreDone !== undefined) this.send({ $case: 'choreDone', value: this.choreDone });
    if (this.finished !== undefined) this.send({ $case: 'finished', value: this.finished });
    this.beat();
  }

  private async prepare(assign: Assign): Promise<void> {
    const { runId } = assign;
    const { stream } = this;
    // The run before may not be let go entirely yet.
    await this.releasing;
    this.move('assigned');
    try {
      const isAllowed = createAllowList(this.options.allow);
      const assignment = await Assignment.prepare(assign, this.options, this.plane, this.clock, isAllowed);
      if (this.stream !== stream) {
        // Whoever asked for it is gone, and has forgotten this agent.
        await assignment.release();
        return;
      }
      this.assignment = assignment;
      this.send({ $case: 'ready', value: { runId } });
      this.log.info({ runId }, 'ready for a run');
    } catch (thrown) {
      if (this.stream !== stream) return;
      // Whatever keeps this agent from taking part is the coordinator's to know and to tell; the agent stays available.
      const scriptThrew = thrown instanceof AppError && thrown.code === 'SCRIPT_THREW';
      this.log.error({ runId, reason: reasonOf(thrown) }, 'cannot take part in a run');
      this.move('refused');
      this.send({ $case: 'refused', value: { runId, reason: reasonOf(thrown), scriptThrew } });
    }
  }

  private start(runId: string, zeroUs: number): void {
    const { assignment } = this;
    if (assignment?.runId !== runId || this.state !== 'ASSIGNED' || this.isLeaving) return;
    this.move('started');
    this.log.info({ runId, inMs: Math.round((zeroUs - this.clock.nowUs()) / 1000) }, 'starting');
    this.run = assignment
      .run(zeroUs, () => {
        this.move('load-ended');
        this.beat();
      })
      .then((finished) => {
        this.log.info({ ...finished }, 'finished');
        if (this.assignment !== assignment) return;
        this.finished = finished;
        this.send({ $case: 'finished', value: finished });
      });
    // In mid-run it may fire only when it has been heard.
    this.beat();
  }

  private release(): Promise<void> {
    this.releasing = this.releasing.then(() => this.letGo());
    return this.releasing;
  }

  private async letGo(): Promise<void> {
    const { assignment, run } = this;
    if (assignment === undefined) return;
    this.assignment = undefined;
    this.run = undefined;
    this.finished = undefined;
    this.choreDone = undefined;
    await assignment.release();
    await run;
    if (this.state !== 'JOINING') this.move('released');
    this.log.info({ runId: assignment.runId }, 'released');
  }

  /** Without a coordinator the load goes on as planned, and what it measured is delivered if that is possible at all. Then its last word
   *  is kept for whoever asks, for a limited time. */
  private goOnAlone(): void {
    if (this.alone?.over.signal.aborted === false) return;
    const over = new AbortController();
    this.alone = { over, waiting: this.untilGivenUp(over.signal) };
  }

  private async untilGivenUp(over: AbortSignal): Promise<void> {
    while (this.state === 'RUNNING' && !over.aborted) await this.clock.sleep(ALONE_LOOK_MS, over);
    await this.clock.sleep(ORPHAN_KEEPS_MS, over);
    if (over.aborted) return;
    this.log.warn({ runId: this.assignment?.runId, afterS: ORPHAN_KEEPS_MS / 1000 }, 'nobody came for the results of a run');
    await this.release();
  }

  private beat(): void {
    const { assignment } = this;
    this.send({ $case: 'progress', value: assignment?.beat() ?? IDLE });
    if (assignment?.isHolding === true && !this.isLeaving)
      this.log.warn({ runId: assignment.runId }, 'holding fire: nobody hears this agent');
    if (assignment?.outboxFailure !== undefined) this.log.warn({ reason: assignment.outboxFailure }, 'results wait for NATS');
  }

  private send(message: AgentMessage): void {
    this.stream?.send(message);
  }

  private move(event: AgentEvent): void {
    const next = nextAgentState(this.state, event);
    if (next === undefined) this.log.error({ state: this.state, event }, 'out of step with the coordinator');
    else this.state = next;
  }
}

const IDLE: Progress = { runId: '', elapsedUs: 0, activeVus: 0, ledgers: [], samplesRecorded: 0, loadEnded: false, number: 0, epochs: 0 };

/** Tries until it works, `connectTimeoutMs` have passed (then the last error is thrown) or `signal` aborts (then `undefined`). */
async function untilConnected<T>(
  connect: () => Promise<T>,
  { connectTimeoutMs }: { readonly connectTimeoutMs: number },
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<T | undefined> {
  const giveUpUs = clock.nowUs() + connectTimeoutMs * 1000;
  for (let waitMs = REDIAL_MIN_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, REDIAL_MAX_MS)) {
    try {
      return await connect();
    } catch (thrown) {
      // Only somebody who is not there yet may still come; anything else is told at once.
      if (!(thrown instanceof AppError) || clock.nowUs() + waitMs * 1000 > giveUpUs) throw thrown;
      log.warn({ reason: thrown.message }, 'trying again');
      await clock.sleep(waitMs * (0.5 + Math.random() / 2), signal);
    }
  }
  return undefined;
}
