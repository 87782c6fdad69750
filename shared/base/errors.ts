/** Exit codes of every command. The one table: docs print it, tests check that nothing else is ever used. */
export const EXIT_CODES = {
  passed: { code: 0, meaning: 'passed' },
  bug: { code: 1, meaning: 'a bug of ours' },
  thresholdsFailed: { code: 99, meaning: 'thresholds failed, or had no data' },
  badInput: { code: 104, meaning: 'bad scenario, configuration or usage' },
  stopped: { code: 105, meaning: 'stopped by a signal or a person' },
  scriptThrew: { code: 107, meaning: 'scenario code threw' },
  couldNotStart: { code: 108, meaning: 'could not start: no agents, no NATS, port taken' },
  invalidResult: { code: 111, meaning: 'result invalid: does not add up, or load not delivered' },
  agentsLost: { code: 112, meaning: 'agents lost under --on-agent-loss fail' },
  regression: { code: 114, meaning: 'regression found by compare' },
} as const satisfies Record<string, { code: number; meaning: string }>;

export type ExitName = keyof typeof EXIT_CODES;
export type ExitCode = (typeof EXIT_CODES)[ExitName]['code'];

/** What the user, the machine or the network can do wrong, and the exit code it ends a command with. */
export const ERROR_TABLE = {
  USAGE: 'badInput',
  SCENARIO_INVALID: 'badInput',
  CONFIG_INVALID: 'badInput',
  BUNDLE_INVALID: 'badInput',
  NOT_MERGEABLE: 'badInput',
  RUN_UNKNOWN: 'badInput',
  SCRIPT_THREW: 'scriptThrew',
  NO_AGENTS: 'couldNotStart',
  NATS_UNAVAILABLE: 'couldNotStart',
  NATS_SERVER_MISSING: 'couldNotStart',
  COORDINATOR_UNAVAILABLE: 'couldNotStart',
  PORT_TAKEN: 'couldNotStart',
  AGENT_REFUSED: 'couldNotStart',
  SETUP_FAILED: 'couldNotStart',
  NOT_AUTHORISED: 'couldNotStart',
  VERSION_SKEW: 'couldNotStart',
  OUT_UNWRITABLE: 'couldNotStart',
  CONNECTION_LOST: 'invalidResult',
  STOPPED: 'stopped',
} as const satisfies Record<string, ExitName>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** One mistake in something the user gave us: where it is and what was expected there. */
export interface Problem {
  /** Path inside the document (`scenarios.browse.rate`), or the flag (`--agents`). */
  readonly path: string;
  /** 1-based line in the source file, when there is one. */
  readonly line?: number;
  readonly message: string;
}

/** The only error class of the project: something a person or the network did, not a bug. Caught once, in `main`. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, options: { problems?: readonly Problem[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.problems = options.problems ?? [];
  }

  get exitCode(): ExitCode {
    return EXIT_CODES[ERROR_TABLE[this.code]].code;
  }

  /** The same error when it already is one, else `unknown` wrapped under `code`. */
  static from(unknown: unknown, code: ErrorCode, message: string): AppError {
    if (unknown instanceof AppError) return unknown;
    return new AppError(code, `${message}: ${reasonOf(unknown)}`, { cause: unknown });
  }
}

/** A one-line reason for anything that was thrown. */
export function reasonOf(thrown: unknown): string {
  if (thrown instanceof Error) {
    if (thrown instanceof AggregateError && thrown.message === '' && thrown.errors.length > 0) return reasonOf(thrown.errors[0]);
    return thrown.message === '' ? thrown.name : thrown.message;
  }
  return String(thrown);
}

/** States what cannot be otherwise. A failure here is a bug of ours and ends the process with code 1. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
