import { Command, InvalidArgumentError, Option } from 'commander';
import { EXIT_CODES, parseRate, VUS_MAX } from '../../shared/base/index.ts';
import { RunsClient } from '../rpc/runs-client.ts';
import { coordinatorOption, LOCAL_COORDINATOR, parseCount, type Exit } from './command.ts';

interface Flags {
  readonly coordinator: string;
  readonly scenario?: string;
  /** Per second. */
  readonly rate?: number;
  readonly vus?: number;
  readonly maxVus?: number;
}

/** `muster scale RUN`: another rate or number of VUs, at one instant on all agents, to the end of the scenario. */
export function scaleCommand(exit: Exit): Command {
  return new Command('scale')
    .description('change the load of a run that is under way')
    .argument('<run>', 'its id, as "muster runs" shows it')
    .addOption(coordinatorOption().default(LOCAL_COORDINATOR))
    .option('--scenario <name>', 'which one; needed where several could be meant')
    .addOption(new Option('--rate <rate>', 'arrivals per second, or with a unit: 800, 2k/s, 90/m').argParser(parsePerSecond))
    .addOption(new Option('--max-vus <n>', 'with a rate; in proportion to it by default').argParser(parseCount(1, VUS_MAX)))
    .addOption(new Option('--vus <n>', 'VUs that loop, over the whole cluster').argParser(parseCount(1, VUS_MAX)))
    .action(async (runId: string, { coordinator, rate, ...request }: Flags) => {
      const client = await RunsClient.connect(coordinator);
      try {
        const { atUs, change } = await client.scale(runId, { ...request, ratePerSecond: rate });
        process.stdout.write(`${change} from ${(atUs / 1_000_000).toFixed(2)} s on\n`);
      } finally {
        client.close();
      }
      exit(EXIT_CODES.passed.code);
    });
}

function parsePerSecond(text: string): number {
  const rate = parseRate(text);
  if (rate === undefined) throw new InvalidArgumentError('Expected a rate such as 800, 2k/s or 90/m.');
  return (rate.events * 1_000_000) / (rate.unitUs ?? 1_000_000);
}
