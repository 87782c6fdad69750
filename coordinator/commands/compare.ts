import { realpath, writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { AppError, parseDurationUs } from '../../shared/base/index.ts';
import { COMPARE_FORMATS, COMPARED_METRIC, compareFiles, renderComparison, type CompareFormat } from '../../shared/report/index.ts';
import { COMPARE_DEFAULTS } from '../../shared/stats/index.ts';
import { parseCount, unitOption, type Exit } from './command.ts';

interface Flags {
  readonly candidate?: readonly string[];
  readonly metric: string;
  readonly format: CompareFormat;
  readonly out?: string;
  /** Fractions. */
  readonly floor: number;
  readonly resolve: number;
  readonly confidence: number;
  /** Microseconds. */
  readonly floorTime: number;
  readonly unit: number;
  readonly seed: number;
  readonly replicates: number;
}

/** `muster compare`: is the candidate slower than the baseline? Reads files alone: no coordinator, no NATS. */
export function compareCommand(exit: Exit): Command {
  const { floorFraction, floorUs, resolveFraction, confidence, seed, replicates } = COMPARE_DEFAULTS;
  const percent = (name: string, text: string, value: number): Option =>
    new Option(`--${name} <percent>`, text).default(value, `${value * 100}%`).argParser(parsePercent);
  return new Command('compare')
    .description('compare runs: is the candidate slower?')
    .usage('<baseline> <candidate> | <baseline...> --candidate <run...>')
    .argument('<run...>', 'run bundles, or HdrHistogram logs of any tool')
    .option('--candidate <run...>', 'the runs to be judged, when a side has several')
    .option('--metric <name>', 'which durations', COMPARED_METRIC)
    .addOption(unitOption())
    .addOption(new Option('--format <format>', 'what to print').choices([...COMPARE_FORMATS]).default('text'))
    .option('--out <file>', 'write it to a file instead of standard output')
    .addOption(percent('floor', 'smaller changes do not matter', floorFraction))
    .addOption(
      new Option('--floor-time <time>', 'nor do smaller ones of a time').default(floorUs, `${floorUs / 1_000}ms`).argParser(parseTimeUs),
    )
    .addOption(percent('resolve', 'no difference is only said where this much could be ruled out', resolveFraction))
    .addOption(percent('confidence', 'of all intervals of a comparison together', confidence))
    .addOption(new Option('--replicates <n>', 'resamples of each side').default(replicates).argParser(parseCount(200, 100_000)))
    .addOption(new Option('--seed <n>', 'of the resampling').default(seed).argParser(parseCount(0, 0xffff_ffff)))
    .action(async (runs: readonly string[], flags: Flags) => {
      exit(await compare(runs, flags));
    });
}

async function compare(runs: readonly string[], flags: Flags): Promise<number> {
  const sides = sidesOf(runs, flags.candidate);
  await refuseDoubles('baseline', sides.baseline);
  await refuseDoubles('candidate', sides.candidate);
  await refuseSame(sides.baseline, sides.candidate);
  if (flags.confidence < 0.5 || flags.confidence >= 1) throw new AppError('USAGE', '--confidence: expected 50% to 99.9%');
  const { metric, format, out, seed, replicates, confidence } = flags;
  const options = { seed, replicates, confidence, floorFraction: flags.floor, floorUs: flags.floorTime, resolveFraction: flags.resolve };
  const report = await compareFiles({ ...sides, metric, unit: { unitUs: flags.unit }, options });
  const color = out === undefined && process.stdout.isTTY;
  const rendered = renderComparison(report, format, { color });
  if (out === undefined) process.stdout.write(rendered);
  else {
    try {
      await writeFile(out, rendered);
    } catch (cause) {
      throw AppError.from(cause, 'OUT_UNWRITABLE', `cannot write ${out}`);
    }
    process.stderr.write(`${report.verdict}: ${out}\n`);
  }
  return report.exitCode;
}

function sidesOf(
  runs: readonly string[],
  candidate: readonly string[] | undefined,
): { baseline: readonly string[]; candidate: readonly string[] } {
  if (candidate !== undefined) return { baseline: runs, candidate };
  const [first, second, ...more] = runs;
  if (first === undefined || second === undefined) throw new AppError('USAGE', 'expected two runs: a baseline and a candidate');
  if (more.length > 0) throw new AppError('USAGE', `${runs.length} runs: expected --candidate before those that are to be judged`);
  return { baseline: [first], candidate: [second] };
}

/** The same run twice on a side would look like two runs that agree to the last digit. */
async function refuseDoubles(side: string, paths: readonly string[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const path of paths) {
    const real = await realOf(path);
    const before = seen.get(real);
    if (before !== undefined) throw new AppError('USAGE', `${side}: ${path} is there twice (${before}): a repeated run is no second run`);
    seen.set(real, path);
  }
}

/** A run is never slower than itself: whoever asks has named the wrong folder. */
async function refuseSame(baseline: readonly string[], candidate: readonly string[]): Promise<void> {
  const known = new Set(await Promise.all(baseline.map(realOf)));
  for (const path of candidate) {
    if (known.has(await realOf(path))) throw new AppError('USAGE', `${path} stands on both sides: expected other runs to compare with`);
  }
}

/** What is not there is told by who reads it. */
function realOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

function parsePercent(text: string): number {
  const value = Number(/^(\d+(?:\.\d+)?)%?$/.exec(text.trim())?.[1] ?? NaN);
  if (!(value >= 0 && value <= 100)) throw new InvalidArgumentError('Expected a percentage such as 2%.');
  return value / 100;
}

function parseTimeUs(text: string): number {
  const us = parseDurationUs(text);
  if (us === undefined) throw new InvalidArgumentError('Expected a duration such as 0.1ms.');
  return us;
}
