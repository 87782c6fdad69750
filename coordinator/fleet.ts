import { AppError, ID_PATTERN, VERSION, type Clock, type Log } from '../shared/base/index.ts';
import {
  nextAgentState,
  type AgentEvent,
  type AgentMessage,
  type AgentState,
  type CoordinatorMessage,
  type Hello,
  type MachineRate,
} from '../shared/wire/index.ts';
import { ClockOffset, type ClockEstimate } from './clock-offset.ts';
import { Patience } from './patience.ts';

/** One agent process on its control stream. */
export interface Agent {
  readonly id: string;
  readonly incarnation: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capacity: number;
  /** What its machine was calibrated to. */
  readonly machineRate: MachineRate | undefined;
  readonly clock: ClockEstimate;
  readonly state: AgentState;
  /** The run it is part of; empty when it is free. */
  readonly runId: string;
  /** When it last said anything, on our clock. */
  readonly lastSeenUs: number;
}

/** How an agent's stream came to its end. */
export interface StreamEnd {
  readonly reason: string;
  /** Its side ended it in good order, as the kernel does for a process that is gone. A silence does not, nor a connection that is reset; a
   *  proxy that is told to go may, while the agent behind it lives. */
  readonly isHangUp: boolean;
}

/** What a run hears of its agents. */
export interface FleetListener {
  onMessage(agent: Agent, message: AgentMessage): void;
  onLost(agent: Agent, end: StreamEnd): void;
  /** A process that is at work for this run, says it, has dialled in again. False when the run no longer counts on it. */
  onReturn(agent: Agent): boolean;
}

/** How often agents are to be heard; twice as long is still two in any lease (`loss-terms.ts`). */
const HEARTBEAT_MS = 500;
/** Agents beyond so many speak half as often: what they say is a large part of what a fleet costs. */
const OFTEN_HEARD_MAX = 200;
/** An agent that said nothing for this long is lost. */
export const SILENCE_MAX_MS = 5_000;
/** Pings in a row after joining and before a run, each sent when the last was answered: on a quiet stream delay is least. Others go
 *  with the heartbeat. */
const PINGS_IN_A_ROW = 8;
/** Agents pinged in one heartbeat; of a larger fleet each gets its turn every so many. Clocks drift by microseconds in that time, and pings
 *  of thousands of agents every second cost a coordinator more than the merging of what they measure. */
const PINGS_PER_BEAT_MAX = 200;
/** Unanswered pings remembered; past it they are forgotten. */
const PINGS_PENDING_MAX = 32;
const AGENT_STREAMS_MAX = 10_000;
/** Beats this far apart, one a second is due, are a stall of our own. */
const OWN_STALL_US = 2_000_000;

/** The agents that have joined, their states and clocks. It knows nothing of plans: a run claims agents and is told what they say. */
export class Fleet {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly joinToken: string;
  private readonly members = new Map<string, Member>();
  private readonly listeners = new Map<string, FleetListener>();
  private changed: (() => void)[] = [];
  private beats = 0;
  private readonly patience: Patience;

  constructor(clock: Clock, log: Log, joinToken: string) {
    this.clock = clock;
    this.log = log;
    this.joinToken = joinToken;
    this.patience = new Patience(clock.nowUs(), OWN_STALL_US);
  }

  /** Takes an agent in. Throws `AppError` when it may not join: wrong token, another major version, an id that is taken. */
  join(hello: Hello, send: (message: CoordinatorMessage) => void, hangUp: () => void): Agent {
    if (hello.joinToken !== this.joinToken) throw new AppError('NOT_AUTHORISED', 'the join token is not the coordinator’s');
    if (!ID_PATTERN.test(hello.agentId))
      throw new AppError('CONFIG_INVALID', `agent id ${JSON.stringify(hello.agentId)}: expected 1 to 64 letters, digits, "-" or "_"`);
    if (majorOf(hello.version) !== majorOf(VERSION))
      throw new AppError('VERSION_SKEW', `agent ${hello.version} and coordinator ${VERSION} differ in their major version`);
    if (this.members.size >= AGENT_STREAMS_MAX) throw new AppError('CONFIG_INVALID', `at most ${AGENT_STREAMS_MAX} agents`);
    const known = this.members.get(hello.agentId);
    // The same process dialling again replaces its dead stream; another process of the same name is a mistake of whoever started it.
    if (known !== undefined && known.incarnation !== hello.incarnation)
      throw new AppError('NOT_AUTHORISED', `an agent named ${hello.agentId} has already joined`);
    if (known !== undefined) this.leave(known, { reason: 'it dialled in again', isHangUp: false });
    const member = new Member(hello, send, hangUp, this.clock.nowUs());
    this.members.set(member.id, member);
    const heartbeatMs = this.members.size > OFTEN_HEARD_MAX ? 2 * HEARTBEAT_MS : HEARTBEAT_MS;
    send({ $case: 'welcome', value: { coordinatorVersion: VERSION, heartbeatMs } });
    this.takeUp(member, hello);
    member.pingOften(this.clock.nowUs());
    this.log.info({ agent: member.id, version: member.version, runId: member.runId }, 'agent joined');
    this.notify();
    return member;
  }

  receive(agent: Agent, message: AgentMessage): void {
    const member = this.members.get(agent.id);
    if (member !== agent) return;
    const nowUs = this.clock.nowUs();
    member.lastSeenUs = nowUs;
    switch (message.$case) {
      case 'clockPong':
        member.pong(message.value.number, message.value.receivedUs, message.value.sentUs, nowUs);
        this.notify();
        return;
      case 'progress':
        if (message.value.loadEnded && member.state === 'RUNNING') this.move(member, 'load-ended');
        break;
      case 'refused':
        this.move(member, 'refused');
        break;
      case 'hello':
      case 'ready':
      case 'finished':
      case 'choreDone':
        break;
    }
    this.listeners.get(member.runId)?.onMessage(member, message);
    if (message.$case === 'refused') member.runId = '';
    this.notify();
  }

  /** The agent's stream is over. */
  left(agent: Agent, end: StreamEnd): void {
    const member = this.members.get(agent.id);
    if (member === agent) this.leave(member, end);
  }

  /** Pings whose turn it is and drops who fell silent. To be called once a second. */
  beat(): void {
    const nowUs = this.clock.nowUs();
    this.beats++;
    this.patience.look(nowUs);
    const every = Math.ceil(this.members.size / PINGS_PER_BEAT_MAX);
    let number = 0;
    for (const member of [...this.members.values()]) {
      if (nowUs - Math.max(member.lastSeenUs, this.patience.fromUs) > SILENCE_MAX_MS * 1000) {
        this.leave(member, { reason: `silent for ${SILENCE_MAX_MS / 1000} s`, isHangUp: false });
        member.hangUp();
      } else if (number++ % every === this.beats % every) member.ping(nowUs);
    }
  }

  agents(): Agent[] {
    return [...this.members.values()];
  }

  /** Agents that are free and whose clock is known. */
  ready(): Agent[] {
    return this.agents().filter((agent) => agent.state === 'READY' && agent.runId === '' && agent.clock.samples > 0);
  }

  /** Gives free agents to a run: from now on `listener` hears what they say. */
  claim(agents: readonly Agent[], runId: string, listener: FleetListener): void {
    this.listeners.set(runId, listener);
    for (const agent of agents) {
      const member = this.members.get(agent.id);
      if (member !== agent) continue;
      member.runId = runId;
      // Clocks drift: the start of the run is converted by what is known now.
      member.pingOften(this.clock.nowUs());
    }
  }

  /** Sends a message of a run to one of its agents, and moves the agent on where the message does so. */
  send(agent: Agent, message: CoordinatorMessage): void {
    const member = this.members.get(agent.id);
    if (member !== agent) return;
    if (message.$case === 'assign') this.move(member, 'assigned');
    else if (message.$case === 'start') this.move(member, 'started');
    member.send(message);
  }

  /** The run is over: its agents are free again. */
  release(runId: string): void {
    this.listeners.delete(runId);
    for (const member of this.members.values()) {
      if (member.runId !== runId) continue;
      member.runId = '';
      member.send({ $case: 'release', value: { runId } });
      this.move(member, 'released');
    }
    this.notify();
  }

  /** Resolves when `holds` is true of the fleet (`true`), or after `timeoutMs` or on abort (`false`). */
  async until(holds: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const deadlineUs = this.clock.nowUs() + timeoutMs * 1000;
    while (!holds()) {
      const leftMs = (deadlineUs - this.clock.nowUs()) / 1000;
      if (leftMs <= 0 || signal.aborted) return false;
      const woken = new AbortController();
      const wake = (): void => {
        woken.abort();
      };
      this.changed.push(wake);
      signal.addEventListener('abort', wake);
      await this.clock.sleep(leftMs, woken.signal);
      signal.removeEventListener('abort', wake);
    }
    return true;
  }

  /** An agent that comes in the middle of a run goes on in it, or is told that the run is over for it. */
  private takeUp(member: Member, { runId, state }: Hello): void {
    const listener = runId === '' ? undefined : this.listeners.get(runId);
    if (listener?.onReturn(member) === true) {
      this.move(member, 'taken-up');
      if (state === 'DRAINING') this.move(member, 'load-ended');
      member.runId = runId;
      return;
    }
    this.move(member, 'welcomed');
    if (runId !== '') member.send({ $case: 'release', value: { runId } });
  }

  private leave(member: Member, end: StreamEnd): void {
    this.members.delete(member.id);
    this.move(member, 'lost');
    this.log.info({ agent: member.id, runId: member.runId, reason: end.reason }, 'agent left');
    this.listeners.get(member.runId)?.onLost(member, end);
    this.notify();
  }

  private move(member: Member, event: AgentEvent): void {
    const next = nextAgentState(member.state, event);
    if (next === undefined) this.log.error({ agent: member.id, state: member.state, event }, 'out of step with an agent');
    else member.state = next;
  }

  private notify(): void {
    const { changed } = this;
    this.changed = [];
    for (const wake of changed) wake();
  }
}

class Member implements Agent {
  readonly id: string;
  readonly incarnation: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capacity: number;
  readonly machineRate: MachineRate | undefined;
  readonly send: (message: CoordinatorMessage) => void;
  readonly hangUp: () => void;
  state: AgentState = 'JOINING';
  runId = '';
  lastSeenUs: number;
  private readonly offset = new ClockOffset();
  /** Pings on their way: number and when it was sent. */
  private readonly pings = new Map<number, number>();
  private pingNumber = 0;
  private pingsToFollow = 0;

  constructor(hello: Hello, send: (message: CoordinatorMessage) => void, hangUp: () => void, nowUs: number) {
    this.id = hello.agentId;
    this.incarnation = hello.incarnation;
    this.version = hello.version;
    this.labels = hello.labels;
    this.capacity = Math.max(1, hello.capacity);
    this.machineRate = hello.machineRate;
    this.send = send;
    this.hangUp = hangUp;
    this.lastSeenUs = nowUs;
  }

  get clock(): ClockEstimate {
    return this.offset.estimate;
  }

  pingOften(nowUs: number): void {
    this.pingsToFollow = PINGS_IN_A_ROW - 1;
    this.ping(nowUs);
  }

  ping(nowUs: number): void {
    // Answers that never come must not pile up.
    if (this.pings.size > PINGS_PENDING_MAX) this.pings.clear();
    this.pings.set(++this.pingNumber, nowUs);
    this.send({ $case: 'clockPing', value: { number: this.pingNumber } });
  }

  pong(number: number, t1: number, t2: number, t3: number): void {
    const t0 = this.pings.get(number);
    if (t0 === undefined) return;
    this.pings.delete(number);
    this.offset.add({ t0, t1, t2, t3 });
    if (this.pingsToFollow === 0) return;
    this.pingsToFollow--;
    this.ping(t3);
  }
}

function majorOf(version: string): string {
  return version.split('.', 1)[0] ?? '';
}
