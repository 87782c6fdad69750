import { readFile, stat } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { AppError, reasonOf, SCENARIO_BYTES_MAX } from '../../shared/base/index.ts';
import {
  checkThresholds,
  openResults,
  renderCheckJson,
  renderCheckJunit,
  renderCheckText,
  thresholdsOf,
  type Results,
} from '../../shared/report/index.ts';
import type { Threshold } from '../../shared/sla/index.ts';
import { parseMilliseconds, unitOption, type Exit } from './command.ts';

interface Flags {
  readonly threshold: readonly string[];
  readonly thresholds?: string;
  readonly warmup: number;
  readonly unit: number;
  readonly format: 'text' | 'json' | 'junit';
}

/** `muster check`: judges thresholds over a run bundle or an HdrHistogram log. Needs nothing that runs. */
export function checkCommand(exit: Exit): Command {
  return new Command('check')
    .description("judge thresholds over a run bundle or an HdrHistogram log; by default those of the bundle's own scenario")
    .argument('<results>', 'the folder of a run bundle, or a .hlog file of any tool')
    .option('--threshold <text>', "such as 'http_req_duration{name:list}: p(99)<250'; repeat for more", collect, [])
    .option('--thresholds <file>', 'YAML: a mapping of metrics to thresholds, or a scenario file')
    .addOption(
      new Option('--warmup <time>', 'leave out what was measured before this time of the run')
        .default(0, '0s')
        .argParser(parseMilliseconds),
    )
    .addOption(unitOption())
    .addOption(new Option('--format <format>', 'what is printed').choices(['text', 'json', 'junit']).default('text'))
    .action(async (path: string, flags: Flags) => {
      const results = await openResults(path, { unitUs: flags.unit });
      const result = await checkThresholds(results, await chosen(results, flags), { warmupUs: flags.warmup * 1_000 });
      switch (flags.format) {
        case 'text':
          process.stdout.write(renderCheckText(result, { color: process.stdout.isTTY }));
          break;
        case 'json':
          process.stdout.write(renderCheckJson(result));
          break;
        case 'junit':
          process.stdout.write(renderCheckJunit(result));
          break;
      }
      exit(result.exitCode);
    });
}

async function chosen(results: Results, flags: Flags): Promise<Threshold[]> {
  const context = { intervalUs: results.intervalUs, metrics: results.custom };
  if (flags.threshold.length > 0 || flags.thresholds !== undefined) {
    const { parseThresholds } = await import('../../shared/scenario/index.ts');
    const given = flags.threshold.flatMap((text) => parseThresholds(text, { where: `--threshold ${text}`, ...context }));
    if (flags.thresholds !== undefined)
      given.push(...parseThresholds(await readText(flags.thresholds), { where: flags.thresholds, ...context }));
    if (given.length > 0) return given;
  }
  const own = thresholdsOf(results);
  if (own.length > 0) return own;
  const why =
    results.kind === 'log' ? 'a log has no thresholds of its own' : NO_THRESHOLDS[results.bundle.isComplete ? 'whole' : 'unended'];
  throw new AppError('USAGE', `${results.path}: ${why}: give some with --threshold or --thresholds`);
}

const NO_THRESHOLDS = { whole: 'its scenario has no thresholds', unended: 'its run left no end, and no thresholds' } as const;

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > SCENARIO_BYTES_MAX) throw new RangeError(`it has ${size} bytes, and at most ${SCENARIO_BYTES_MAX} are read`);
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `--thresholds ${file}: expected a readable file: ${reasonOf(cause)}`, { cause });
  }
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}
