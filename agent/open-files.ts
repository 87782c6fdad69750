import { readFileSync } from 'node:fs';
import { isOpen, ownedVus, type ConnectionPolicy, type Epoch, type Plan } from '../shared/plan/index.ts';

/** Open files of an agent that are no connections to a target: standard streams, NATS, the coordinator, the engine's own. */
const OTHER_FILES = 64;

/** Why this agent cannot hold the connections that its VUs are sure to open at once, in words; `undefined` when it can, or when nobody
 *  knows. Told before the start, for in mid-run it would be thousands of failed connections that look like the target's fault.
 *  VUs that an open model may or may not need (`maxVUs`) are not counted, only those it makes ahead. */
export function tooFewFiles(
  plan: Plan,
  epochs: readonly Epoch[],
  agent: string,
  connections: ConnectionPolicy,
  limit: number | undefined,
): string | undefined {
  const [epoch] = epochs;
  if (limit === undefined || epoch === undefined) return undefined;
  const needed = connections.kind === 'shared' ? connections.max : vusOf(plan, epoch, agent);
  if (needed + OTHER_FILES <= limit) return undefined;
  return (
    `its VUs open ${String(needed)} connections at once, and it may have only ${String(limit)} files open: raise the limit where the agent ` +
    `is started (ulimit -n ${String(needed + OTHER_FILES)}), share connections (http: { connections: { shared: 1000 } }), or use more agents`
  );
}

/** Files that this process may have open. Node has raised the soft limit to the hard one. `undefined` where the system does not say. */
export function openFilesMax(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // No Linux: then connections fail one by one, and say `connect`.
    return undefined;
  }
}

/** VUs keep their connections until the run is over, so scenarios add up even when they follow each other. */
function vusOf({ scenarios }: Plan, epoch: Epoch, agent: string): number {
  return scenarios.reduce((sum, { load }) => {
    const owned = ownedVus(epoch, load, agent).length;
    return sum + (isOpen(load) ? Math.ceil((load.preAllocatedVus * owned) / load.maxVus) : owned);
  }, 0);
}
