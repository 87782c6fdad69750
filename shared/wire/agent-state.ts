/** What an agent is doing, as both ends of the control stream see it. */
export type AgentState = 'JOINING' | 'READY' | 'ASSIGNED' | 'RUNNING' | 'DRAINING' | 'LOST';

export type AgentEvent =
  /** The coordinator took the hello. */
  | 'welcomed'
  /** The coordinator took the hello of an agent whose stream broke while it was making load, and its run goes on. */
  | 'taken-up'
  /** The agent was given a run. */
  | 'assigned'
  /** The agent will not take part. */
  | 'refused'
  | 'started'
  /** Its last iteration is over; sealed batches may still be on their way. */
  | 'load-ended'
  /** The run is over for it. */
  | 'released'
  /** No sign of life. */
  | 'lost';

const TRANSITIONS: Readonly<Record<AgentState, Partial<Record<AgentEvent, AgentState>>>> = {
  JOINING: { welcomed: 'READY', 'taken-up': 'RUNNING', lost: 'LOST' },
  READY: { assigned: 'ASSIGNED', released: 'READY', lost: 'LOST' },
  ASSIGNED: { refused: 'READY', started: 'RUNNING', released: 'READY', lost: 'LOST' },
  RUNNING: { 'load-ended': 'DRAINING', released: 'READY', lost: 'LOST' },
  DRAINING: { released: 'READY', lost: 'LOST' },
  LOST: { lost: 'LOST' },
};

/** The state after `event`, or `undefined` where the protocol does not allow it there. */
export function nextAgentState(state: AgentState, event: AgentEvent): AgentState | undefined {
  return TRANSITIONS[state][event];
}
