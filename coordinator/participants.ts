import type { Clock } from '../shared/base/index.ts';
import type { ScenarioLedger } from '../shared/stats/index.ts';
import { ledgerFromWire, type AgentMessage, type ChoreDone, type Finished, type Progress } from '../shared/wire/index.ts';
import type { AgentAccount } from './accounting.ts';
import type { ClockEstimate } from './clock-offset.ts';
import type { Collector } from './collector.ts';
import type { Agent, FleetListener, StreamEnd } from './fleet.ts';
import { describeScriptErrors } from './script-errors.ts';

/** One agent's part in one run, as both planes tell it. */
export interface Participant {
  /** Another object after each time it has dialled in, always of the same process. */
  agent: Agent;
  isReady: boolean;
  /** It was told when the run begins. */
  hasStarted: boolean;
  refusal: { readonly reason: string; readonly scriptThrew: boolean } | undefined;
  /** Its newest heartbeat. */
  ledgers: readonly ScenarioLedger[];
  samplesRecorded: number;
  activeVus: number;
  loadEnded: boolean;
  finished: Finished | undefined;
  /** The last chore of the run that it was given and has ended. */
  choreDone: ChoreDone | undefined;
  /** Why its control stream is gone; it may still be at work and deliver. */
  disconnected: string | undefined;
  /** When it hung up, our clock, and nothing is known that it sealed later: then its process ended. */
  hungUpUs: number | undefined;
  /** What was known of its clock when the run's zero was told it. */
  clockAtStart: ClockEstimate | undefined;
  /** Last sign of life on either plane, our clock. */
  lastSeenUs: number;
  /** The same on the control plane alone. */
  controlSeenUs: number;
  isLost: boolean;
  /** It was lost at some time, whether it came back or not. */
  wasLost: boolean;
  /** Heard of again after it was lost, or new, and not given a share yet. */
  mayReturn: boolean;
  /** How many epochs it knows. */
  epochs: number;
  /** Of one that is lost: until when it may have fired, our clock. */
  firedUntilUs: number | undefined;
  /** It is given until then to dial in again, our clock; of nobody else is a missing stream excused. */
  awaitedUntilUs: number;
  /** That its stream broke has been told. */
  isToldSilent: boolean;
}

export interface ParticipantHooks {
  /** Something is known that was not. */
  readonly onChange: () => void;
  /** One whose stream had broken is there again and may have missed what was said meanwhile. */
  readonly onBack: (participant: Participant) => void;
  /** A heartbeat, which wants an answer. */
  readonly onProgress: (participant: Participant, progress: Progress) => void;
}

/** The agents of one run. It listens to the fleet and remembers; what to do about it is the run's business. */
export class Participants implements FleetListener {
  /** In the order in which they were added. */
  all: readonly Participant[] = [];
  private readonly clock: Clock;
  private readonly byId: Map<string, Participant>;
  private readonly hooks: ParticipantHooks;

  constructor(agents: readonly Agent[], clock: Clock, hooks: ParticipantHooks) {
    this.clock = clock;
    this.hooks = hooks;
    this.byId = new Map(agents.map((agent) => [agent.id, newParticipant(agent, clock.nowUs())]));
    this.all = [...this.byId.values()];
  }

  /** One that joins while the run is under way. */
  add(agent: Agent): Participant {
    const participant = { ...newParticipant(agent, this.clock.nowUs()), mayReturn: true };
    this.byId.set(agent.id, participant);
    this.all = [...this.byId.values()];
    return participant;
  }

  /** One that joined late and does not take part after all. */
  drop({ agent }: Participant): void {
    this.byId.delete(agent.id);
    this.all = [...this.byId.values()];
  }

  onMessage(agent: Agent, message: AgentMessage): void {
    const participant = this.byId.get(agent.id);
    if (participant === undefined) return;
    this.seen(participant);
    participant.controlSeenUs = participant.lastSeenUs;
    switch (message.$case) {
      case 'ready':
        participant.isReady = true;
        break;
      case 'refused':
        participant.refusal = message.value;
        break;
      case 'progress':
        participant.ledgers = message.value.ledgers.map(ledgerFromWire);
        participant.samplesRecorded = message.value.samplesRecorded;
        participant.activeVus = message.value.activeVus;
        participant.loadEnded = message.value.loadEnded;
        participant.epochs = message.value.epochs;
        this.hooks.onProgress(participant, message.value);
        break;
      case 'finished':
        participant.finished = message.value;
        participant.ledgers = message.value.ledgers.map(ledgerFromWire);
        participant.samplesRecorded = message.value.samplesRecorded;
        participant.loadEnded = true;
        participant.activeVus = 0;
        break;
      case 'choreDone':
        participant.choreDone = message.value;
        break;
      case 'hello':
      case 'clockPong':
        return;
    }
    this.hooks.onChange();
  }

  /** Only the very process that took part goes on: another one of its name knows nothing of what the first has fired. */
  onReturn(agent: Agent): boolean {
    const participant = this.byId.get(agent.id);
    if (participant?.agent.incarnation !== agent.incarnation) return false;
    participant.agent = agent;
    participant.disconnected = undefined;
    participant.hungUpUs = undefined;
    participant.isToldSilent = false;
    this.seen(participant);
    participant.controlSeenUs = participant.lastSeenUs;
    this.hooks.onBack(participant);
    this.hooks.onChange();
    return true;
  }

  /** Nobody has dialled in yet: a coordinator that was restarted gives everybody time to. */
  await(untilUs: number, reason: string): void {
    for (const participant of this.byId.values()) {
      participant.isReady = true;
      participant.hasStarted = true;
      participant.disconnected = reason;
      participant.awaitedUntilUs = untilUs;
    }
  }

  /** Its stream is gone, and it is not given time to dial in again. */
  isAway({ disconnected, awaitedUntilUs }: Participant): boolean {
    return disconnected !== undefined && this.clock.nowUs() >= awaitedUntilUs;
  }

  /** Those whose intervals are waited for. */
  get expected(): Set<string> {
    const isExpected = (part: Participant): boolean => part.hasStarted && !part.isLost && !this.isAway(part);
    return new Set(this.all.filter(isExpected).map(({ agent }) => agent.id));
  }

  /** As an earlier coordinator said. */
  markLost(agentId: string, firedUntilUs: number): void {
    const participant = this.byId.get(agentId);
    if (participant === undefined) return;
    participant.isLost = participant.wasLost = true;
    participant.lastSeenUs = participant.firedUntilUs = firedUntilUs;
  }

  /** It was lost and came back, an earlier coordinator said. */
  markReturned(agentId: string): void {
    const participant = this.byId.get(agentId);
    if (participant !== undefined) participant.wasLost = true;
  }

  onLost(agent: Agent, { reason, isHangUp }: StreamEnd): void {
    const participant = this.byId.get(agent.id);
    if (participant === undefined) return;
    participant.disconnected = reason;
    // It was at work until its stream broke, whenever it last said something: until then it may have fired.
    participant.lastSeenUs = this.clock.nowUs();
    participant.hungUpUs = isHangUp ? participant.lastSeenUs : undefined;
    this.hooks.onChange();
  }

  /** A batch of this agent arrived, sealed at `sealedUs` (our clock): it is alive, whatever its control stream does. */
  heard(agentId: string, sealedUs: number): void {
    const participant = this.byId.get(agentId);
    if (participant === undefined) return;
    // What a process sent before it ended may come after its end.
    if (sealedUs > (participant.hungUpUs ?? Infinity)) participant.hungUpUs = undefined;
    this.seen(participant);
  }

  /** Of one that was lost too: it lives, and its own word counts again. */
  private seen(participant: Participant): void {
    participant.lastSeenUs = this.clock.nowUs();
    if (!participant.isLost) return;
    participant.isLost = false;
    participant.mayReturn = true;
    participant.firedUntilUs = undefined;
  }

  get started(): number {
    return this.all.reduce((sum, { ledgers }) => sum + ledgers.reduce((own, { ledger }) => own + ledger.started, 0), 0);
  }

  get dropped(): number {
    return this.all.reduce((sum, { ledgers }) => sum + ledgers.reduce((own, { ledger }) => own + ledger.dropped, 0), 0);
  }

  get activeVus(): number {
    return this.all.reduce((sum, { activeVus, isLost }) => sum + (isLost ? 0 : activeVus), 0);
  }

  get lost(): Participant[] {
    return this.all.filter(({ isLost }) => isLost);
  }

  /** Whoever was lost at some time; those who came back too. */
  get everLost(): Participant[] {
    return this.all.filter(({ isLost, wasLost }) => isLost || wasLost);
  }

  /** What the scenario's own code threw, on all agents together. */
  get scriptError(): string | undefined {
    return describeScriptErrors(this.all.flatMap(({ finished }) => (finished === undefined ? [] : [finished])));
  }

  /** For the settlement: of batches and heartbeats, the word that accounts for more. Of an agent that was lost only what it sealed and
   *  delivered counts: the interval it was filling died with it, and what it fired in there is unknown. */
  accounts(collector: Collector, zeroUs: number): AgentAccount[] {
    const merged = new Map(collector.agents.map(({ agent, incarnation, last }) => [`${agent}/${incarnation}`, last]));
    return this.all.map(({ agent, ledgers, samplesRecorded, loadEnded, epochs, lastSeenUs, firedUntilUs, isLost }) => {
      const batch = merged.get(`${agent.id}/${agent.incarnation}`);
      const isFromBatch = isLost || (batch !== undefined && (batch.isFinal || batch.samplesRecorded >= samplesRecorded));
      return {
        agent: agent.id,
        ledgers: isFromBatch ? (batch?.ledgers ?? []) : ledgers,
        samplesRecorded: isFromBatch ? (batch?.samplesRecorded ?? 0) : samplesRecorded,
        epochs: isFromBatch ? (batch?.epochs ?? 0) : epochs,
        isFinal: batch?.isFinal === true || (loadEnded && !isLost),
        lastSeenUs: (isLost ? (firedUntilUs ?? lastSeenUs) : lastSeenUs) - zeroUs,
      };
    });
  }
}

function newParticipant(agent: Agent, nowUs: number): Participant {
  return {
    agent,
    isReady: false,
    hasStarted: false,
    refusal: undefined,
    ledgers: [],
    samplesRecorded: 0,
    activeVus: 0,
    loadEnded: false,
    finished: undefined,
    choreDone: undefined,
    disconnected: undefined,
    hungUpUs: undefined,
    clockAtStart: undefined,
    lastSeenUs: nowUs,
    controlSeenUs: nowUs,
    isLost: false,
    wasLost: false,
    mayReturn: false,
    epochs: 0,
    firedUntilUs: undefined,
    awaitedUntilUs: 0,
    isToldSilent: false,
  };
}
