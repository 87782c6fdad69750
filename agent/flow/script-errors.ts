import { Interrupted } from './interrupted.ts';
import type { ScriptOrigin } from './script-origin.ts';

/** Distinct errors that are named; what a scenario throws beyond them is counted only. */
const DISTINCT_MAX = 50;
/** Of a message; more of it helps nobody on a terminal. */
const MESSAGE_CHARACTERS_MAX = 500;

/** One distinct error, and how often it was thrown. */
export interface ThrownByScript {
  readonly message: string;
  readonly count: number;
}

/** What the scenario's own code threw in one run on one agent, each distinct error once and counted. A throw never ends the agent. */
export class ScriptErrors {
  /** All of them, named or not. */
  count = 0;
  readonly origin: ScriptOrigin | undefined;
  private readonly counts = new Map<string, number>();

  /** Without `origin` no source line can be told. */
  constructor(origin?: ScriptOrigin) {
    this.origin = origin;
  }

  add(thrown: unknown): void {
    if (thrown instanceof Interrupted) return;
    this.count++;
    const message = describeThrown(thrown, this.origin);
    const known = this.counts.get(message);
    if (known !== undefined || this.counts.size < DISTINCT_MAX) this.counts.set(message, (known ?? 0) + 1);
  }

  get first(): string | undefined {
    return this.distinct[0]?.message;
  }

  /** In the order in which they first came. */
  get distinct(): ThrownByScript[] {
    return [...this.counts].map(([message, count]) => ({ message, count }));
  }
}

/** The message, with the author's source line where there is one: `RangeError: no stock (checkout.ts:12:7)`. */
export function describeThrown(thrown: unknown, origin?: ScriptOrigin): string {
  if (!(thrown instanceof Error)) return `threw ${shown(thrown)}, which is no Error and has no source line`;
  const { name, message } = thrown;
  const place = origin?.placeOf(stackOf(thrown) ?? '');
  return `${cut(`${name}: ${message}`)}${place === undefined ? '' : ` (${place})`}`;
}

/** Authors may overwrite it with anything. */
export function stackOf(thrown: Error): string | undefined {
  const stack: unknown = thrown.stack;
  return typeof stack === 'string' ? stack : undefined;
}

function shown(thrown: unknown): string {
  try {
    return cut(
      typeof thrown === 'object' && thrown !== null ? JSON.stringify(thrown) : typeof thrown === 'string' ? `"${thrown}"` : String(thrown),
    );
  } catch {
    // Cyclic, or with a toJSON that throws: that something was thrown is all that can be told.
    return 'a value';
  }
}

function cut(text: string): string {
  return text.length > MESSAGE_CHARACTERS_MAX ? `${text.slice(0, MESSAGE_CHARACTERS_MAX)}…` : text;
}

/** A flow of steps that cannot go on: told to its author like a throw of a function. */
export class FlowFailure extends Error {
  override readonly name = 'FlowFailure';

  constructor(reason: string) {
    super(reason);
    // Where in our own code it was noticed helps nobody.
    this.stack = '';
  }
}
