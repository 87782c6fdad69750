import { dirname } from 'node:path';
import { Command, Option } from 'commander';
import { EXIT_CODES, systemClock, VERSION } from '../../shared/base/index.ts';
import { calibrationFile, describeMachine, thisMachine } from '../../shared/wire/index.ts';
import { calibrate, LAG_P99_LIMIT_MS, type CalibrateOptions, type CalibrationResult } from '../calibrate/calibrate.ts';
import { saveCalibration } from '../calibrate/save.ts';
import { renderCalibration } from '../calibrate/text.ts';
import { proveWritable } from '../fetch-bundle.ts';
import { drainOption, parseCount, untilSignal, type Exit } from './command.ts';

interface Flags {
  readonly out?: string;
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly seconds?: number;
  /** Milliseconds. */
  readonly drainTimeout: number;
}

type Effort = Pick<CalibrateOptions, 'seconds' | 'attemptsMax' | 'search' | 'rateSeconds'>;

const THOROUGH: Effort = {
  seconds: 15,
  attemptsMax: 3,
  search: { firstPerSecond: 2_000, lowestPerSecond: 100, highestPerSecond: 128_000, triesMax: 16 },
  rateSeconds: 3.5,
};
const QUICK: Effort = {
  seconds: 4,
  attemptsMax: 2,
  search: { firstPerSecond: 2_000, lowestPerSecond: 100, highestPerSecond: 32_000, triesMax: 6 },
  rateSeconds: 1.5,
};

/** `muster calibrate`: shows on this machine that what Muster measures is true, and how much it can fire in time. */
export function calibrateCommand(exit: Exit): Command {
  return new Command('calibrate')
    .description('compare what Muster measures on this machine with a server whose latency is known, and find the highest rate')
    .option('--out <file>', 'where the calibration goes; $MUSTER_CALIBRATION or ~/.cache/muster/calibration.json by default')
    .option('--quick', 'a shorter comparison and a coarser search')
    .addOption(
      new Option('--seconds <n>', `length of the comparison; ${THOROUGH.seconds} by default, ${QUICK.seconds} with --quick`).argParser(
        parseCount(3, 600),
      ),
    )
    .option('--json', 'the result as JSON on stdout')
    .addOption(drainOption())
    .action(async (flags: Flags) => {
      const stopping = new AbortController();
      const forget = untilSignal((signal) => {
        stopping.abort(signal);
      });
      try {
        exit(await run(flags, stopping.signal));
      } finally {
        forget();
      }
    });
}

async function run(flags: Flags, stopping: AbortSignal): Promise<number> {
  const effort = flags.quick === true ? QUICK : THOROUGH;
  const file = flags.out ?? calibrationFile();
  // Better now than after the measurement.
  await proveWritable(dirname(file));
  const result = await calibrate({
    ...effort,
    seconds: flags.seconds ?? effort.seconds,
    drainTimeoutMs: flags.drainTimeout,
    clock: systemClock,
    say: (text) => process.stderr.write(`${text}\n`),
    stopping,
  });
  const machine = thisMachine();
  const saved = await save(result, file);
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ schemaVersion: 1, machine, saved: saved ?? null, ...result }, undefined, 2)}\n`
      : renderCalibration(result, describeMachine(machine), saved),
  );
  return EXIT_CODES[result.verdict === 'passed' ? 'passed' : 'invalidResult'].code;
}

/** Only what a measurement that is true has found is worth keeping. Returns the file. */
async function save({ verdict, rate, agents }: CalibrationResult, file: string): Promise<string | undefined> {
  if (verdict !== 'passed' || rate?.ratePerSecond === undefined) return undefined;
  await saveCalibration(file, {
    schemaVersion: 1,
    at: new Date(systemClock.nowUs() / 1_000).toISOString(),
    version: VERSION,
    machine: thisMachine(),
    agents,
    arrivalsPerSecond: rate.ratePerSecond,
    lagP99LimitMs: LAG_P99_LIMIT_MS,
  });
  return file;
}
