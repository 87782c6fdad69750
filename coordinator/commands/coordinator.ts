import { Command, InvalidArgumentError, Option } from 'commander';
import { createLog, DEFAULTS, EXIT_CODES, parseBytes, reasonOf, rehearsalSetting, systemClock, type Log } from '../../shared/base/index.ts';
import { STREAM_DEFAULTS } from '../../shared/wire/index.ts';
import { proveWritable } from '../fetch-bundle.ts';
import { rehearse } from '../rehearsal.ts';
import { serveCoordinator } from '../serve.ts';
import {
  drainOption,
  LOCAL_COORDINATOR,
  natsOption,
  parseAddress,
  parseCount,
  parseMilliseconds,
  untilSignal,
  type Exit,
} from './command.ts';

interface Flags {
  readonly listen: string;
  readonly nats: string;
  readonly runsDir: string;
  readonly joinToken: string;
  readonly streamBytes: number;
  readonly streamAge: number;
  readonly replicas: number;
  readonly drainTimeout: number;
}

/** `muster coordinator`: serves agents and commands until it is told to end. */
export function coordinatorCommand(exit: Exit): Command {
  return new Command('coordinator')
    .description('run the coordinator of a cluster')
    .addOption(
      new Option('--listen <host:port>', 'where agents and commands dial in')
        .env('MUSTER_LISTEN')
        .default(LOCAL_COORDINATOR)
        .argParser(parseAddress),
    )
    .addOption(natsOption().default(DEFAULTS.natsUrl))
    .addOption(new Option('--runs-dir <dir>', 'folder of the run bundles').env('MUSTER_RUNS_DIR').default('runs'))
    .addOption(new Option('--join-token <token>', 'agents must know it').env('MUSTER_JOIN_TOKEN').default(''))
    .addOption(
      new Option('--stream-bytes <size>', 'the stream keeps at most this much').default(STREAM_DEFAULTS.bytesMax, '1GiB').argParser(bytes),
    )
    .addOption(new Option('--stream-age <time>', 'and nothing older').default(STREAM_DEFAULTS.ageMaxMs, '7d').argParser(parseMilliseconds))
    .addOption(
      new Option('--replicas <n>', 'of the stream, on a NATS cluster').default(STREAM_DEFAULTS.replicas).argParser(parseCount(1, 5)),
    )
    .addOption(drainOption())
    .action(async ({ listen, nats, runsDir, joinToken, streamBytes, streamAge, replicas, drainTimeout }: Flags) => {
      const log = createLog('coordinator');
      const rehearsal = rehearsalSetting();
      // Better now than when somebody's run is to be written.
      await proveWritable(runsDir);
      const stream = { bytesMax: streamBytes, ageMaxMs: streamAge, replicas };
      const options = { natsUrl: nats, runsDir, joinToken, stream, drainTimeoutMs: drainTimeout, isPrivate: false };
      const coordinator = await serveCoordinator(listen, options, systemClock, log);
      log.info({ listen, port: coordinator.port, nats }, 'coordinator is up');
      const ending = new AbortController();
      const ended = new Promise<void>((resolve) => {
        untilSignal((signal) => {
          log.info({ signal }, 'ending');
          ending.abort();
          resolve();
        });
      });
      if (rehearsal === 'on') await rehearseOrSay(() => ending.signal.aborted || coordinator.isBusy, log);
      await ended;
      await coordinator.close();
      exit(EXIT_CODES.passed.code);
    });
}

/** What cannot be rehearsed will do without. */
async function rehearseOrSay(isNeeded: () => boolean, log: Log): Promise<void> {
  try {
    const samples = await rehearse(isNeeded);
    log.debug({ samples }, 'rehearsed');
  } catch (thrown) {
    log.warn({ reason: reasonOf(thrown) }, 'cannot rehearse');
  }
}

function bytes(text: string): number {
  const value = parseBytes(text);
  if (value === undefined) throw new InvalidArgumentError('Expected a size such as 512MiB.');
  return value;
}
