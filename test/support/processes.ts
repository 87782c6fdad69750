import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from './wait-until.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** Children inherit it, and so do theirs: the mark by which a test finds what it left behind. */
const MARK = 'MUSTER_TEST_PROCESSES';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs it, such as `['unshare', '-rm']`. */
  readonly under?: readonly string[];
}

/** The child processes of one test file, with all that they start themselves. */
export class Processes {
  private readonly mark = randomUUID();
  private readonly children: Child[] = [];

  /** `node <script of the build> …`, e.g. `start('coordinator/main.js', ['agents'])`. */
  start(script: string, arguments_: readonly string[], options: SpawnOptions = {}): Child {
    return this.startFile(join(ROOT, 'dist', script), arguments_, options);
  }

  /** `node <file> …` of any folder, to its end. */
  runFile(file: string, arguments_: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
    return this.startFile(file, arguments_, options).ended;
  }

  private startFile(file: string, arguments_: readonly string[], options: SpawnOptions): Child {
    const words = [...(options.under ?? []), process.execPath, '--enable-source-maps', file, ...arguments_];
    const child = new Child(
      spawn(words[0] ?? '', words.slice(1), {
        cwd: options.cwd ?? ROOT,
        env: { ...process.env, ...options.env, [MARK]: this.mark },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.children.push(child);
    return child;
  }

  /** Starts it and waits for its end. */
  run(script: string, arguments_: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
    return this.start(script, arguments_, options).ended;
  }

  /** `muster …`. */
  muster(arguments_: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
    return this.run('coordinator/main.js', arguments_, options);
  }

  /** Ids of processes of this test that still run, grandchildren included (read from /proc). */
  left(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => isMarked(pid, `${MARK}=${this.mark}`));
  }

  /** Rejects when processes of this test are still there past the deadline. */
  async assertNoneLeft(deadlineMs = 5_000): Promise<void> {
    await waitUntil('every process the test started has ended', () => this.left().length === 0, deadlineMs);
  }

  /** For `afterEach`: ends whatever is left, whether the test passed or not. */
  async killAll(): Promise<void> {
    for (const pid of this.left()) killIfThere(pid);
    await this.assertNoneLeft();
    await Promise.all(this.children.map((child) => child.ended));
  }
}

/** One process and all it has said so far. */
export class Child {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  private readonly process: ChildProcess;

  constructor(process: ChildProcess) {
    if (process.pid === undefined) throw new Error('the process did not start');
    this.pid = process.pid;
    this.process = process;
    process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = once(process, 'close').then(() => ({
      code: process.exitCode,
      signal: process.signalCode,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** The first match in what it wrote to either stream. Rejects when it ends, or time does, without one. */
  async untilSaid(pattern: RegExp, deadlineMs = 20_000): Promise<RegExpExecArray> {
    const match = await waitUntil(
      `process ${this.pid} says ${String(pattern)}`,
      () => pattern.exec(this.stdout) ?? pattern.exec(this.stderr) ?? (this.hasEnded ? 'ended' : undefined),
      deadlineMs,
    ).catch((error: unknown) => {
      throw new Error(this.transcript(), { cause: error });
    });
    if (match === 'ended') throw new Error(`it ended without saying ${String(pattern)}\n${this.transcript()}`);
    return match;
  }

  private get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  private transcript(): string {
    return `process ${this.pid}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`;
  }
}

function isMarked(pid: number, mark: string): boolean {
  try {
    // A zombie's environment is empty: it has ended and only waits to be reaped.
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark);
  } catch {
    // It ended while we looked, or belongs to another user: not one of ours.
    return false;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It may have ended by itself since it was listed.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
