#!/usr/bin/env node
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { AppError, createLog, DEFAULTS, EXIT_CODES, ID_PATTERN, reasonOf, rehearsalSetting, systemClock } from '../shared/base/index.ts';
import { runAgent, type AgentOptions } from './agent.ts';
import { calibratedRate } from './calibrated-rate.ts';
import { catchStrays } from './catch-strays.ts';
import { rehearse } from './rehearsal.ts';
import { keepCompiledCode } from './settle-heap.ts';

/** The agent process: one engine. Its options come as one JSON object in `MUSTER_AGENT_OPTIONS`, put there by the `muster agent` and
 *  `muster run` commands, which own the command line. With an IPC channel it ends when its parent does. */
const log = createLog('agent', process.env['MUSTER_AGENT_LOG'] ?? process.env['MUSTER_LOG'] ?? 'info');
const ending = new AbortController();
const hadParent = 'connected' in process;
const end = (): void => {
  ending.abort();
};
process.on('SIGTERM', end);
// Ctrl-C in a terminal reaches the whole process group. A child leaves it to its parent, which stops the run first.
process.on('SIGINT', process.channel === undefined ? end : () => undefined);
process.on('disconnect', end);
// Whoever started it may have gone while this program was being loaded.
// `connected` is undefined, whatever its type says, where there never was a channel.
if (hadParent && !process.connected) end();
catchStrays(log);

try {
  const given = options();
  const rehearsal = rehearsalSetting();
  keepCompiledCode();
  if (!ending.signal.aborted) {
    await rehearse(rehearsal, systemClock).catch((thrown: unknown) => {
      log.warn({ reason: reasonOf(thrown) }, 'cannot rehearse: less punctual in the first seconds of load');
    });
  }
  await runAgent(given, systemClock, log, ending.signal);
  process.exitCode = EXIT_CODES.passed.code;
} catch (thrown) {
  if (thrown instanceof AppError) {
    log.error({ code: thrown.code }, thrown.message);
    process.exitCode = thrown.exitCode;
  } else {
    log.fatal({ err: thrown }, 'a bug');
    process.exitCode = EXIT_CODES.bug.code;
  }
}
if (process.connected) process.disconnect();

function options(): AgentOptions {
  const given = JSON.parse(process.env['MUSTER_AGENT_OPTIONS'] ?? '{}') as Partial<AgentOptions>;
  const agentId = given.agentId ?? `${hostname().replace(/[^A-Za-z0-9_-]/g, '-')}-${process.pid}`;
  if (!ID_PATTERN.test(agentId)) throw new AppError('CONFIG_INVALID', `--id ${agentId}: expected 1 to 64 letters, digits, "-" or "_"`);
  return {
    agentId,
    incarnation: randomUUID(),
    coordinator: given.coordinator ?? `127.0.0.1:${DEFAULTS.controlPort}`,
    natsUrl: given.natsUrl ?? DEFAULTS.natsUrl,
    labels: given.labels ?? {},
    capacity: given.capacity ?? 1,
    allow: given.allow ?? [],
    joinToken: given.joinToken ?? '',
    machineRate: calibratedRate(log),
    connectTimeoutMs: given.connectTimeoutMs ?? 30_000,
  };
}
