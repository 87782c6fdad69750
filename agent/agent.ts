import { AppError, reasonOf, VERSION, type Clock, type Log } from '../shared/base/index.ts';
import {
  nextAgentState,
  ResultsPlane,
  type AgentEvent,
  type AgentMessage,
  type AgentState,
  type Assign,
  type CoordinatorMessage,
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

const HEARTBEAT_MS = 1_000;
const REDIAL_MIN_MS = 200;
const REDIAL_MAX_MS = 5_000;
/** A run whose coordinator never comes back keeps its results this long. */
const ORPHAN_KEEPS_MS = 60_000;

/** The life of one agent process: dial in, join, and take part in one run after another until `signal` aborts.
 *
 *  hello → welcome → READY → assign → prepare → ready → start → load … load ended → outbox drained → finished → release → READY
 *
 *  One agent of a run is given its setup between ready and start, and its teardown between finished and release.
 *
 *  A control stream that breaks does not stop a run under way: the plan is known to its end, results travel another way, and the
 *  agent dials in again when it is free. Throws `AppError` when it cannot join at all. */
export async function runAgent(options: AgentOptions, clock: Clock, log: Log, signal: AbortSignal): Promise<void> {
  const plane = await untilConnected(() => ResultsPlane.connect(options.natsUrl, options.agentId), options, clock, log, signal);
  if (plane === undefined) return;
  const agent = new Agent(options, plane, clock, log);
  try {
    let isFirst = true;
    while (!signal.aborted) {
      // Once joined, an agent never gives up its coordinator; before, it must say that there is none.
      const timeoutMs = isFirst ? options.connectTimeoutMs : Infinity;
      const dial = (): Promise<ControlStream> => openControlStream(options.coordinator, (message) => void agent.receive(message));
      const stream = await untilConnected(dial, { connectTimeoutMs: timeoutMs }, clock, log, signal);
      if (stream === undefined) break;
      isFirst = false;
      await agent.serve(stream, signal);
    }
  } finally {
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
  private assignment: Assignment | undefined;
  private run: Promise<void> | undefined;

  constructor(options: AgentOptions, plane: ResultsPlane, clock: Clock, log: Log) {
    this.options = options;
    this.plane = plane;
    this.clock = clock;
    this.log = log;
  }

  /** Serves one control stream until it ends, then waits for the run that may still be under way. */
  async serve(stream: ControlStream, signal: AbortSignal): Promise<void> {
    const { agentId, incarnation, labels, capacity, allow, joinToken, machineRate } = this.options;
    this.state = 'JOINING';
    this.stream = stream;
    stream.send({
      $case: 'hello',
      value: { agentId, incarnation, version: VERSION, labels: { ...labels }, capacity, allowList: [...allow], joinToken, machineRate },
    });
    const heartbeat = setInterval(() => {
      this.beat();
    }, HEARTBEAT_MS);
    const close = (): void => {
      stream.close();
    };
    signal.addEventListener('abort', close);
    const reason = await stream.closed;
    signal.removeEventListener('abort', close);
    clearInterval(heartbeat);
    this.stream = undefined;
    if (signal.aborted) return;
    if (/NOT_AUTHORISED|VERSION_SKEW|PERMISSION_DENIED|FAILED_PRECONDITION/.test(reason)) throw new AppError('NOT_AUTHORISED', reason);
    this.log.warn({ reason }, 'control stream lost');
    await this.finishAlone(signal);
    await this.clock.sleep(REDIAL_MIN_MS, signal);
  }

  async receive(message: CoordinatorMessage): Promise<void> {
    switch (message.$case) {
      case 'welcome':
        this.move('welcomed');
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
        if (this.assignment?.runId === message.value.runId)
          this.send({ $case: 'choreDone', value: await this.assignment.doChore(message.value) });
        return;
      case 'stop':
        if (this.assignment?.runId === message.value.runId) this.assignment.stop(message.value.atUs);
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

  async close(): Promise<void> {
    await this.release();
  }

  private async prepare(assign: Assign): Promise<void> {
    const { runId } = assign;
    this.move('assigned');
    try {
      const isAllowed = createAllowList(this.options.allow);
      this.assignment = await Assignment.prepare(assign, this.options, this.plane, this.clock, isAllowed);
      this.send({ $case: 'ready', value: { runId } });
      this.log.info({ runId }, 'ready for a run');
    } catch (thrown) {
      // Whatever keeps this agent from taking part is the coordinator's to know and to tell; the agent stays available.
      const scriptThrew = thrown instanceof AppError && thrown.code === 'SCRIPT_THREW';
      this.log.error({ runId, reason: reasonOf(thrown) }, 'cannot take part in a run');
      this.move('refused');
      this.send({ $case: 'refused', value: { runId, reason: reasonOf(thrown), scriptThrew } });
    }
  }

  private start(runId: string, zeroUs: number): void {
    const { assignment } = this;
    if (assignment?.runId !== runId || this.state !== 'ASSIGNED') return;
    this.move('started');
    this.log.info({ runId, inMs: Math.round((zeroUs - this.clock.nowUs()) / 1000) }, 'starting');
    this.run = assignment
      .run(zeroUs, () => {
        this.move('load-ended');
        this.beat();
      })
      .then((finished) => {
        this.log.info({ ...finished }, 'finished');
        this.send({ $case: 'finished', value: finished });
      });
  }

  private async release(): Promise<void> {
    const { assignment, run } = this;
    if (assignment === undefined) return;
    this.assignment = undefined;
    this.run = undefined;
    await assignment.release();
    await run;
    if (this.state !== 'JOINING') this.move('released');
    this.log.info({ runId: assignment.runId }, 'released');
  }

  /** Without a coordinator: the load goes on as planned, and what it measured is delivered if that is possible at all. An agent that is
   *  told to end meanwhile does: whoever killed a coordinator with its agents' parent wants no load that goes on by itself. */
  private async finishAlone(signal: AbortSignal): Promise<void> {
    const { run } = this;
    if (run !== undefined) {
      const waited = new AbortController();
      const over = AbortSignal.any([signal, waited.signal]);
      await Promise.race([run, this.loadEnded(over).then(() => this.clock.sleep(ORPHAN_KEEPS_MS, over))]);
      waited.abort();
    }
    await this.release();
  }

  private async loadEnded(signal: AbortSignal): Promise<void> {
    while (this.state === 'RUNNING' && !signal.aborted) await this.clock.sleep(HEARTBEAT_MS, signal);
  }

  private beat(): void {
    const { assignment } = this;
    this.send({ $case: 'progress', value: assignment?.progress ?? IDLE });
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

const IDLE: Progress = { runId: '', elapsedUs: 0, activeVus: 0, ledgers: [], samplesRecorded: 0, loadEnded: false };

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
