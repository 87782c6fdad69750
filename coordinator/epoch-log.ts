import type { Amendment, Epoch } from '../shared/plan/index.ts';
import { epochToWire, type EpochTeller, type Progress } from '../shared/wire/index.ts';
import type { Fleet } from './fleet.ts';
import type { Participant, Participants } from './participants.ts';

export interface EpochLogContext {
  readonly runId: string;
  readonly fleet: Fleet;
  readonly participants: Participants;
  /** Writes the epoch to the events of the run, and resolves when it is stored or that takes too long: a coordinator that comes later
   *  takes it from there, and must not know fewer epochs than the agents do. Never rejects. */
  readonly tell: (epoch: Epoch) => Promise<void>;
}

/** The epochs of one run, appended one after the other and told to all of its agents. */
export class EpochLog {
  private readonly context: EpochLogContext;
  private readonly epochs: Epoch[];
  /** The same, as each agent is told them. */
  private readonly tellers: EpochTeller[];
  /** So many of them may be told to agents. */
  private stored: number;
  private storing = Promise.resolve();

  constructor(epochs: readonly Epoch[], context: EpochLogContext) {
    this.epochs = [...epochs];
    this.tellers = epochs.map(epochToWire);
    this.stored = epochs.length;
    this.context = context;
  }

  get all(): readonly Epoch[] {
    return this.epochs;
  }

  get owners(): readonly string[] {
    return this.epochs.at(-1)?.owners ?? [];
  }

  /** In force from run-relative `atUs` on, or from the epoch before it on where that is later. What is not said stays as it is. */
  append(atUs: number, { owners, amendments }: { readonly owners?: readonly string[]; readonly amendments?: readonly Amendment[] }): Epoch {
    const epoch: Epoch = {
      number: this.epochs.length,
      fromUs: Math.ceil(Math.max(atUs, this.epochs.at(-1)?.fromUs ?? 0)),
      owners: owners ?? this.owners,
      ...(amendments === undefined ? {} : { amendments }),
    };
    this.epochs.push(epoch);
    this.tellers.push(epochToWire(epoch));
    const told = this.context.tell(epoch);
    this.storing = this.storing.then(async () => {
      await told;
      this.stored++;
      for (const part of this.context.participants.all) this.send(part, epoch.number, epoch.number + 1);
    });
    return epoch;
  }

  /** Answers a heartbeat: behind every epoch that the agent does not know comes the word that it was heard. */
  answer(part: Participant, { number, epochs }: Pick<Progress, 'number' | 'epochs'>): void {
    const { fleet, runId } = this.context;
    this.send(part, epochs, this.stored);
    // With one on its way to the stream the answer would come before it: the next heartbeat is answered.
    if (this.stored < this.epochs.length) return;
    fleet.send(part.agent, { $case: 'heard', value: { runId, number } });
  }

  /** All so far, as the agent is told them. */
  toWire(agentId: string): ReturnType<EpochTeller>[] {
    return this.tellers.map((tell) => tell(agentId));
  }

  /** Epochs `[from, to)`. */
  private send({ agent }: Participant, from: number, to: number): void {
    const { fleet, runId } = this.context;
    for (const tell of this.tellers.slice(from, to)) fleet.send(agent, { $case: 'newEpoch', value: { runId, epoch: tell(agent.id) } });
  }
}
