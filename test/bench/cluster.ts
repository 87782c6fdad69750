import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../support/free-port.ts';
import { NatsServer } from '../support/nats-server.ts';
import { waitUntil } from '../support/wait-until.ts';
import { cpuUsOf, keptWaitingUsOf, LOAD_CORE, median, peakRssBytes } from './machine.ts';

/** What one real run measured, and what it cost the agent. */
export interface MeasuredRun {
  readonly requests: number;
  readonly failed: number;
  /** The result's validity, with its reasons. */
  readonly grade: string;
  /** From the intended start. */
  readonly responseP99Ms: number;
  /** Milliseconds. */
  readonly lag: { readonly p50: number; readonly p99: number; readonly max: number };
  /** p99 of the pacer's lateness in the median second, the first two left out, milliseconds: how it is once the code is warm. */
  readonly warmLagP99: number;
  /** Of the agent's process with all its threads, from joined and idle until everything is delivered. */
  readonly cpuUs: number;
  /** What the agent itself says it used under load, in cores: the mean over its whole intervals after the first. */
  readonly coresByHealth: number;
  /** How long the scheduler kept the agent's main thread waiting, behind its own helper threads and behind other programs. */
  readonly keptWaitingUs: number;
  readonly rssBytes: number;
  /** The agent's own account of every interval, in order. */
  readonly intervals: readonly AgentInterval[];
}

/** A line of `intervals.ndjson` about an agent, as far as benches look at it. */
export interface AgentInterval {
  readonly health: { readonly cpu: number; readonly pacerLagP99Us: number; readonly rssBytes: number; readonly openSockets: number };
  readonly ledgers: readonly { readonly ledger: { readonly completed: number } }[];
  readonly intervalIndex: number;
  readonly isFinal: boolean;
}

export interface AgentConditions {
  readonly nodeFlags?: readonly string[];
  /** Its scheduling priority, as nice(1) takes it. */
  readonly nice?: string;
  /** The cores that it may use, as taskset(1) takes them; the measured one when absent. */
  readonly cores?: string;
}

const executeFile = promisify(execFile);

/** A cluster as it runs anywhere: nats-server, coordinator and agent each a process of its own. Only the agent is on the measured core. */
export class BenchCluster {
  private readonly build: string;
  private readonly nats: NatsServer;
  private readonly directory: string;
  private readonly coordinator: ChildProcess;
  private readonly address: string;
  private runs = 0;

  /** `build`: folder of the compiled program. */
  static async start(build: string): Promise<BenchCluster> {
    const nats = await NatsServer.start();
    const directory = await mkdtemp(join(tmpdir(), 'muster-bench-'));
    const address = `127.0.0.1:${await freePort()}`;
    const program = join(resolve(build), 'coordinator', 'main.js');
    const flags = ['--listen', address, '--nats', nats.url, '--runs-dir', join(directory, 'runs')];
    const coordinator = spawn(process.execPath, [program, 'coordinator', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    await untilSaid(coordinator, 'coordinator is up');
    return new BenchCluster(build, nats, directory, coordinator, address);
  }

  private constructor(build: string, nats: NatsServer, directory: string, coordinator: ChildProcess, address: string) {
    this.build = resolve(build);
    this.nats = nats;
    this.directory = directory;
    this.coordinator = coordinator;
    this.address = address;
  }

  /** Runs a scenario, an object or the text of a TypeScript module, on one agent, started for it: every run warms up for itself, as every peer does. */
  async run(scenario: object | string, { nodeFlags = [], nice = '0', cores = LOAD_CORE }: AgentConditions = {}): Promise<MeasuredRun> {
    const name = `run-${++this.runs}`;
    const file = join(this.directory, `${name}.${typeof scenario === 'string' ? 'ts' : 'yaml'}`);
    const out = join(this.directory, name);
    // JSON is YAML.
    await writeFile(file, typeof scenario === 'string' ? scenario : JSON.stringify(scenario));
    const options = { agentId: name, coordinator: this.address, natsUrl: this.nats.url };
    const program = [process.execPath, ...nodeFlags, join(this.build, 'agent', 'main.js')];
    const agent = spawn('nice', ['-n', nice, 'taskset', '-c', cores, ...program], {
      // The channel is the agent's lifeline: it ends when we do.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, MUSTER_AGENT_OPTIONS: JSON.stringify(options), MUSTER_AGENT_LOG: 'info' },
    });
    try {
      await untilSaid(agent, '"joined"');
      const pid = agent.pid ?? 0;
      const beforeUs = cpuUsOf(pid);
      const waitedBeforeUs = keptWaitingUsOf(pid);
      const command = ['run', file, '--coordinator', this.address, '--agents', '1', '--out', out, '--quiet', '--json'];
      // A bad grade is an exit code too, and part of what is measured.
      const { stdout, stderr } = await executeFile(process.execPath, [join(this.build, 'coordinator', 'main.js'), ...command]).catch(
        (error: unknown) => error as { stdout: string; stderr: string },
      );
      const cpuUs = cpuUsOf(pid) - beforeUs;
      const keptWaitingUs = keptWaitingUsOf(pid) - waitedBeforeUs;
      const rssBytes = peakRssBytes(pid);
      if (!stdout.startsWith('{')) throw new Error(`the run failed: ${stderr}`);
      return { ...readSummary(stdout), ...(await readHealth(join(out, 'intervals.ndjson'))), cpuUs, keptWaitingUs, rssBytes };
    } finally {
      if (agent.connected) agent.disconnect();
      if (agent.exitCode === null) await once(agent, 'exit');
    }
  }

  async stop(): Promise<void> {
    const exited = once(this.coordinator, 'exit');
    if (this.coordinator.exitCode === null) {
      this.coordinator.kill('SIGTERM');
      await exited;
    }
    await this.nats.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export async function untilSaid(child: ChildProcess, words: string): Promise<void> {
  let said = '';
  const listen = (text: Buffer): void => void (said += text.toString());
  child.stdout?.on('data', listen);
  child.stderr?.on('data', listen);
  await waitUntil(`${words} is said`, () => said.includes(words) || child.exitCode !== null, 20_000);
  if (!said.includes(words)) throw new Error(`it ended: ${said}`);
}

interface SummaryRead {
  readonly validity: { readonly grade: string; readonly reasons: readonly { readonly code: string }[] };
  readonly metrics: {
    readonly http_reqs: { readonly count: number };
    readonly http_req_failed: { readonly passes: number };
    readonly http_req_response_time: { readonly percentiles: Readonly<Record<string, number>> };
    readonly schedule_lag: { readonly max: number; readonly percentiles: Readonly<Record<string, number>> };
  };
}

function readSummary(json: string): Pick<MeasuredRun, 'requests' | 'failed' | 'grade' | 'responseP99Ms' | 'lag'> {
  const { validity, metrics } = JSON.parse(json) as SummaryRead;
  const { percentiles, max } = metrics.schedule_lag;
  return {
    requests: metrics.http_reqs.count,
    failed: metrics.http_req_failed.passes,
    grade: [validity.grade, ...new Set(validity.reasons.map(({ code }) => code))].join(' '),
    responseP99Ms: metrics.http_req_response_time.percentiles['99'] ?? NaN,
    lag: { p50: percentiles['50'] ?? NaN, p99: percentiles['99'] ?? NaN, max },
  };
}

/** The first interval begins with the preparation, and the last one is cut short: neither is a measure of the load. */
async function readHealth(file: string): Promise<Pick<MeasuredRun, 'coresByHealth' | 'warmLagP99' | 'intervals'>> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  const intervals = lines.map((line) => JSON.parse(line) as AgentInterval | object).filter((line) => 'health' in line);
  const whole = intervals.filter(({ intervalIndex, isFinal }) => intervalIndex > 0 && !isFinal);
  return {
    intervals,
    coresByHealth: whole.reduce((sum, { health }) => sum + health.cpu, 0) / whole.length,
    warmLagP99: median(whole.filter(({ intervalIndex }) => intervalIndex > 1).map(({ health }) => health.pacerLagP99Us / 1000)),
  };
}
