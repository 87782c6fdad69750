import type { CampaignAgent, CampaignCluster } from './cluster.ts';
import type { Draw } from './draw.ts';
import type { RandomScenario } from './random-plan.ts';

/** What a fault may lay hands on. */
export interface FaultContext {
  readonly cluster: CampaignCluster;
  readonly draw: Draw;
  readonly runId: string;
  readonly scenarios: readonly RandomScenario[];
  readonly sleep: (ms: number) => Promise<void>;
  /** A `muster` command against the cluster's coordinator, to its end; its exit code, and why it is not 0. */
  readonly muster: (...words: readonly string[]) => Promise<string>;
}

/** One kind of fault. `strike` resolves with what it did, in words, once that is undone again (or cannot be), and with `undefined` when
 *  there was nothing to strike at. */
export interface FaultKind {
  readonly name: string;
  /** How often it is drawn, against the others. */
  readonly weight: number;
  readonly strike: (context: FaultContext) => Promise<string | undefined>;
}

/** What is shorter than this must cost nothing but lateness. */
const SHORT_MS = 700;
/** What lasts longer may cost an agent its place. */
const GIVEN_UP_AFTER_MS = 1_500;

const JOIN_DEADLINE_MS = 15_000;

export const FAULTS: readonly FaultKind[] = [
  { name: 'agent-kill', weight: 3, strike: killAgent },
  { name: 'agent-freeze-short', weight: 2, strike: (context) => freeze(context, context.draw.between(200, SHORT_MS)) },
  { name: 'agent-freeze-long', weight: 2, strike: (context) => freeze(context, context.draw.between(5_500, 9_000)) },
  { name: 'coordinator-kill', weight: 2, strike: killCoordinator },
  { name: 'nats-kill', weight: 2, strike: killNats },
  { name: 'nats-freeze', weight: 1, strike: freezeNats },
  { name: 'cut-control', weight: 1, strike: (context) => disturb(context, 'control', undefined, context.draw.between(300, 6_000)) },
  { name: 'cut-results', weight: 1, strike: (context) => disturb(context, 'results', undefined, context.draw.between(300, 6_000)) },
  { name: 'cut-both', weight: 1, strike: (context) => disturb(context, 'both', undefined, context.draw.between(300, 6_000)) },
  { name: 'delay', weight: 1, strike: (context) => disturb(context, 'both', 200, context.draw.between(1_000, 5_000)) },
  { name: 'join', weight: 1, strike: join },
  { name: 'scale', weight: 1, strike: scale },
  { name: 'pause', weight: 1, strike: pause },
];

/** One of the table, by weight. */
export function drawFault(draw: Draw, kinds: readonly FaultKind[]): FaultKind {
  return draw.pick(kinds.flatMap((kind) => Array.from({ length: kind.weight }, () => kind)));
}

function killAgent({ cluster, draw }: FaultContext): Promise<string | undefined> {
  const agent = someAgent(cluster, draw);
  // Somebody has to carry the plan to its end.
  if (agent === undefined || alive(cluster).length < 2) return Promise.resolve(undefined);
  agent.isKilled = true;
  agent.process.kill('SIGKILL');
  return Promise.resolve(`SIGKILL to ${agent.id}`);
}

async function killCoordinator({ cluster, draw, sleep }: FaultContext): Promise<string | undefined> {
  if (cluster.coordinator === undefined) return undefined;
  const ms = draw.between(300, 4_000);
  await cluster.killCoordinator();
  await sleep(ms);
  await cluster.startCoordinator();
  return `SIGKILL to the coordinator, started again ${seconds(ms)} later`;
}

async function killNats({ cluster, draw, sleep }: FaultContext): Promise<string> {
  const ms = draw.between(300, 4_000);
  await cluster.nats.kill9();
  await sleep(ms);
  await cluster.nats.restart();
  return `SIGKILL to nats-server, started again on its store ${seconds(ms)} later`;
}

async function freezeNats({ cluster, draw, sleep }: FaultContext): Promise<string> {
  const ms = draw.between(500, 4_000);
  await cluster.nats.freeze();
  await sleep(ms);
  cluster.nats.thaw();
  return `nats-server stood still for ${seconds(ms)}`;
}

async function join({ cluster }: FaultContext): Promise<string> {
  const { id, process } = await cluster.addAgent();
  // While the coordinator is away it keeps trying.
  await process.untilSaid(/"joined"/, JOIN_DEADLINE_MS).catch(() => undefined);
  return `${id} joined the cluster`;
}

async function scale({ draw, runId, scenarios, muster }: FaultContext): Promise<string | undefined> {
  const { name, executor } = draw.pick(scenarios);
  const change = executor.endsWith('arrival-rate')
    ? ['--rate', String(draw.whole(10, 200))]
    : executor.endsWith('-vus')
      ? ['--vus', String(draw.whole(1, 12))]
      : undefined;
  if (change === undefined) return undefined;
  const words = ['scale', runId, '--scenario', name, ...change];
  return `muster ${words.join(' ')}: ${await muster(...words)}`;
}

async function pause({ draw, runId, muster, sleep }: FaultContext): Promise<string> {
  const paused = await muster('pause', runId);
  const ms = draw.between(500, 2_500);
  await sleep(ms);
  return `muster pause: ${paused}, muster resume ${seconds(ms)} later: ${await muster('resume', runId)}`;
}

function alive(cluster: CampaignCluster): CampaignAgent[] {
  return cluster.agents.filter(({ isKilled, isFrozen }) => !isKilled && !isFrozen);
}

function someAgent(cluster: CampaignCluster, draw: Draw): CampaignAgent | undefined {
  const agents = alive(cluster);
  return agents.length === 0 ? undefined : draw.pick(agents);
}

async function freeze({ cluster, draw, sleep }: FaultContext, ms: number): Promise<string | undefined> {
  const agent = someAgent(cluster, draw);
  if (agent === undefined || alive(cluster).length < 2) return undefined;
  agent.isFrozen = true;
  if (ms > GIVEN_UP_AFTER_MS) agent.mayBeLost = true;
  agent.process.kill('SIGSTOP');
  await sleep(ms);
  agent.process.kill('SIGCONT');
  agent.isFrozen = false;
  return `SIGSTOP to ${agent.id}, SIGCONT ${seconds(ms)} later`;
}

/** Cuts one agent's network, or slows it down by the given time. */
async function disturb(
  { cluster, draw, sleep }: FaultContext,
  what: 'control' | 'results' | 'both',
  delayMs: number | undefined,
  ms: number,
): Promise<string | undefined> {
  const agent = someAgent(cluster, draw);
  if (agent === undefined) return undefined;
  const proxies = what === 'both' ? [agent.control, agent.results] : [agent[what]];
  // Whoever is reachable on one of the two ways is not lost, but another fault may take the other.
  if (ms > GIVEN_UP_AFTER_MS && delayMs === undefined) agent.mayBeLost = true;
  for (const proxy of proxies) {
    if (delayMs === undefined) proxy.cut();
    else proxy.delay(delayMs);
  }
  await sleep(ms);
  for (const proxy of proxies) proxy.heal();
  const where = what === 'both' ? 'to everybody' : what === 'control' ? 'to the coordinator' : 'to NATS';
  return delayMs === undefined
    ? `${agent.id} cut off ${where} for ${seconds(ms)}`
    : `${agent.id} ${delayMs} ms late ${where} for ${seconds(ms)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
