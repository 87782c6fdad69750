/** How late a Muster agent notices the arrivals of its plan (`schedule_lag`), in real runs at two rates against nginx, with what the
 *  agent's CPU was meanwhile. How noisy the machine was is told by the lateness of a bare timer on the same core just before, and by how
 *  long the scheduler kept the agent waiting for the core.
 *
 *    npm run bench:pacing -- [--runs 5] [--seconds 15] [--rate 1000] [--rate 5000] [--build dist] [--build other-dist] [--nice -15]
 *                             [--cores 0] [--pacing precise] [--pacing relaxed]
 *
 *  Several builds run in turn, for before and after. On a machine that others use, `--nice` below 0 (root only) puts the agent and the
 *  bare timer before their work, which comes near to having the machine alone. */
import { execFile } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';
import { BenchCluster, type MeasuredRun } from './cluster.ts';
import { LOAD_CORE, machine, median, settle } from './machine.ts';
import { startNginx } from './nginx.ts';

/** More than are ever needed: waiting for a VU would count as lag. */
const VUS = 500;
const NOISE_SECONDS = 1;

/** Sleeps 1 ms again and again and prints how late it woke: p50, p99 and the maximum, milliseconds. */
const NOISE = `
const late = [];
const endMs = performance.now() + ${NOISE_SECONDS * 1000};
const sleep = () => {
  const fromMs = performance.now();
  setTimeout(() => {
    late.push(performance.now() - fromMs - 1);
    if (performance.now() < endMs) return sleep();
    late.sort((a, b) => a - b);
    console.log(JSON.stringify({ p50: late[late.length >> 1], p99: late[Math.floor(late.length * 0.99)], max: late.at(-1) }));
  }, 1);
};
sleep();
`;

type Lateness = MeasuredRun['lag'];

interface Sample {
  readonly lag: Lateness;
  readonly warmLagP99: number;
  readonly cores: number;
  /** Per second of the run. */
  readonly keptWaitingMs: number;
  readonly noise: Lateness;
}

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '15' },
    rate: { type: 'string', multiple: true, default: ['1000', '5000'] },
    nice: { type: 'string', default: '0' },
    cores: { type: 'string', default: LOAD_CORE },
    pacing: { type: 'string', multiple: true, default: ['precise'] },
    build: { type: 'string', multiple: true, default: ['dist'] },
  },
});
const obstacle = await settle('nginx');
if (obstacle === undefined) await bench(Number(values.runs), Number(values.seconds), values.rate.map(Number), values.build);
else process.stdout.write(`skipped: ${obstacle}\n`);

async function bench(runs: number, seconds: number, rates: readonly number[], builds: readonly string[]): Promise<void> {
  const nginx = await startNginx();
  const clusters = new Map<string, BenchCluster>();
  const samples = new Map<string, Sample[]>();
  try {
    process.stdout.write(`${machine()}\n${seconds} s a run, nice ${values.nice}; lateness as p50 / p99 / max in ms\n`);
    for (const build of builds) clusters.set(build, await BenchCluster.start(build));
    for (let run = 1; run <= runs; run++) {
      for (const rate of rates) {
        for (const [build, cluster] of clusters) {
          for (const pacing of values.pacing) {
            const name = `${rate}/s${builds.length === 1 ? '' : ` (${build})`}${pacing === 'precise' ? '' : ` ${pacing}`}`;
            const sample = await measure(cluster, nginx.url, rate, seconds, pacing);
            samples.set(name, [...(samples.get(name) ?? []), sample]);
            line(`run ${run}  ${name}`, sample);
          }
        }
      }
    }
  } finally {
    for (const cluster of clusters.values()) await cluster.stop();
    await nginx.stop();
  }
  for (const [name, each] of samples) {
    line(`median ${name}`, {
      lag: medianOf(each.map(({ lag }) => lag)),
      warmLagP99: median(each.map(({ warmLagP99 }) => warmLagP99)),
      cores: median(each.map(({ cores }) => cores)),
      keptWaitingMs: median(each.map(({ keptWaitingMs }) => keptWaitingMs)),
      noise: medianOf(each.map(({ noise }) => noise)),
    });
  }
  process.stdout.write('target: schedule_lag p99 under 1 ms in the median run\n');
}

async function measure(cluster: BenchCluster, url: string, rate: number, seconds: number, pacing: string): Promise<Sample> {
  const { stdout } = await promisify(execFile)('nice', ['-n', values.nice, 'taskset', '-c', LOAD_CORE, process.execPath, '-e', NOISE]);
  const arrivals = { executor: 'constant-arrival-rate', rate, duration: `${seconds}s`, maxVUs: VUS, flow: [{ get: '/' }] };
  const scenario = {
    name: 'pacing',
    // An older build does not know the key.
    ...(pacing === 'precise' ? {} : { pacing }),
    target: url,
    scenarios: { arrivals },
  };
  const conditions = { nice: values.nice, cores: values.cores };
  const { lag, warmLagP99, coresByHealth, keptWaitingUs, requests, failed } = await cluster.run(scenario, conditions);
  if (requests !== rate * seconds || failed > 0) throw new Error(`${requests} requests of ${rate * seconds}, ${failed} failed`);
  return { lag, warmLagP99, cores: coresByHealth, keptWaitingMs: keptWaitingUs / 1000 / seconds, noise: JSON.parse(stdout) as Lateness };
}

function line(name: string, { lag, warmLagP99, cores, keptWaitingMs, noise }: Sample): void {
  const late = ({ p50, p99, max }: Lateness): string => [p50, p99, max].map((ms) => ms.toFixed(2)).join(' / ');
  const agent = `agent ${cores.toFixed(2)} cores, kept waiting ${keptWaitingMs.toFixed(0)} ms/s`;
  process.stdout.write(
    `${name.padEnd(14)} schedule_lag ${late(lag).padEnd(20)} (warm p99 ${warmLagP99.toFixed(2)}) ${agent}; bare timer ${late(noise)}\n`,
  );
}

function medianOf(each: readonly Lateness[]): Lateness {
  return {
    p50: median(each.map(({ p50 }) => p50)),
    p99: median(each.map(({ p99 }) => p99)),
    max: median(each.map(({ max }) => max)),
  };
}
