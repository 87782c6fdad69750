import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parseSummary, type Summary } from '../../shared/report/index.ts';
import { Processes, type Child, type Ended } from './processes.ts';

export const ROOT = join(import.meta.dirname, '..', '..');

/** A coordinator that was started by hand. */
export interface StartedCoordinator {
  readonly process: Child;
  /** HOST:PORT */
  readonly address: string;
  readonly runsDir: string;
}

/** A person's shell: a folder of their own to work in, and the commands they start there. */
export class Shell {
  readonly dir: string;
  readonly processes = new Processes();
  private files = 0;

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'muster-shell-'));
  }

  /** `muster …`, to its end. */
  muster(...words: readonly string[]): Promise<Ended> {
    return this.start(...words).ended;
  }

  /** `muster … &` */
  start(...words: readonly string[]): Child {
    return this.processes.start('coordinator/main.js', words, { cwd: this.dir });
  }

  /** Writes a scenario file. A name ending in `.ts` is written as it is, an object as JSON, which is YAML. */
  async file(content: string | object): Promise<string> {
    const path = join(this.dir, `scenario-${++this.files}.${typeof content === 'string' ? 'ts' : 'yaml'}`);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  /** The sample shop of the examples; resolves with its URL. */
  async sampleTarget(): Promise<string> {
    const target = this.processes.start('examples/target/main.js', ['0']);
    const [url] = await target.untilSaid(/http:\/\/\S+/);
    return url;
  }

  async coordinator(natsUrl: string, ...more: readonly string[]): Promise<StartedCoordinator> {
    const runsDir = join(this.dir, `runs-of-coordinator-${++this.files}`);
    const words = ['coordinator', '--listen', '127.0.0.1:0', '--nats', natsUrl, '--runs-dir', runsDir, ...more];
    const process = this.start(...words);
    const [, port = ''] = await process.untilSaid(/"port":(\d+)/);
    return { process, address: `127.0.0.1:${port}`, runsDir };
  }

  /** For `afterAll`: ends what still runs and removes the folder. */
  async close(): Promise<void> {
    await this.processes.killAll();
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** The summary that `muster run --json` printed. */
export function summaryOf({ stdout, stderr, code }: Ended): Summary {
  if (!stdout.startsWith('{'))
    throw new Error(`it ended with ${String(code)} and printed no summary\n--- stdout\n${stdout}\n--- stderr\n${stderr}`);
  return parseSummary(JSON.parse(stdout));
}

/** The law of conservation, written out. */
export function expectBalanced({ ledger }: Pick<Summary, 'ledger'>): void {
  const { planned, started, dropped, undelivered, unknown, completed, interrupted, samples } = ledger;
  expect(started + dropped + undelivered + unknown).toBe(planned);
  expect(completed + interrupted).toBe(started);
  expect(samples.merged + samples.missing).toBe(samples.recorded);
}
