import { hostname } from 'node:os';
import { Command, Option } from 'commander';
import { AppError, DEFAULTS, EXIT_CODES, ID_PATTERN, parseDurationUs } from '../../shared/base/index.ts';
import { startAgent } from '../agent-process.ts';
import { collect, coordinatorOption, LOCAL_COORDINATOR, natsOption, parseCount, parsePairs, untilSignal, type Exit } from './command.ts';

interface Flags {
  readonly coordinator: string;
  readonly nats: string;
  readonly id?: string;
  readonly workers: number;
  readonly capacity: number;
  readonly label?: readonly string[];
  readonly allow?: readonly string[];
  readonly joinToken: string;
  readonly connectTimeout: string;
}

/** `muster agent`: one engine process per worker, each an agent of its own, until it is told to end. */
export function agentCommand(exit: Exit): Command {
  return new Command('agent')
    .description('run an agent that makes load')
    .addOption(coordinatorOption().default(LOCAL_COORDINATOR))
    .addOption(natsOption().default(DEFAULTS.natsUrl))
    .addOption(new Option('--id <id>', 'name of this agent; host and process by default').env('MUSTER_AGENT_ID'))
    .addOption(
      new Option('--workers <n>', 'engine processes, each an agent').env('MUSTER_WORKERS').default(1).argParser(parseCount(1, 256)),
    )
    .addOption(new Option('--capacity <n>', 'shares of the load this agent takes').default(1).argParser(parseCount(1, 100)))
    .addOption(new Option('--label <KEY=VALUE>', 'told to the coordinator; may be repeated').argParser(collect))
    .addOption(new Option('--allow <host[:port]>', 'send nowhere else, whatever a coordinator says; may be repeated').argParser(collect))
    .addOption(new Option('--join-token <token>', 'the coordinator’s').env('MUSTER_JOIN_TOKEN').default(''))
    .addOption(new Option('--connect-timeout <time>', 'look this long for coordinator and NATS at first').default('30s'))
    .action(async ({ coordinator, nats, id, workers, capacity, label, allow, joinToken, connectTimeout }: Flags) => {
      const timeoutUs = parseDurationUs(connectTimeout);
      if (timeoutUs === undefined) throw new AppError('USAGE', `--connect-timeout ${connectTimeout}: expected a duration such as 30s`);
      const name =
        id ??
        `${hostname()
          .replace(/[^A-Za-z0-9_-]/g, '-')
          .slice(0, 40)}-${process.pid}`;
      if (!ID_PATTERN.test(name)) throw new AppError('USAGE', `--id ${name}: expected 1 to 64 letters, digits, "-" or "_"`);
      const agents = Array.from({ length: workers }, (_, worker) =>
        startAgent(
          {
            agentId: workers === 1 ? name : `${name}-${worker + 1}`,
            coordinator,
            natsUrl: nats,
            capacity,
            joinToken,
            labels: parsePairs(label, '--label'),
            allow: allow ?? [],
            connectTimeoutMs: timeoutUs / 1000,
          },
          process.env['MUSTER_LOG'] ?? 'info',
        ),
      );
      const stopAll = (): void => {
        for (const agent of agents) agent.stop();
      };
      untilSignal(stopAll);
      // One worker that cannot go on ends them all: half an agent is a surprise.
      const codes = agents.map(async (agent) => {
        const code = await agent.exited;
        if (code !== 0) stopAll();
        return code;
      });
      exit(Math.max(EXIT_CODES.passed.code, ...(await Promise.all(codes))));
    });
}
