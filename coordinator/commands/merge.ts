import { Command } from 'commander';
import { AppError, EXIT_CODES } from '../../shared/base/index.ts';
import { mergeBundles, mergeLogs, openResults, type BundleResults, type Results } from '../../shared/report/index.ts';
import { unitOption, type Exit } from './command.ts';

interface Flags {
  readonly out: string;
  readonly unit: number;
}

/** `muster merge`: adds results into one, exactly, or says why that cannot be. */
export function mergeCommand(exit: Exit): Command {
  return new Command('merge')
    .description('add run bundles into one bundle, or HdrHistogram logs (bundles among them) into one log, exactly')
    .argument('<results...>', 'folders of run bundles, or .hlog files of any tool')
    .requiredOption('--out <path>', 'folder of the new bundle; for a log, a file that ends in .hlog')
    .addOption(unitOption())
    .action(async (paths: readonly string[], { out, unit }: Flags) => {
      const sources: Results[] = [];
      for (const path of paths) sources.push(await openResults(path, { unitUs: unit, mustBeExact: true }));
      process.stdout.write(out.endsWith('.hlog') ? await intoLog(sources, out) : await intoBundle(sources, out));
      exit(EXIT_CODES.passed.code);
    });
}

async function intoLog(sources: readonly Results[], out: string): Promise<string> {
  const { intervals, samples } = await mergeLogs(sources, out);
  return `${out}: ${sources.length} logs, ${intervals} intervals, ${samples} samples\n`;
}

async function intoBundle(sources: readonly Results[], out: string): Promise<string> {
  const log = sources.find(({ kind }) => kind === 'log');
  if (log !== undefined) {
    throw new AppError('USAGE', `${log.path} is a log, which has no ledger and no plan: merge it with --out FILE.hlog`);
  }
  const bundles = sources.filter((source): source is BundleResults => source.kind === 'bundle');
  const { run, ledger, validity } = await mergeBundles(bundles, out);
  return `${out}: run ${run.id}, ${sources.length} bundles, ${ledger.samples.merged} samples, ${validity.grade}\n`;
}
