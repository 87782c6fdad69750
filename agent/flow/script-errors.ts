/** What the scenario's own code threw: counted, the first one kept for people. A throw ends its iteration, never the agent. */
export class ScriptErrors {
  count = 0;
  first: string | undefined;

  add(thrown: unknown): void {
    this.count++;
    this.first ??= describeThrown(thrown);
  }
}

/** The message, and the first line of the stack that lies in the scenario's source. */
export function describeThrown(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const place = thrown.stack
    ?.split('\n')
    .slice(1)
    .find((line) => !line.includes('node:internal') && !line.includes('/agent/flow/'));
  return `${thrown.name}: ${thrown.message}${place === undefined ? '' : ` (${place.trim()})`}`;
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
