import { Option, type Command } from 'commander';
import { AppError } from '../../shared/base/index.ts';
import { formatProblems, loadScenario, type CompiledScenario, type ScenarioOverrides } from '../../shared/scenario/index.ts';
import { collect, parseCount, parsePairs } from './command.ts';

/** Flags that say which load a scenario file means: the same for every command that reads one. */
export interface ScenarioFlags {
  readonly target?: string;
  readonly rate?: string;
  readonly vus?: number;
  readonly duration?: string;
  readonly env?: readonly string[];
  readonly seed?: number;
}

export function withScenarioOptions(command: Command): Command {
  return command
    .addOption(new Option('--target <url>', "base URL of the steps, instead of the file's").env('MUSTER_TARGET'))
    .addOption(new Option('--rate <rate>', "instead of the file's: 200, 200/s, 2k/s"))
    .addOption(new Option('--vus <n>', "instead of the file's").argParser(parseCount(1, 1_000_000)))
    .addOption(new Option('--duration <time>', "instead of the file's: 30s, 5m"))
    .addOption(new Option('-e, --env <KEY=VALUE>', 'feeds ${env.KEY}; may be repeated').argParser(collect))
    .addOption(new Option('--seed <n>', 'of every random draw').env('MUSTER_SEED').argParser(parseCount(0, 2 ** 32 - 1)));
}

/** Throws `AppError('SCENARIO_INVALID')` whose message lists every problem of the file, one a line. */
export async function readScenario(file: string, flags: ScenarioFlags): Promise<CompiledScenario> {
  const overrides: ScenarioOverrides = {
    env: parsePairs(flags.env, '-e'),
    ...(flags.target === undefined ? {} : { target: flags.target }),
    ...(flags.rate === undefined ? {} : { rate: flags.rate }),
    ...(flags.vus === undefined ? {} : { vus: flags.vus }),
    ...(flags.duration === undefined ? {} : { duration: flags.duration }),
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
  };
  try {
    return await loadScenario(file, overrides);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.problems.length === 0) throw thrown;
    throw new AppError(thrown.code, `${thrown.message}\n${formatProblems(file, thrown.problems)}`, { cause: thrown });
  }
}
