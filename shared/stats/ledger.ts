/** The conservation counters of a run, in iterations. `planned = started + dropped + undelivered + unknown`,
 *  `started = completed + interrupted`, and samples recorded by agents = samples merged + samples missing. */
export interface Ledger {
  readonly planned: number;
  readonly started: number;
  /** Planned, but no VU was free before the scenario ended. */
  readonly dropped: number;
  /** Nobody's: planned for an agent after it can have fired for the last time, or while it might not fire, or never heard that it was to. */
  readonly undelivered: number;
  /** An agent fell silent: these it may or may not have fired after the last interval that it delivered. */
  readonly unknown: number;
  readonly completed: number;
  readonly interrupted: number;
  readonly samples: SampleLedger;
}

export interface SampleLedger {
  /** Counted by the agents, one by one, while recording. */
  readonly recorded: number;
  /** Counted by the coordinator in what it merged. */
  readonly merged: number;
  readonly missing: number;
  /** Batches that arrived a second time (and were not counted again), in samples. */
  readonly duplicate: number;
}

/** What one agent has done with its share, cumulative since the start of the run. */
export interface AgentLedger {
  readonly started: number;
  readonly dropped: number;
  /** Its own by the plan, and never fired: they fell due while it might not fire, or before it knew that they were its own. */
  readonly undelivered: number;
  readonly completed: number;
  readonly interrupted: number;
}

export const EMPTY_AGENT_LEDGER: AgentLedger = { started: 0, dropped: 0, undelivered: 0, completed: 0, interrupted: 0 };

export function addAgentLedgers(a: AgentLedger, b: AgentLedger): AgentLedger {
  return {
    started: a.started + b.started,
    dropped: a.dropped + b.dropped,
    undelivered: a.undelivered + b.undelivered,
    completed: a.completed + b.completed,
    interrupted: a.interrupted + b.interrupted,
  };
}

/** Every way in which `ledger` does not add up, in words; empty when it balances. */
export function imbalances(ledger: Ledger): string[] {
  const found: string[] = [];
  const { planned, started, dropped, undelivered, unknown, completed, interrupted, samples } = ledger;
  if (planned !== started + dropped + undelivered + unknown) {
    found.push(`planned ${planned} ≠ started ${started} + dropped ${dropped} + undelivered ${undelivered} + unknown ${unknown}`);
  }
  if (started !== completed + interrupted) found.push(`started ${started} ≠ completed ${completed} + interrupted ${interrupted}`);
  if (samples.recorded !== samples.merged + samples.missing) {
    found.push(`samples recorded ${samples.recorded} ≠ merged ${samples.merged} + missing ${samples.missing}`);
  }
  return found;
}
