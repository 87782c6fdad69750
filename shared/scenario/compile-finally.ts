import { parseDurationUs } from '../base/index.ts';
import type { ScriptFlow } from '../plan/index.ts';
import { expected } from './describe.ts';
import type { Report } from './problems.ts';

/** Past this, clean-up is given up, so that it cannot hold up the end of a run. */
export const FINALLY_LIMIT_US_DEFAULT = 10_000_000;

/** A flow that is a function with its clean-up, which is then a function too. */
export function withCleanUp(flow: ScriptFlow, definition: Readonly<Record<string, unknown>>, report: Report): ScriptFlow {
  const { finally: written, finallyLimit: limit } = definition;
  const path = ['scenarios', flow.scenario];
  if (written === undefined) {
    if (limit !== undefined) report([...path, 'finallyLimit'], 'there is no finally that it could limit');
    return flow;
  }
  if (typeof written !== 'function') {
    report([...path, 'finally'], expected('an async function, as the flow is one', written));
    return flow;
  }
  // That it is no duration was said with the shape of the document.
  const us = typeof limit === 'string' || typeof limit === 'number' ? parseDurationUs(limit) : undefined;
  return { ...flow, finallyLimitUs: us ?? FINALLY_LIMIT_US_DEFAULT };
}
