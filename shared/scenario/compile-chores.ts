import { parseDurationUs } from '../base/index.ts';
import type { Flow, Plan, Workload } from '../plan/index.ts';
import { compileFlow, type FlowContext } from './compile-flow.ts';
import { isMapping } from './describe.ts';
import type { Scope } from './scope.ts';

/** How long a setup or a teardown may take when the file does not say. */
const LIMIT_MS = 60_000;

export interface CompiledChores {
  readonly flows: Pick<Workload, 'setup' | 'teardown'>;
  readonly limits: Pick<Plan, 'setupLimitMs' | 'teardownLimitMs'>;
  /** What flows and the teardown may refer to as `${setup.NAME}`. */
  readonly setup: Scope['setup'];
}

/** `setup` and `teardown` of the file: flows of their own that one agent runs once. */
export function compileChores(document: Readonly<Record<string, unknown>>, context: FlowContext): CompiledChores {
  const setupFlow = compileChore('setup', document, context);
  const setup = setupFlow === undefined ? undefined : resultOf(setupFlow, document['setup']);
  const teardownFlow = compileChore('teardown', document, { ...context, setup });
  return {
    flows: { ...(setupFlow === undefined ? {} : { setup: setupFlow }), ...(teardownFlow === undefined ? {} : { teardown: teardownFlow }) },
    limits: {
      ...(setupFlow === undefined ? {} : { setupLimitMs: limitMs(document['setupTimeout']) }),
      ...(teardownFlow === undefined ? {} : { teardownLimitMs: limitMs(document['teardownTimeout']) }),
    },
    setup,
  };
}

function compileChore(kind: 'setup' | 'teardown', document: Readonly<Record<string, unknown>>, context: FlowContext): Flow | undefined {
  const written = document[kind];
  return written === undefined ? undefined : compileFlow(kind, { flow: written }, context, [kind], [kind]);
}

/** What a function returns only the run can tell. */
function resultOf(flow: Flow, written: unknown): NonNullable<Scope['setup']> {
  if (flow.kind === 'script') return 'any';
  const names = new Set<string>();
  collectCaptures(written, names);
  return names;
}

function collectCaptures(value: unknown, names: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collectCaptures(item, names);
  if (!isMapping(value)) return;
  if (isMapping(value['capture'])) for (const name of Object.keys(value['capture'])) names.add(name);
  // Steps may hold steps; what is sent is no step.
  for (const [key, below] of Object.entries(value)) if (key !== 'json' && key !== 'capture') collectCaptures(below, names);
}

function limitMs(duration: unknown): number {
  // That it is no duration was said with the shape of the document.
  const us = typeof duration === 'string' || typeof duration === 'number' ? parseDurationUs(duration) : undefined;
  return us === undefined ? LIMIT_MS : us / 1_000;
}
