import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { promisify } from 'node:util';

/** What makes the load runs here; what answers it, and everything that is not measured, on the other core. */
export const LOAD_CORE = '0';
export const OTHER_CORE = '1';

const run = promisify(execFile);

/** Moves this process to the core that is not measured; what it starts goes there too, unless it is pinned elsewhere.
 *  Returns what keeps a bench from running here, by name, or nothing. */
export async function settle(...programs: readonly string[]): Promise<string | undefined> {
  for (const program of ['taskset', ...programs]) if (!(await isInstalled(program))) return `${program} is not installed`;
  if (availableParallelism() < 2) return 'it takes two cores';
  moveTo(OTHER_CORE, process.pid);
  return undefined;
}

/** Moves a process with all its threads; what it starts from then on goes there too. */
export function moveTo(cores: string, pid: number): void {
  execFileSync('taskset', ['-a', '-c', '-p', cores, String(pid)]);
}

export async function isInstalled(program: string): Promise<boolean> {
  return run('bash', ['-c', `command -v ${program}`]).then(
    () => true,
    () => false,
  );
}

/** One line on what the numbers below it were measured on. */
export function machine(): string {
  const load = loadavg()[0] ?? NaN;
  return `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Node ${process.version}, load average ${load.toFixed(2)}`;
}

/** The kernel counts CPU time exactly and tells it in these. */
const US_PER_TICK = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** CPU time of a running process so far, user and system, all its threads. */
export function cpuUsOf(pid: number): number {
  // The program's name comes second, in brackets, and may hold anything; the 12th and 13th field after it are what we want (proc(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * US_PER_TICK;
}

/** How long the main thread of a running process has been ready to run and was not let, so far. */
export function keptWaitingUsOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1000;
}

/** The memory a running process holds now. */
export function rssBytesOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}

/** The most memory a running process has held so far; 0 when it is gone. */
export function peakRssBytes(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    // It ended while we looked.
    return 0;
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
