import { InvalidArgumentError, Option } from 'commander';
import { AppError, DEFAULTS, EXIT_CODES, parseDurationUs } from '../../shared/base/index.ts';

/** Sets the exit code of the process. Every command calls it once, or throws. */
export type Exit = (code: number) => void;

export const LOCAL_COORDINATOR = `${DEFAULTS.controlHost}:${DEFAULTS.controlPort}`;

/** `--coordinator HOST:PORT`; flags beat the environment, the environment beats the default. */
export function coordinatorOption(): Option {
  return new Option('--coordinator <host:port>', 'the coordinator').env('MUSTER_COORDINATOR').argParser(parseAddress);
}

export function natsOption(): Option {
  return new Option('--nats <url>', 'NATS server with JetStream; several with commas').env('MUSTER_NATS');
}

/** In milliseconds. */
export function drainOption(): Option {
  return new Option('--drain-timeout <time>', 'how long a run waits for results after its load has ended')
    .env('MUSTER_DRAIN_TIMEOUT')
    .default(parseMilliseconds(DEFAULTS.drainTimeout), DEFAULTS.drainTimeout)
    .argParser(parseMilliseconds);
}

export function parseMilliseconds(text: string): number {
  const us = parseDurationUs(text);
  if (us === undefined) throw new InvalidArgumentError('Expected a duration such as 20s.');
  return us / 1000;
}

export function parseAddress(text: string): string {
  const port = Number(/^.+:(\d{1,5})$/.exec(text)?.[1] ?? NaN);
  if (!(port >= 0 && port <= 65_535)) throw new InvalidArgumentError('Expected HOST:PORT, such as 127.0.0.1:7700.');
  return text;
}

export function parseCount(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Collects a flag that may be given several times. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

export function parsePairs(pairs: readonly string[] | undefined, flag: string): Record<string, string> {
  return Object.fromEntries(
    (pairs ?? []).map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new AppError('USAGE', `${flag} ${pair}: expected KEY=VALUE`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** Calls `onSignal` when the process is told to end; a second signal ends it at once. Returns how to take that back. */
export function untilSignal(onSignal: (signal: NodeJS.Signals) => void): () => void {
  let isTold = false;
  const tell = (signal: NodeJS.Signals): void => {
    if (isTold) process.exit(EXIT_CODES.stopped.code);
    isTold = true;
    onSignal(signal);
  };
  process.on('SIGINT', tell);
  process.on('SIGTERM', tell);
  return () => {
    process.off('SIGINT', tell);
    process.off('SIGTERM', tell);
  };
}

const LOG_UNITS = { ns: 0.001, us: 1, ms: 1_000, s: 1_000_000 } as const;

/** What a value of a log means; in microseconds. */
export function unitOption(): Option {
  return new Option('--unit <unit>', 'what one unit of an HdrHistogram log of another tool means: ns, us, ms or s')
    .default(1, 'us')
    .argParser((text) => {
      if (!Object.hasOwn(LOG_UNITS, text)) throw new InvalidArgumentError('Expected ns, us, ms or s.');
      return LOG_UNITS[text as keyof typeof LOG_UNITS];
    });
}
