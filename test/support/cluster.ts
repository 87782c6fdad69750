import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Plan } from '../../shared/plan/index.ts';
import { readBundle, type Bundle, type MetricSummary, type Summary } from '../../shared/report/index.ts';
import { NatsServer } from './nats-server.ts';
import { Processes, type Child, type Ended } from './processes.ts';
import { waitUntil } from './wait-until.ts';

/** What a run left behind: its exit code, its summary as printed, its bundle on disk. */
export interface ClusterRun {
  readonly ended: Ended;
  readonly summary: Summary;
  readonly bundle: Bundle;
  readonly plan: Plan;
}

/** Seven agents on a busy machine need some seconds. */
const JOIN_DEADLINE_MS = 60_000;

/** A cluster of real processes on loopback: nats-server, a coordinator, and agents. Many runs may follow each other on it. */
export class Cluster {
  readonly nats: NatsServer;
  readonly coordinator: Child;
  private readonly processes: Processes;
  private readonly directory: string;
  private readonly address: string;
  private readonly agents: number;
  private runs = 0;

  private constructor(nats: NatsServer, coordinator: Child, processes: Processes, directory: string, address: string, agents: number) {
    this.nats = nats;
    this.coordinator = coordinator;
    this.processes = processes;
    this.directory = directory;
    this.address = address;
    this.agents = agents;
  }

  /** Resolves when every agent has joined. */
  static async start(agents: number): Promise<Cluster> {
    const nats = await NatsServer.start();
    const processes = new Processes();
    const directory = await mkdtemp(join(tmpdir(), 'muster-cluster-'));
    const coordinator = processes.start('coordinator/main.js', [
      ...['coordinator', '--listen', '127.0.0.1:0', '--nats', nats.url, '--runs-dir', join(directory, 'runs')],
    ]);
    const [, port] = await coordinator.untilSaid(/"port":(\d+)/, JOIN_DEADLINE_MS);
    const cluster = new Cluster(nats, coordinator, processes, directory, `127.0.0.1:${port ?? ''}`, agents);
    if (agents === 0) return cluster;
    const agent = processes.start('coordinator/main.js', [
      ...['agent', '--coordinator', cluster.address, '--nats', nats.url, '--id', 'agent', '--workers', String(agents)],
    ]);
    const joined = (): number => agent.stderr.split('"joined"').length - 1;
    await waitUntil(`${agents} agents have joined`, () => joined() === agents, JOIN_DEADLINE_MS);
    return cluster;
  }

  /** Agents that are processes of their own, `agent-1` and so on, to be killed and stopped one by one. */
  static async startApart(agents: number): Promise<Cluster & { readonly members: readonly Child[] }> {
    const cluster = await Cluster.start(0);
    const members: Child[] = [];
    for (let number = 1; number <= agents; number++) members.push(await cluster.join(`agent-${number}`));
    return Object.assign(cluster, { members });
  }

  /** One more agent process. Resolves when it has joined. */
  async join(agentId: string): Promise<Child> {
    const options = { agentId, coordinator: this.address, natsUrl: this.nats.url };
    const agent = this.processes.start('agent/main.js', [], { env: { MUSTER_AGENT_OPTIONS: JSON.stringify(options) } });
    await agent.untilSaid(/"joined"/, JOIN_DEADLINE_MS);
    return agent;
  }

  /** `muster COMMAND …` of this cluster's coordinator. */
  muster(command: string, ...arguments_: readonly string[]): Promise<Ended> {
    return this.processes.muster([command, ...arguments_, '--coordinator', this.address]);
  }

  /** `muster run` of the scenario on `agents` agents of this cluster, to its end. Rejects when no load ran. */
  async run(scenario: object, agents: number, flags: readonly string[] = []): Promise<ClusterRun> {
    return (await this.begin(scenario, agents, ['--quiet', ...flags])).done;
  }

  /** The same, while it is under way. What it says tells the run's id. */
  async begin(
    scenario: object,
    agents: number,
    flags: readonly string[] = [],
  ): Promise<{ readonly child: Child; readonly done: Promise<ClusterRun> }> {
    const out = join(this.directory, `out-${++this.runs}`);
    // JSON is YAML.
    const file = join(this.directory, `scenario-${this.runs}.yaml`);
    await writeFile(file, JSON.stringify(scenario));
    const child = this.processes.start('coordinator/main.js', [
      ...['run', file, '--coordinator', this.address, '--agents', String(agents), '--out', out, '--json', ...flags],
    ]);
    return { child, done: this.finish(child, out) };
  }

  private async finish(child: Child, out: string): Promise<ClusterRun> {
    const ended = await child.ended;
    if (ended.stdout === '') throw new Error(`the run ended with ${String(ended.code)} and no summary:\n${ended.stderr}`);
    const bundle = await readBundle(out);
    return { ended, summary: JSON.parse(ended.stdout) as Summary, bundle, plan: bundle.manifest.plan as Plan };
  }

  /** A second of load that nobody measures: afterwards code is compiled, and clocks have been compared more often. */
  async warmUp(target: string): Promise<void> {
    const load = { executor: 'constant-arrival-rate', rate: 500, duration: '1s', flow: [{ get: '/' }] };
    await this.run({ name: 'warm up', target, scenarios: { load } }, this.agents);
  }

  async stop(): Promise<void> {
    await this.processes.killAll();
    await this.nats.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** A metric of a summary, which must be there and of that kind. */
export function metricOf<Type extends MetricSummary['type']>(
  { metrics }: Summary,
  name: string,
  type: Type,
): Extract<MetricSummary, { readonly type: Type }> {
  const metric = metrics[name];
  if (metric?.type !== type) throw new Error(`expected a ${type} ${name}, got ${JSON.stringify(metric)}`);
  return metric as Extract<MetricSummary, { readonly type: Type }>;
}
