import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { LOAD_CORE, peakRssBytes } from './machine.ts';

/** What a load cost whoever made it. */
export interface Cost {
  readonly requests: number;
  readonly cpuUs: number;
  readonly rssBytes: number;
  readonly remark?: string;
}

const RSS_POLL_MS = 100;

/** Runs a program on the measured core. The shell's own `time` reads the resource usage of the child and of what it started.
 *  Rejects when the program ends with an error. */
export async function timed(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ output: string; cpuUs: number; rssBytes: number }> {
  const command = `TIMEFORMAT='cpu %3U %3S'; time taskset -c ${LOAD_CORE} "$@"`;
  const shell = spawn('bash', ['-c', command, 'bash', program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  const listen = (text: Buffer): void => void (output += text.toString());
  shell.stdout.on('data', listen);
  shell.stderr.on('data', listen);
  let rssBytes = 0;
  const poll = setInterval(() => (rssBytes = Math.max(rssBytes, peakRssBytes(childOf(shell.pid ?? 0)))), RSS_POLL_MS);
  const code = await new Promise((resolve) => shell.once('close', resolve));
  clearInterval(poll);
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${output.slice(-2000)}`);
  return { output, cpuUs: (numberIn(output, /cpu ([\d.]+)/) + numberIn(output, /cpu [\d.]+ ([\d.]+)/)) * 1e6, rssBytes };
}

export function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`expected ${String(pattern)} in: ${text}`);
  return Number(found);
}

export function perRequestUs({ cpuUs, requests }: Cost): number {
  return cpuUs / requests;
}

/** Columns as wide as they must be: the first to the left, numbers to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '))
    .join('\n');
}

function childOf(pid: number): number {
  try {
    return Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), 10);
  } catch {
    // It ended while we looked.
    return 0;
  }
}
