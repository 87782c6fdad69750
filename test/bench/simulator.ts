/** How many agents a coordinator carries. A real nats-server, a real coordinator and a real run, each a process of its own; the agents are
 *  simulated (`simulated-agents.ts`): real control streams, a connection each, and real batches of 20 histograms of 500 samples a second.
 *
 *  Lag is how long after its end an interval stands in the bundle on disk. CPU is that of each process, from /proc; the agents of a simulator
 *  share the machine with what is measured, and where they get late it is the machine that is at its end, which the table says. */
import { parseArgs } from 'node:util';
import { cpuUsOf, machine, peakRssBytes, rssBytesOf } from './machine.ts';
import { nowUs, Simulation, type IntervalLog } from './simulation.ts';

const LAG_MAX_MS = 2_000;
const CORES_MAX = 0.5;
const RSS_MAX_MB = 400;
/** CPU is counted from here on; lag from the first second. */
const WARM_UP_S = 3;
const PUBLISH_TIMEOUT_MS = 60_000;

const { values } = parseArgs({
  options: {
    agents: { type: 'string', multiple: true, default: ['100', '300', '1000', '3000', '10000'] },
    seconds: { type: 'string', default: '60' },
    'spread-ms': { type: 'string', default: '500' },
    processes: { type: 'string', default: '2' },
    build: { type: 'string', default: 'dist' },
  },
});

interface Second {
  readonly lagMs: number;
  readonly coordinatorCores: number;
  readonly rssMb: number;
  readonly natsCores: number;
  readonly agentCores: number;
}

interface Measured {
  readonly agents: number;
  readonly seconds: readonly Second[];
  readonly lagMaxMs: number;
  readonly coordinatorCores: number;
  readonly natsCores: number;
  readonly rssPeakMb: number;
  readonly retries: number;
  readonly lateMaxMs: number;
  readonly verdict: string;
}

function line({ agents, seconds, ...of }: Measured): string {
  const lags = seconds.map(({ lagMs }) => lagMs).sort((a, b) => a - b);
  const usOf = (cores: number): string => `${((cores * 1e6) / agents).toFixed(0)} µs`;
  const cells = [
    agents.toLocaleString('en'),
    `${(lags[Math.floor(lags.length / 2)] ?? NaN).toFixed(0)} / ${of.lagMaxMs.toFixed(0)} ms`,
    `${of.coordinatorCores.toFixed(2)} cores`,
    usOf(of.coordinatorCores),
    `${of.rssPeakMb.toFixed(0)} MB`,
    `${of.natsCores.toFixed(2)} cores`,
    usOf(of.natsCores),
    `${of.lateMaxMs.toFixed(0)} ms, ${of.retries} retries`,
    of.verdict,
  ];
  return `| ${cells.join(' | ')} |`;
}

async function simulate(agents: number, seconds: number): Promise<Measured> {
  const { build } = values;
  const size = { agents, seconds, processes: Number(values.processes), spreadMs: Number(values['spread-ms']), build };
  const simulation = await Simulation.open(size);
  try {
    await simulation.startCoordinator();
    await simulation.join(false);
    const zeroUs = await simulation.submit();
    process.stdout.write(`\n${agents} agents, ${seconds} s\n`);
    const watched = await watch(simulation, seconds, zeroUs);
    const saw = await simulation.published(PUBLISH_TIMEOUT_MS);
    const { text: verdict, reasons } = await simulation.verdict();
    for (const reason of reasons.slice(0, 3)) process.stdout.write(`${reason}\n`);
    return { agents, ...watched, rssPeakMb: peakRssBytes(simulation.coordinatorPid) / 2 ** 20, ...saw, verdict };
  } finally {
    await simulation.close();
  }
}

/** One line a second, until the last interval is closed or nothing has moved for long. */
async function watch(
  simulation: Simulation,
  seconds: number,
  zeroUs: number,
): Promise<Pick<Measured, 'seconds' | 'lagMaxMs' | 'coordinatorCores' | 'natsCores'>> {
  const lag = new Lag(simulation.intervalLog(), zeroUs);
  const cpu = (): readonly [number, number, number] => [
    cpuUsOf(simulation.coordinatorPid),
    cpuUsOf(simulation.nats.pid),
    simulation.agentPids.reduce((sum, pid) => sum + cpuUsOf(pid), 0),
  ];
  const measured: Second[] = [];
  let warm: { readonly atUs: number; readonly cpu: ReturnType<typeof cpu> } | undefined;
  let last = { atUs: nowUs(), cpu: cpu() };
  for (let second = 1; second <= seconds + 60 && lag.closed < seconds; second++) {
    while (nowUs() < zeroUs + second * 1e6) {
      await lag.look();
      await new Promise((wake) => setTimeout(wake, 20));
    }
    const now = { atUs: nowUs(), cpu: cpu() };
    const cores = (of: 0 | 1 | 2): number => (now.cpu[of] - last.cpu[of]) / (now.atUs - last.atUs);
    const lagMs = lag.takeMs(second);
    const one = {
      lagMs,
      coordinatorCores: cores(0),
      rssMb: rssBytesOf(simulation.coordinatorPid) / 2 ** 20,
      natsCores: cores(1),
      agentCores: cores(2),
    };
    measured.push(one);
    if (second === WARM_UP_S) warm = now;
    process.stdout.write(
      `${String(second).padStart(4)} s  lag ${lagMs.toFixed(0).padStart(5)} ms  coordinator ${one.coordinatorCores.toFixed(2)} cores ${one.rssMb.toFixed(0)} MB  ` +
        `nats-server ${one.natsCores.toFixed(2)}  agents ${one.agentCores.toFixed(2)}\n`,
    );
    last = now;
    if (second === seconds) break;
  }
  const from = warm ?? last;
  const spanUs = last.atUs - from.atUs;
  return {
    seconds: measured,
    lagMaxMs: Math.max(...measured.map(({ lagMs }) => lagMs)),
    coordinatorCores: (last.cpu[0] - from.cpu[0]) / spanUs,
    natsCores: (last.cpu[1] - from.cpu[1]) / spanUs,
  };
}

/** How long after their end intervals stand in the bundle. */
class Lag {
  private readonly log: IntervalLog;
  private readonly zeroUs: number;
  private worstMs = 0;

  constructor(log: IntervalLog, zeroUs: number) {
    this.log = log;
    this.zeroUs = zeroUs;
  }

  get closed(): number {
    return this.log.closed;
  }

  /** To be called often. */
  async look(): Promise<void> {
    const { closed } = this;
    // The first that was waited for has waited longest.
    if (await this.log.read()) this.worstMs = Math.max(this.worstMs, this.sinceMs(closed + 1));
  }

  /** The longest since it was last asked for, that of the oldest interval that is over and still open included. */
  takeMs(second: number): number {
    const worstMs = Math.max(this.worstMs, this.closed >= second ? 0 : this.sinceMs(this.closed + 1));
    this.worstMs = 0;
    return worstMs;
  }

  private sinceMs(end: number): number {
    return (nowUs() - this.zeroUs) / 1000 - end * 1000;
  }
}

process.stdout.write(`${machine()}\n`);
const rows: Measured[] = [];
for (const agents of values.agents) rows.push(await simulate(Number(agents), Number(values.seconds)));
process.stdout.write(
  '\n| agents | lag p50 / max | coordinator | a batch | peak RSS | nats-server | a batch | simulator late by | result |\n|---|---|---|---|---|---|---|---|---|\n',
);
for (const row of rows) process.stdout.write(`${line(row)}\n`);
const first = rows.find(({ agents }) => agents === 1_000);
if (first !== undefined) {
  const { lagMaxMs, coordinatorCores, rssPeakMb } = first;
  const holds = lagMaxMs < LAG_MAX_MS && coordinatorCores < CORES_MAX && rssPeakMb < RSS_MAX_MB;
  process.stdout.write(
    `${holds ? 'holds' : 'FAILS'}: 1,000 agents with lag under ${LAG_MAX_MS / 1000} s, under ${CORES_MAX} cores and ${RSS_MAX_MB} MB\n`,
  );
}
