import type { Clock } from '../shared/base/index.ts';
import type { ScenarioLedger } from '../shared/stats/index.ts';
import { ledgerFromWire, type AgentMessage, type ChoreDone, type Finished } from '../shared/wire/index.ts';
import type { AgentAccount } from './accounting.ts';
import type { ClockEstimate } from './clock-offset.ts';
import type { Collector } from './collector.ts';
import type { Agent, FleetListener } from './fleet.ts';
import { describeScriptErrors } from './script-errors.ts';

/** One agent's part in one run, as both planes tell it. */
export interface Participant {
  /** Another object after each time it has dialled in, always of the same process. */
  agent: Agent;
  isReady: boolean;
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
  /** What was known of its clock when the run's zero was told it. */
  clockAtStart: ClockEstimate | undefined;
  /** Last sign of life on either plane, our clock. */
  lastSeenUs: number;
  isLost: boolean;
  /** It is given until then to dial in again, our clock; of nobody else is a missing stream excused. */
  awaitedUntilUs: number;
  /** That its stream broke has been told. */
  isToldSilent: boolean;
}

/** The agents of one run. It listens to the fleet and remembers; what to do about it is the run's business. */
export class Participants implements FleetListener {
  readonly all: readonly Participant[];
  private readonly clock: Clock;
  private readonly byId: ReadonlyMap<string, Participant>;
  private readonly onChange: () => void;
  private readonly onBack: (participant: Participant) => void;

  /** `onBack`: a participant whose stream had broken is there again and may have missed what it was told meanwhile. */
  constructor(agents: readonly Agent[], clock: Clock, onChange: () => void, onBack: (participant: Participant) => void = () => undefined) {
    this.clock = clock;
    this.onChange = onChange;
    this.onBack = onBack;
    this.all = agents.map((agent) => newParticipant(agent, clock.nowUs()));
    this.byId = new Map(this.all.map((participant) => [participant.agent.id, participant]));
  }

  onMessage(agent: Agent, message: AgentMessage): void {
    const participant = this.byId.get(agent.id);
    if (participant === undefined) return;
    participant.lastSeenUs = this.clock.nowUs();
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
    this.onChange();
  }

  onLost(agent: Agent, reason: string): void {
    const participant = this.byId.get(agent.id);
    if (participant === undefined) return;
    participant.disconnected = reason;
    // It was at work until its stream broke, whenever it last said something: until then it may have fired.
    participant.lastSeenUs = this.clock.nowUs();
    this.onChange();
  }

  onReturn(agent: Agent): boolean {
    const participant = this.byId.get(agent.id);
    // What was lost has been given up: its share may be somebody else's by now.
    if (participant === undefined || participant.isLost || participant.agent.incarnation !== agent.incarnation) return false;
    participant.agent = agent;
    participant.disconnected = undefined;
    participant.isToldSilent = false;
    participant.lastSeenUs = this.clock.nowUs();
    this.onBack(participant);
    this.onChange();
    return true;
  }

  /** Nobody has dialled in yet: a coordinator that was restarted gives everybody time to. */
  await(untilUs: number, reason: string): void {
    for (const participant of this.all) {
      participant.isReady = true;
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
    return new Set(this.all.filter((part) => !part.isLost && !this.isAway(part)).map(({ agent }) => agent.id));
  }

  /** As an earlier coordinator said. */
  markLost(agentId: string, lastSeenUs: number): void {
    const participant = this.byId.get(agentId);
    if (participant === undefined) return;
    participant.isLost = true;
    participant.lastSeenUs = lastSeenUs;
  }

  /** A batch of this agent arrived: it is alive, whatever its control stream does. */
  heard(agentId: string): void {
    const participant = this.byId.get(agentId);
    if (participant !== undefined) participant.lastSeenUs = this.clock.nowUs();
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

  /** What the scenario's own code threw, on all agents together. */
  get scriptError(): string | undefined {
    return describeScriptErrors(this.all.flatMap(({ finished }) => (finished === undefined ? [] : [finished])));
  }

  /** At the end: whoever neither ended its load nor delivered a last batch is lost. */
  loseSilent(collector: Collector): void {
    const finals = new Set(collector.agents.flatMap(({ agent, last }) => (last.isFinal ? [agent] : [])));
    for (const part of this.all) if (!part.loadEnded && !finals.has(part.agent.id)) part.isLost = true;
  }

  /** For the settlement: of batches and heartbeats, the word that accounts for more. Of an agent that was lost only what it sealed and
   *  delivered counts: the interval it was filling died with it, and what it fired in there is unknown. */
  accounts(collector: Collector, zeroUs: number): AgentAccount[] {
    const merged = new Map(collector.agents.map(({ agent, incarnation, last }) => [`${agent}/${incarnation}`, last]));
    return this.all.map(({ agent, ledgers, samplesRecorded, loadEnded, lastSeenUs, isLost }) => {
      const batch = merged.get(`${agent.id}/${agent.incarnation}`);
      const isFromBatch = isLost || (batch !== undefined && (batch.isFinal || batch.samplesRecorded >= samplesRecorded));
      return {
        agent: agent.id,
        ledgers: isFromBatch ? (batch?.ledgers ?? []) : ledgers,
        samplesRecorded: isFromBatch ? (batch?.samplesRecorded ?? 0) : samplesRecorded,
        isFinal: batch?.isFinal === true || (loadEnded && !isLost),
        lastSeenUs: lastSeenUs - zeroUs,
      };
    });
  }
}

function newParticipant(agent: Agent, nowUs: number): Participant {
  return {
    agent,
    isReady: false,
    refusal: undefined,
    ledgers: [],
    samplesRecorded: 0,
    activeVus: 0,
    loadEnded: false,
    finished: undefined,
    choreDone: undefined,
    disconnected: undefined,
    clockAtStart: undefined,
    lastSeenUs: nowUs,
    isLost: false,
    awaitedUntilUs: 0,
    isToldSilent: false,
  };
}
