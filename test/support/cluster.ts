import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Plan } from '../../shared/plan/index.ts';
import { readBundle, type Bundle, type MetricSummary, type Summary } from '../../shared/report/index.ts';
import { NatsServer } from './nats-server.ts';
import { Processes, type Ended } from './processes.ts';
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
  private readonly processes: Processes;
  private readonly directory: string;
  private readonly address: string;
  private readonly agents: number;
  private runs = 0;

  private constructor(nats: NatsServer, processes: Processes, directory: string, address: string, agents: number) {
    this.nats = nats;
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
    const cluster = new Cluster(nats, processes, directory, `127.0.0.1:${port ?? ''}`, agents);
    const agent = processes.start('coordinator/main.js', [
      ...['agent', '--coordinator', cluster.address, '--nats', nats.url, '--id', 'agent', '--workers', String(agents)],
    ]);
    const joined = (): number => agent.stderr.split('"joined"').length - 1;
    await waitUntil(`${agents} agents have joined`, () => joined() === agents, JOIN_DEADLINE_MS);
    return cluster;
  }

  /** `muster run` of the scenario on `agents` agents of this cluster, to its end. Rejects when no load ran. */
  async run(scenario: object, agents: number, flags: readonly string[] = []): Promise<ClusterRun> {
    const out = join(this.directory, `out-${++this.runs}`);
    // JSON is YAML.
    const file = join(this.directory, `scenario-${this.runs}.yaml`);
    await writeFile(file, JSON.stringify(scenario));
    const ended = await this.processes.muster([
      ...['run', file, '--coordinator', this.address, '--agents', String(agents), '--out', out, '--json', '--quiet', ...flags],
    ]);
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
