import { join } from 'node:path';
import { systemClock } from '../../shared/base/index.ts';
import { freePort } from '../support/free-port.ts';
import { NatsServer } from '../support/nats-server.ts';
import { Processes, type Child } from '../support/processes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** One agent process and the two stretches of network between it and the rest. */
export interface CampaignAgent {
  readonly id: string;
  readonly process: Child;
  readonly control: TcpProxy;
  readonly results: TcpProxy;
  isKilled: boolean;
  isFrozen: boolean;
  /** Something was done to it for so long that it may have been given up. */
  mayBeLost: boolean;
}

const READY_DEADLINE_MS = 60_000;
const RESTART_MS = 500;
const STARTS_MAX = 20;

/** A cluster of real processes, each of which can be killed, frozen and cut off by itself: nats-server, coordinator, agents. */
export class CampaignCluster {
  readonly nats: NatsServer;
  readonly processes = new Processes();
  readonly agents: CampaignAgent[] = [];
  /** HOST:PORT, the same for every coordinator of this cluster. */
  readonly address: string;
  coordinator: Child | undefined;
  coordinatorKills = 0;
  /** All coordinators that there have been. */
  readonly coordinators: Child[] = [];
  private launched = 0;
  private readonly dir: string;
  private readonly port: number;

  private constructor(nats: NatsServer, port: number, dir: string) {
    this.nats = nats;
    this.port = port;
    this.address = `127.0.0.1:${port}`;
    this.dir = dir;
  }

  static async start(agents: number, dir: string): Promise<CampaignCluster> {
    const cluster = new CampaignCluster(await NatsServer.start(), await freePort(), dir);
    await cluster.startCoordinator();
    await Promise.all(Array.from({ length: agents }, () => cluster.addAgent()));
    await Promise.all(cluster.agents.map(({ process }) => process.untilSaid(/"joined"/, READY_DEADLINE_MS)));
    return cluster;
  }

  /** Resolves when it serves; again after it was killed, on the same port and the same folder. */
  async startCoordinator(): Promise<void> {
    const words = ['--listen', this.address, '--nats', this.nats.url, '--runs-dir', join(this.dir, 'runs')];
    for (let attempt = 1; ; attempt++) {
      const coordinator = this.processes.start('coordinator/main.js', ['coordinator', ...words]);
      this.coordinator = coordinator;
      this.coordinators.push(coordinator);
      try {
        await coordinator.untilSaid(/"port":(\d+)/, READY_DEADLINE_MS);
        return;
      } catch (thrown) {
        // Without NATS it does not start. As whatever watches over it would, we try again.
        if (attempt === STARTS_MAX || !coordinator.stderr.includes('no NATS server')) throw thrown;
        await systemClock.sleep(RESTART_MS);
      }
    }
  }

  async killCoordinator(): Promise<void> {
    this.coordinator?.kill('SIGKILL');
    await this.coordinator?.ended;
    this.coordinator = undefined;
    this.coordinatorKills++;
  }

  /** The agent's own process, without the command that usually stands above it, so that what is killed is the engine. */
  async addAgent(): Promise<CampaignAgent> {
    const id = `agent-${++this.launched}`;
    const agent: CampaignAgent = { id, isKilled: false, isFrozen: false, mayBeLost: false, ...(await this.launch(id)) };
    this.agents.push(agent);
    return agent;
  }

  private async launch(id: string): Promise<Pick<CampaignAgent, 'process' | 'control' | 'results'>> {
    const control = await TcpProxy.start(this.port);
    const results = await TcpProxy.start(this.nats.port);
    const options = {
      agentId: id,
      coordinator: `127.0.0.1:${control.port}`,
      natsUrl: `nats://127.0.0.1:${results.port}`,
      connectTimeoutMs: READY_DEADLINE_MS,
    };
    const process = this.processes.start('agent/main.js', [], { env: { MUSTER_AGENT_OPTIONS: JSON.stringify(options) } });
    return { process, control, results };
  }

  /** Everybody is told to end, as a person would; resolves with the processes that did not. */
  async end(): Promise<number[]> {
    for (const agent of this.agents) {
      if (agent.isFrozen) agent.process.kill('SIGCONT');
      agent.process.kill('SIGTERM');
    }
    this.coordinator?.kill('SIGTERM');
    const left = await this.processes.assertNoneLeft(20_000).then(
      () => [],
      () => this.processes.left(),
    );
    await this.processes.killAll();
    for (const { control, results } of this.agents) await Promise.all([control.stop(), results.stop()]);
    await this.nats.stop();
    return left;
  }
}
