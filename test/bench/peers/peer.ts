import type { Cost } from '../timed.ts';

/** `get`: a plain GET. `step`: a GET whose status is checked and whose JSON body gives a value. `https`: a plain GET over TLS. */
export type Task = 'get' | 'step' | 'https';

export const CONNECTIONS = 64;

/** A load generator as the bench drives it. */
export interface Peer {
  readonly name: string;
  /** What must be on PATH. */
  readonly program: string;
  readonly tasks: readonly Task[];
  /** As fast as `CONNECTIONS` users go one after the other. */
  saturate(task: Task, url: string, seconds: number): Promise<Cost>;
  /** At a constant rate, whatever the target does; left out where it cannot. The p99 is what it reports, milliseconds. */
  pace?(url: string, rate: number, seconds: number): Promise<{ readonly cost: Cost; readonly p99Ms: number }>;
}

/** What it needs on disk, in a folder of its own. */
export interface Workspace {
  /** Writes a file and gives its path. */
  write(name: string, text: string): Promise<string>;
  path(name: string): string;
}
