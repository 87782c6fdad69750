/** How many agents a coordinator carries. A real nats-server, a real coordinator and a real run, each a process of its own; the agents are
 *  simulated (`simulated-agents.ts`): real control streams, a connection each, and real batches of 20 histograms of 500 samples a second.
 *
 *  Lag is how long after its end an interval stands in the bundle on disk. CPU is that of each process, from /proc; the agents of a simulator
 *  share the machine with what is measured, and where they get late it is the machine that is at its end, which the table says. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../support/free-port.ts';
import { NatsServer } from '../support/nats-server.ts';
import { waitUntil } from '../support/wait-until.ts';
import { SCENARIOS, TRENDS } from './agent-batches.ts';
import { untilSaid } from './cluster.ts';
import { cpuUsOf, machine, peakRssBytes, rssBytesOf } from './machine.ts';
import type { SimulationOptions, SimulationReport } from './simulated-agents.ts';

const LAG_MAX_MS = 2_000;
const CORES_MAX = 0.5;
const RSS_MAX_MB = 400;
/** Of both scenarios. */
const SAMPLES = 500;
/** CPU is counted from here on; lag from the first second. */
const WARM_UP_S = 3;
const JOIN_TIMEOUT_MS = 60_000;

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
  readonly batchBytes: number;
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
  const nats = await NatsServer.start();
  const directory = await mkdtemp(join(tmpdir(), 'muster-simulator-'));
  const program = join(resolve(values.build), 'coordinator', 'main.js');
  const address = `127.0.0.1:${await freePort()}`;
  const flags = ['--listen', address, '--nats', nats.url, '--runs-dir', join(directory, 'runs'), '--drain-timeout', '60s'];
  const coordinator = spawn(process.execPath, [program, 'coordinator', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  const workers: Worker[] = [];
  try {
    await untilSaid(coordinator, 'coordinator is up');
    const each = Math.ceil(agents / Number(values.processes));
    for (let from = 0; from < agents; from += each) {
      const to = Math.min(agents, from + each);
      workers.push(new Worker({ from, to, coordinator: address, natsUrl: nats.url, seconds, spreadMs: Number(values['spread-ms']) }));
    }
    await Promise.all(workers.map((worker) => worker.said('joined', JOIN_TIMEOUT_MS)));
    const file = join(directory, 'run.yaml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify(scenarioOf(agents, seconds)));
    const command = [
      'run',
      file,
      '--coordinator',
      address,
      '--agents',
      String(agents),
      '--out',
      join(directory, 'out'),
      '--quiet',
      '--json',
    ];
    const cli = spawn(process.execPath, [program, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    let complained = '';
    cli.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    cli.stderr.setEncoding('utf8').on('data', (text: string) => (complained += text));
    const exited = once(cli, 'exit');
    const [{ zeroUs }] = (await Promise.race([
      Promise.all(workers.map((worker) => worker.said('started', JOIN_TIMEOUT_MS))),
      exited.then(() => Promise.reject(new Error(`the run failed: ${complained}`))),
    ])) as [Extract<SimulationReport, { kind: 'started' }>];
    process.stdout.write(`\n${agents} agents, ${seconds} s\n`);
    const watched = await watch(agents, seconds, zeroUs, join(directory, 'runs'), coordinator, nats, workers);
    const done = await Promise.all(workers.map((worker) => worker.said('done', JOIN_TIMEOUT_MS)));
    await exited;
    return {
      agents,
      ...watched,
      rssPeakMb: peakRssBytes(coordinator.pid ?? 0) / 2 ** 20,
      retries: done.reduce((sum, { retries }) => sum + retries, 0),
      lateMaxMs: Math.max(...done.map(({ lateMaxMs }) => lateMaxMs)),
      batchBytes: done[0]?.batchBytes ?? 0,
      verdict: verdictOf(said, complained, agents * seconds * TRENDS * SAMPLES),
    };
  } finally {
    for (const worker of workers) worker.end();
    if (coordinator.exitCode === null) {
      coordinator.kill('SIGTERM');
      await once(coordinator, 'exit');
    }
    await nats.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** One line a second, until the last interval is closed or nothing has moved for long. */
async function watch(
  agents: number,
  seconds: number,
  zeroUs: number,
  runsDir: string,
  coordinator: ChildProcess,
  nats: NatsServer,
  workers: readonly Worker[],
): Promise<Pick<Measured, 'seconds' | 'lagMaxMs' | 'coordinatorCores' | 'natsCores'>> {
  const log = new IntervalLog(runsDir, zeroUs);
  const cpu = (): readonly [number, number, number] => [
    cpuUsOf(coordinator.pid ?? 0),
    cpuUsOf(nats.pid),
    workers.reduce((sum, { pid }) => sum + cpuUsOf(pid), 0),
  ];
  const measured: Second[] = [];
  let warm: { readonly atUs: number; readonly cpu: ReturnType<typeof cpu> } | undefined;
  let last = { atUs: nowUs(), cpu: cpu() };
  for (let second = 1; second <= seconds + 60 && log.closed < seconds; second++) {
    while (nowUs() < zeroUs + second * 1e6) {
      await log.read();
      await new Promise((wake) => setTimeout(wake, 20));
    }
    const now = { atUs: nowUs(), cpu: cpu() };
    const cores = (of: 0 | 1 | 2): number => (now.cpu[of] - last.cpu[of]) / (now.atUs - last.atUs);
    const lagMs = Math.max(log.takeLagMs(), log.openLagMs(nowUs(), second));
    const one = {
      lagMs,
      coordinatorCores: cores(0),
      rssMb: rssBytesOf(coordinator.pid ?? 0) / 2 ** 20,
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

/** Follows `intervals.hlog`, which is written to when an interval is closed. */
class IntervalLog {
  /** Intervals `[0, closed)` stand in it. */
  closed = 0;
  private readonly runsDir: string;
  private readonly zeroUs: number;
  private path: string | undefined;
  private position = 0;
  private worstMs = 0;

  constructor(runsDir: string, zeroUs: number) {
    this.runsDir = runsDir;
    this.zeroUs = zeroUs;
  }

  async read(): Promise<void> {
    this.path ??= (await readdir(this.runsDir).catch(() => [])).map((run) => join(this.runsDir, run, 'intervals.hlog'))[0];
    if (this.path === undefined) return;
    const handle = await open(this.path).catch(() => undefined);
    if (handle === undefined) return;
    try {
      const { size } = await handle.stat();
      if (size === this.position) return;
      const { buffer } = await handle.read(Buffer.alloc(size - this.position), 0, size - this.position, this.position);
      this.position = size;
      for (const [, start] of buffer.toString('latin1').matchAll(/^Tag=[^,]*,(\d+)\.\d*,/gm)) this.see(Number(start));
    } finally {
      await handle.close();
    }
  }

  /** The longest since it was last asked for. */
  takeLagMs(): number {
    const { worstMs } = this;
    this.worstMs = 0;
    return worstMs;
  }

  /** Of the oldest interval that is over and still open. */
  openLagMs(nowUs: number, second: number): number {
    return this.closed >= second ? 0 : (nowUs - this.zeroUs) / 1000 - (this.closed + 1) * 1000;
  }

  private see(interval: number): void {
    if (interval < this.closed) return;
    this.closed = interval + 1;
    this.worstMs = Math.max(this.worstMs, (nowUs() - this.zeroUs) / 1000 - this.closed * 1000);
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

  end(): void {
    if (this.child.connected) this.child.disconnect();
  }
}

function scenarioOf(agents: number, seconds: number): object {
  const load = { executor: 'constant-arrival-rate', rate: agents * SAMPLES, timeUnit: '1s', duration: `${seconds}s`, maxVUs: 16 };
  return {
    name: 'simulated',
    target: 'http://127.0.0.1:9',
    scenarios: Object.fromEntries(SCENARIOS.map((name) => [name, { ...load, flow: [{ get: `/${name}` }] }])),
    thresholds: { http_req_response_time: ['p(99)<250'], http_req_failed: ['rate<0.01'] },
  };
}

/** Whether everything arrived, and what the run says of itself. */
function verdictOf(said: string, complained: string, samples: number): string {
  if (!said.startsWith('{')) return complained.trim().slice(0, 80);
  const { validity, ledger } = JSON.parse(said) as {
    readonly validity: { readonly grade: string; readonly reasons: readonly { readonly code: string; readonly detail: string }[] };
    readonly ledger: { readonly samples: { readonly merged: number } };
  };
  for (const { code, detail } of validity.reasons.slice(0, 3)) process.stdout.write(`${code}: ${detail}\n`);
  const reasons = [...new Set(validity.reasons.map(({ code }) => code))];
  return `${validity.grade}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}, ${ledger.samples.merged === samples ? 'all' : `${ledger.samples.merged} of ${samples}`} samples merged`;
}

function nowUs(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
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
