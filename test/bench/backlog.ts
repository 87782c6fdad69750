/** What a batch costs a coordinator that has many to take, by the number of agents they are of. `simulator.ts` shows what a fleet costs at its
 *  own pace: there batches that come seldom cost most, since each wakes a process. Here nothing is seldom: the coordinator of a real run is
 *  killed when it has started, the agents publish all that they will ever seal to a real nats-server, and the coordinator that is started then
 *  finds it there, interval by interval, and works it off. Every row has the same number of batches, of few agents or of many; rows take turns.
 *
 *  Counted is the CPU time of all threads, from /proc, between the interval at which a sixth is in and the last one: the start of a process and
 *  most of the compilation of its code are over by then. It includes reading from nats-server, decoding, merging, judging, the bundle and
 *  its checkpoints. It does not include heartbeats: the agents do not dial in again. The coordinator has a core to itself. */
import { parseArgs } from 'node:util';
import { cpuUsOf, isInstalled, LOAD_CORE, machine, median, moveTo, OTHER_CORE, peakRssBytes } from './machine.ts';
import { nowUs, Simulation } from './simulation.ts';

/** The most that a row may be off the mean of all. */
const SPREAD_MAX = 0.2;
/** Rounds of one row differ by half on a machine with neighbours: the least of three may still be a bad moment of one row. */
const ROUNDS = '5';
const PUBLISH_TIMEOUT_MS = 300_000;
const QUIET_MAX_MS = 60_000;

const { values } = parseArgs({
  options: {
    agents: { type: 'string', multiple: true, default: ['100', '300', '1000', '3000', '10000'] },
    batches: { type: 'string', default: '60000' },
    rounds: { type: 'string', default: ROUNDS },
    build: { type: 'string', default: 'dist' },
  },
});

interface Measured {
  readonly agents: number;
  readonly intervals: number;
  readonly batches: number;
  readonly seconds: number;
  readonly coordinatorUs: number;
  readonly natsUs: number;
  readonly rssPeakMb: number;
  readonly verdict: string;
}

async function measure(agents: number): Promise<Measured> {
  const intervals = Math.round(Number(values.batches) / agents);
  const { build } = values;
  const simulation = await Simulation.open({ agents, seconds: intervals, processes: 1, spreadMs: 0, build });
  try {
    await simulation.startCoordinator();
    await simulation.join(true);
    await simulation.submit();
    await simulation.untilStartedIsStored();
    await simulation.endCoordinator('SIGKILL');
    simulation.rush();
    await simulation.published(PUBLISH_TIMEOUT_MS);
    simulation.endAgents();
    for (const pid of [process.pid, simulation.nats.pid, simulation.commandPid]) moveTo(OTHER_CORE, pid);
    await simulation.startCoordinator(LOAD_CORE);
    const caughtUp = await watch(simulation, agents, intervals);
    const rssPeakMb = peakRssBytes(simulation.coordinatorPid) / 2 ** 20;
    return { agents, intervals, ...caughtUp, rssPeakMb, verdict: (await simulation.verdict()).text };
  } finally {
    await simulation.close();
    moveTo(`${LOAD_CORE},${OTHER_CORE}`, process.pid);
  }
}

/** From a sixth of the intervals on to the last. */
async function watch(
  simulation: Simulation,
  agents: number,
  intervals: number,
): Promise<Pick<Measured, 'batches' | 'seconds' | 'coordinatorUs' | 'natsUs'>> {
  const log = simulation.intervalLog();
  const now = (): { readonly closed: number; readonly atUs: number; readonly coordinatorUs: number; readonly natsUs: number } => ({
    closed: log.closed,
    atUs: nowUs(),
    coordinatorUs: cpuUsOf(simulation.coordinatorPid),
    natsUs: cpuUsOf(simulation.nats.pid),
  });
  let from: ReturnType<typeof now> | undefined;
  let last = now();
  while (log.closed < intervals) {
    if (await log.read()) {
      last = now();
      if (log.closed >= intervals / 6) from ??= last;
    } else if (nowUs() - last.atUs > QUIET_MAX_MS * 1000) throw new Error(`${log.closed} of ${intervals} intervals, and no more come`);
    await new Promise((wake) => setTimeout(wake, 5));
  }
  const since = from ?? last;
  const batches = (last.closed - since.closed) * agents;
  return {
    batches,
    seconds: (last.atUs - since.atUs) / 1e6,
    coordinatorUs: (last.coordinatorUs - since.coordinatorUs) / batches,
    natsUs: (last.natsUs - since.natsUs) / batches,
  };
}

function line(rounds: readonly Measured[], meanUs: number): string {
  const [first] = rounds;
  const of = (what: (one: Measured) => number): number => median(rounds.map(what));
  const costUs = costOf(rounds);
  const cells = [
    first?.agents.toLocaleString('en'),
    first?.intervals,
    `${of(({ batches, seconds }) => batches / seconds).toFixed(0)}/s`,
    `${costUs.toFixed(0)} µs`,
    `${((costUs / meanUs - 1) * 100).toFixed(0)} %`,
    `${of(({ natsUs }) => natsUs).toFixed(0)} µs`,
    `${of(({ rssPeakMb }) => rssPeakMb).toFixed(0)} MB`,
    [...new Set(rounds.map(({ verdict }) => verdict))].join('; '),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** The least of the rounds: whatever else uses a machine can only add to what is counted. */
function costOf(rounds: readonly Measured[]): number {
  return Math.min(...rounds.map(({ coordinatorUs }) => coordinatorUs));
}

process.stdout.write(`${machine()}\n`);
if (!(await isInstalled('taskset'))) throw new Error('taskset is not installed');
const rows = new Map<string, Measured[]>(values.agents.map((agents) => [agents, []]));
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const [agents, rounds] of rows) {
    const one = await measure(Number(agents));
    rounds.push(one);
    process.stdout.write(`round ${round}, ${agents} agents: ${one.coordinatorUs.toFixed(0)} µs a batch\n`);
  }
}
const costs = [...rows.values()].map(costOf);
const meanUs = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
process.stdout.write(
  '\n| agents | intervals | worked off | coordinator, a batch (least of the rounds) | off the mean | nats-server, a batch | peak RSS | result |\n|---|---|---|---|---|---|---|---|\n',
);
for (const rounds of rows.values()) process.stdout.write(`${line(rounds, meanUs)}\n`);
const isFlat = costs.every((cost) => Math.abs(cost / meanUs - 1) <= SPREAD_MAX);
process.stdout.write(`${isFlat ? 'flat' : 'NOT FLAT'}: every row within ${SPREAD_MAX * 100} % of the mean\n`);
