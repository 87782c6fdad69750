import type { CoordinatorMessage } from '../shared/wire/index.ts';
import type { Agent, Fleet } from './fleet.ts';
import type { Participants } from './participants.ts';

export interface LateJoinersContext {
  readonly runId: string;
  readonly fleet: Fleet;
  readonly participants: Participants;
  /** What an agent is given to prepare itself, with the epochs so far. */
  readonly assign: (agent: Agent) => CoordinatorMessage;
  readonly start: (agent: Agent) => CoordinatorMessage;
}

/** Takes agents that have become free in mid-run into it: each is given the plan, gets ready, and begins with nothing of its own. Its
 *  share is the membership's business. */
export class LateJoiners {
  private readonly context: LateJoinersContext;

  constructor(context: LateJoinersContext) {
    this.context = context;
  }

  look(): void {
    const { fleet, participants, runId, assign, start } = this.context;
    // Another process of the name of one that took part is none of ours: nobody could tell their results apart.
    const taken = new Set(participants.all.map(({ agent }) => agent.id));
    const free = fleet.ready().filter(({ id }) => !taken.has(id));
    fleet.claim(free, runId, participants);
    for (const agent of free) {
      participants.add(agent);
      fleet.send(agent, assign(agent));
    }
    for (const part of participants.all) {
      if (part.refusal !== undefined || (part.disconnected !== undefined && !part.hasStarted)) participants.drop(part);
      else if (part.isReady && !part.hasStarted) {
        part.hasStarted = true;
        part.clockAtStart = part.agent.clock;
        fleet.send(part.agent, start(part.agent));
      }
    }
  }
}
