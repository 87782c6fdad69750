import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog, type Clock } from '../shared/base/index.ts';
import { STREAM_DEFAULTS } from '../shared/wire/index.ts';
import { startAgent } from './agent-process.ts';
import { startNats } from './nats-process.ts';
import { serveCoordinator } from './serve.ts';

/** A whole cluster on this machine for the runs of this process: what `muster run` uses when no coordinator is named. */
export interface PrivateCluster {
  /** HOST:PORT of its coordinator. */
  readonly address: string;
  close(): Promise<void>;
}

/** Starts nats-server (unless `natsUrl` names one), a coordinator in this process and `agents` agent processes. Everything is on
 *  loopback and ends with `close`, or with this process. Throws `AppError` when a part cannot start; nothing is left behind then. */
export async function startPrivateCluster(
  agents: number,
  natsUrl: string | undefined,
  drainTimeoutMs: number,
  clock: Clock,
): Promise<PrivateCluster> {
  const logLevel = process.env['MUSTER_LOG'] ?? 'error';
  const undo: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };
  try {
    const runsDir = await mkdtemp(join(tmpdir(), 'muster-runs-'));
    undo.push(() => rm(runsDir, { recursive: true, force: true }));
    let url = natsUrl;
    if (url === undefined) {
      const nats = await startNats(clock);
      undo.push(() => nats.stop());
      url = nats.url;
    }
    const options = { natsUrl: url, runsDir, joinToken: '', stream: STREAM_DEFAULTS, drainTimeoutMs, isPrivate: true };
    const coordinator = await serveCoordinator('127.0.0.1:0', options, clock, createLog('coordinator', logLevel));
    undo.push(() => coordinator.close());
    const address = `127.0.0.1:${coordinator.port}`;
    for (let i = 1; i <= agents; i++) {
      const agent = startAgent({ agentId: `local-${i}`, coordinator: address, natsUrl: url }, logLevel);
      undo.push(async () => {
        agent.stop();
        await agent.exited;
      });
    }
    return { address, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}
