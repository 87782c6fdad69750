/** A real nats-server, a real coordinator and a real run of simulated agents (`simulated-agents.ts`), each a process of its own, and what is
 *  seen of them from outside. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ResultsPlane } from '../../shared/wire/index.ts';
import { freePort } from '../support/free-port.ts';
import { NatsServer } from '../support/nats-server.ts';
import { waitUntil } from '../support/wait-until.ts';
import { SCENARIOS, TRENDS } from './agent-batches.ts';
import { untilSaid } from './cluster.ts';
import { moveTo } from './machine.ts';
import type { SimulationOptions, SimulationReport } from './simulated-agents.ts';

/** Of both scenarios. */
const SAMPLES = 500;
/** Ten thousand agents take a minute, most of it their own connections. */
const JOIN_TIMEOUT_MS = 180_000;

export interface SimulationSize {
  readonly agents: number;
  /** Intervals that each agent seals, and the seconds of the run. */
  readonly seconds: number;
  /** The agents share so many. */
  readonly processes: number;
  readonly spreadMs: number;
  /** Folder of the built product. */
  readonly build: string;
}

/** What the agents have seen. */
export interface AgentsSaw {
  readonly retries: number;
  readonly lateMaxMs: number;
}

export interface RunVerdict {
  /** Whether everything arrived, and the grade with the codes of its reasons. */
  readonly text: string;
  readonly reasons: readonly string[];
}

/** One run. */
export class Simulation {
  readonly nats: NatsServer;
  private readonly size: SimulationSize;
  private readonly directory: string;
  private readonly address: string;
  private coordinator: ChildProcess | undefined;
  private workers: readonly Worker[] = [];
  private command: ChildProcess | undefined;
  private said = '';
  private complained = '';

  private constructor(size: SimulationSize, nats: NatsServer, directory: string, address: string) {
    this.size = size;
    this.nats = nats;
    this.directory = directory;
    this.address = address;
  }

  static async open(size: SimulationSize): Promise<Simulation> {
    const directory = await mkdtemp(join(tmpdir(), 'muster-simulator-'));
    return new Simulation(size, await NatsServer.start(), directory, `127.0.0.1:${await freePort()}`);
  }

  get coordinatorPid(): number {
    return this.coordinator?.pid ?? 0;
  }

  /** Of `muster run`. */
  get commandPid(): number {
    return this.command?.pid ?? 0;
  }

  get agentPids(): readonly number[] {
    return this.workers.map(({ pid }) => pid);
  }

  /** Resolves when it serves. `cores`: where it may run; everywhere without them. */
  async startCoordinator(cores?: string): Promise<void> {
    const flags = ['--listen', this.address, '--nats', this.nats.url, '--runs-dir', this.runsDir];
    // A backlog may be some gigabytes.
    const patient = ['--drain-timeout', '60s', '--stream-bytes', '8GiB'];
    const program = [this.program, 'coordinator', ...flags, ...patient];
    this.coordinator = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'pipe'] });
    if (cores !== undefined) moveTo(cores, this.coordinatorPid);
    await untilSaid(this.coordinator, 'coordinator is up');
  }

  /** Resolves when it is gone. */
  async endCoordinator(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { coordinator } = this;
    this.coordinator = undefined;
    if (coordinator === undefined || hasEnded(coordinator)) return;
    const exited = once(coordinator, 'exit');
    coordinator.kill(signal);
    await exited;
  }

  /** Resolves when all agents have joined. `inRush`: they seal nothing until `rush`. */
  async join(inRush: boolean): Promise<void> {
    const { agents, seconds, processes, spreadMs } = this.size;
    const each = Math.ceil(agents / processes);
    const workers: Worker[] = [];
    this.workers = workers;
    for (let from = 0; from < agents; from += each) {
      const to = Math.min(agents, from + each);
      workers.push(new Worker({ from, to, coordinator: this.address, natsUrl: this.nats.url, seconds, spreadMs, inRush }));
    }
    await Promise.all(workers.map((worker) => worker.said('joined', JOIN_TIMEOUT_MS)));
  }

  /** Resolves when every agent knows the run's zero, with that instant. */
  async submit(): Promise<number> {
    const file = join(this.directory, 'run.yaml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify(scenarioOf(this.size)));
    const where = ['--coordinator', this.address, '--agents', String(this.size.agents), '--out', join(this.directory, 'out')];
    const command = spawn(process.execPath, [this.program, 'run', file, ...where, '--quiet', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.command = command;
    command.stdout.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    command.stderr.setEncoding('utf8').on('data', (text: string) => (this.complained += text));
    const failed = once(command, 'exit').then(() => Promise.reject(new Error(`the run failed: ${this.complained}`)));
    const started = Promise.all(this.workers.map((worker) => worker.said('started', JOIN_TIMEOUT_MS)));
    failed.catch(() => undefined); // Of interest until it has started.
    const [first] = await Promise.race([started, failed]);
    return first?.zeroUs ?? NaN;
  }

  /** Resolves when the stream knows that the run has started: from there on another coordinator can take it up. */
  async untilStartedIsStored(): Promise<void> {
    const plane = await ResultsPlane.connect(this.nats.url, 'simulation');
    try {
      await waitUntil('the start is stored', async () => (await plane.events()).some(({ kind }) => kind === 'started'));
    } finally {
      await plane.close();
    }
  }

  /** Agents that were told to wait publish everything they will ever seal, as fast as it is stored. */
  rush(): void {
    for (const worker of this.workers) worker.rush();
  }

  /** Resolves when every batch is stored. */
  async published(timeoutMs: number): Promise<AgentsSaw> {
    const done = await Promise.all(this.workers.map((worker) => worker.said('done', timeoutMs)));
    return {
      retries: done.reduce((sum, { retries }) => sum + retries, 0),
      lateMaxMs: Math.max(...done.map(({ lateMaxMs }) => lateMaxMs)),
    };
  }

  /** Resolves at the run's end. */
  async verdict(): Promise<RunVerdict> {
    if (this.command !== undefined && !hasEnded(this.command)) await once(this.command, 'exit');
    const { said, complained } = this;
    if (!said.startsWith('{')) return { text: complained.trim().slice(0, 80), reasons: [] };
    const { validity, ledger } = JSON.parse(said) as {
      readonly validity: { readonly grade: string; readonly reasons: readonly { readonly code: string; readonly detail: string }[] };
      readonly ledger: { readonly samples: { readonly merged: number } };
    };
    const codes = [...new Set(validity.reasons.map(({ code }) => code))];
    const samples = this.size.agents * this.size.seconds * TRENDS * SAMPLES;
    const merged = ledger.samples.merged === samples ? 'all' : `${ledger.samples.merged} of ${samples}`;
    return {
      text: `${validity.grade}${codes.length > 0 ? ` (${codes.join(', ')})` : ''}, ${merged} samples merged`,
      reasons: validity.reasons.map(({ code, detail }) => `${code}: ${detail}`),
    };
  }

  /** The bundle of the run, as it grows. */
  intervalLog(): IntervalLog {
    return new IntervalLog(this.runsDir);
  }

  /** The agents are gone, without a word to anybody. */
  endAgents(): void {
    for (const worker of this.workers) worker.end();
  }

  async close(): Promise<void> {
    this.endAgents();
    if (this.command !== undefined && !hasEnded(this.command)) this.command.kill('SIGKILL');
    await this.endCoordinator('SIGTERM');
    await this.nats.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  private get program(): string {
    return join(resolve(this.size.build), 'coordinator', 'main.js');
  }

  private get runsDir(): string {
    return join(this.directory, 'runs');
  }
}

/** Follows `intervals.hlog`, which is written to when an interval is closed. */
export class IntervalLog {
  /** Intervals `[0, closed)` stand in it. */
  closed = 0;
  private readonly runsDir: string;
  private path: string | undefined;
  private position = 0;

  constructor(runsDir: string) {
    this.runsDir = runsDir;
  }

  /** Looks again. True when another interval is closed. */
  async read(): Promise<boolean> {
    this.path ??= (await readdir(this.runsDir).catch(() => [])).map((run) => join(this.runsDir, run, 'intervals.hlog'))[0];
    if (this.path === undefined) return false;
    const handle = await open(this.path).catch(() => undefined);
    if (handle === undefined) return false;
    try {
      const { size } = await handle.stat();
      // A coordinator that was restarted may begin it anew.
      if (size <= this.position) return false;
      const { buffer } = await handle.read(Buffer.alloc(size - this.position), 0, size - this.position, this.position);
      this.position = size;
      const before = this.closed;
      for (const [, start] of buffer.toString('latin1').matchAll(/^Tag=[^,]*,(\d+)\.\d*,/gm)) {
        this.closed = Math.max(this.closed, Number(start) + 1);
      }
      return this.closed > before;
    } finally {
      await handle.close();
    }
  }
}

class Worker {
  private readonly child: ChildProcess;
  private readonly reports = new Map<string, SimulationReport>();

  constructor(options: SimulationOptions) {
    this.child = fork(new URL('simulated-agents.ts', import.meta.url), {
      env: { ...process.env, SIMULATED_AGENTS: JSON.stringify(options) },
      execArgv: ['--import', 'tsx'],
    });
    this.child.on('message', (report: SimulationReport) => this.reports.set(report.kind, report));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async said<Kind extends SimulationReport['kind']>(kind: Kind, timeoutMs: number): Promise<Extract<SimulationReport, { kind: Kind }>> {
    const report = await waitUntil(`simulated agents have ${kind}`, () => this.reports.get(kind), timeoutMs);
    return report as Extract<SimulationReport, { kind: Kind }>;
  }

  rush(): void {
    this.child.send('rush');
  }

  end(): void {
    if (this.child.connected) this.child.disconnect();
  }
}

function scenarioOf({ agents, seconds }: SimulationSize): object {
  const load = { executor: 'constant-arrival-rate', rate: agents * SAMPLES, timeUnit: '1s', duration: `${seconds}s`, maxVUs: 16 };
  return {
    name: 'simulated',
    target: 'http://127.0.0.1:9',
    scenarios: Object.fromEntries(SCENARIOS.map((name) => [name, { ...load, flow: [{ get: `/${name}` }] }])),
    thresholds: { http_req_response_time: ['p(99)<250'], http_req_failed: ['rate<0.01'] },
  };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

export function nowUs(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}
