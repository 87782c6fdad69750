import type { Epoch } from '../shared/plan/index.ts';
import type { MachineRate, RunEvent } from '../shared/wire/index.ts';
import type { ClockEstimate } from './clock-offset.ts';
import type { StopCause } from './outcome.ts';

/** One agent as it was when it was given the run. */
export interface AssignedAgent {
  readonly id: string;
  readonly incarnation: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capacity: number;
  readonly machineRate?: MachineRate | undefined;
}

/** What the events of one run say: all that a coordinator must know to take it up, beside the checkpoint and the batches. */
export interface RunHistory {
  readonly runId: string;
  readonly name: string;
  readonly submittedAtMs: number;
  /** Where the plan ends, microseconds. */
  readonly durationUs: number;
  /** Names in the object store; `undefined` where an older version submitted. */
  readonly submissionHash: string | undefined;
  readonly workloadHash: string | undefined;
  readonly agents: readonly AssignedAgent[];
  readonly epochs: readonly Epoch[];
  /** The run's zero on the clock of the coordinator that started it; `undefined` before the start. */
  readonly zeroUs: number | undefined;
  /** Each agent's clock at the start. */
  readonly clocks: ReadonlyMap<string, ClockEstimate>;
  /** Name of what the setup returned, in the object store; `undefined` for nothing. */
  readonly setupHash: string | undefined;
  /** Who did the setup. */
  readonly setupAgent: string | undefined;
  readonly cutUs: number;
  readonly stopCause: StopCause | undefined;
  /** Agents that are lost, and until when they may have fired, run-relative. */
  readonly lost: ReadonlyMap<string, number>;
  /** Agents that were lost and came back. */
  readonly returned: ReadonlySet<string>;
  /** Who was given the teardown. */
  readonly teardownAgent: string | undefined;
  /** What became of it; empty for well. */
  readonly teardown: string | undefined;
  /** Coordinators that took the run up. */
  readonly restarts: number;
  readonly finished: { readonly exitCode: number; readonly message: string; readonly elapsedUs: number } | undefined;
  /** The events themselves, for the run bundle. */
  readonly events: readonly RunEvent[];
}

/** The runs that `events` tell of, in the order of their submission. Kinds of events that are not known here change nothing, and an event
 *  that was stored twice counts once. Law: folding a part of the events and then the rest is folding them all. */
export function foldRuns(events: Iterable<RunEvent>): Map<string, RunHistory> {
  const runs = new Map<string, RunHistory>();
  const seen = new Map<string, Set<string>>();
  for (const event of events) {
    const { runId, kind, atMs, detail } = event;
    const known = runs.get(runId) ?? (kind === 'submitted' ? newHistory(runId) : undefined);
    if (known === undefined) continue;
    const told = seen.get(runId) ?? new Set();
    seen.set(runId, told);
    const content = JSON.stringify([kind, atMs, detail]);
    if (told.has(content)) continue;
    told.add(content);
    runs.set(runId, { ...known, ...changes(known, event), events: [...known.events, event] });
  }
  return runs;
}

/** What one event changes. */
function changes(run: RunHistory, { kind, atMs, detail }: RunEvent): Partial<RunHistory> {
  switch (kind) {
    case 'submitted':
      return {
        name: text(detail['name']) ?? '',
        submittedAtMs: atMs,
        durationUs: number(detail['durationUs']) ?? 0,
        submissionHash: text(detail['submissionHash']),
        workloadHash: text(detail['workloadHash']),
      };
    case 'assigned':
      return { agents: list(detail['agents']) as readonly AssignedAgent[], epochs: list(detail['epochs']) as readonly Epoch[] };
    case 'epoch':
      return { epochs: [...run.epochs, (detail['epoch'] ?? detail) as Epoch] };
    case 'started':
      return {
        zeroUs: number(detail['zeroUs']),
        setupHash: text(detail['setupHash']),
        clocks: new Map((list(detail['clocks']) as readonly AgentClock[]).map(({ agent, ...clock }) => [agent, clock])),
      };
    case 'agent-lost':
      return {
        lost: new Map([...run.lost, [text(detail['agent']) ?? '', number(detail['firedUntilUs']) ?? number(detail['lastSeenUs']) ?? 0]]),
      };
    case 'agent-joined': {
      const { agent, joined } = detail as { readonly agent: string; readonly joined?: AssignedAgent };
      if (joined !== undefined) return { agents: [...run.agents, joined] };
      return { lost: new Map([...run.lost].filter(([id]) => id !== agent)), returned: new Set([...run.returned, agent]) };
    }
    case 'stopping': {
      const { atUs, kind: cause, reason } = detail as { readonly atUs?: unknown } & StopCause;
      return { cutUs: number(atUs) ?? Infinity, stopCause: { kind: cause, reason } };
    }
    case 'chore-given':
      return detail['kind'] === 'teardown' ? { teardownAgent: text(detail['agent']) } : {};
    case 'chore':
      return detail['kind'] === 'teardown' ? { teardown: text(detail['failure']) } : { setupAgent: text(detail['agent']) };
    case 'coordinator-restarted':
      return { restarts: run.restarts + 1 };
    case 'finished':
      return {
        finished: {
          exitCode: number(detail['exitCode']) ?? 1,
          message: text(detail['message']) ?? '',
          elapsedUs: number(detail['elapsedUs']) ?? 0,
        },
      };
    default:
      return {};
  }
}

type AgentClock = ClockEstimate & { readonly agent: string };

function newHistory(runId: string): RunHistory {
  return {
    runId,
    name: '',
    submittedAtMs: 0,
    durationUs: 0,
    submissionHash: undefined,
    workloadHash: undefined,
    agents: [],
    epochs: [],
    zeroUs: undefined,
    clocks: new Map(),
    setupHash: undefined,
    setupAgent: undefined,
    cutUs: Infinity,
    stopCause: undefined,
    lost: new Map(),
    returned: new Set(),
    teardownAgent: undefined,
    teardown: undefined,
    restarts: 0,
    finished: undefined,
    events: [],
  };
}

// Only our own coordinators write events; what an older one did not write yet is simply not there.

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
