/** CPU per request of a Muster agent in a real run (recording, sealing, publishing, heartbeats) beside wrk, hey and autocannon, in
 *  interleaved rounds: what makes load on one core, nginx and everything that is not measured on the other. Ratios are what counts:
 *  absolute numbers follow the machine and its neighbours.
 *
 *    npm run bench:cost -- [--rounds 5] [--seconds 6] [--build dist] [--build other-dist] [--only]
 *
 *  Several builds run in the same rounds, for before and after; `--only` leaves the peers out. `--flags` are node's, for the agent
 *  (`--flags=--cpu-prof`). */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import autocannon from 'autocannon';
import { BenchCluster } from './cluster.ts';
import { isInstalled, LOAD_CORE, machine, median, peakRssBytes, settle } from './machine.ts';
import { startNginx } from './nginx.ts';
import { numberIn, perRequestUs, table, timed, type Cost } from './timed.ts';

const CONNECTIONS = 64;
const SELF = fileURLToPath(import.meta.url);

/** Loads `url` for `seconds` from the measured core. */
type Measure = (url: string, seconds: number) => Promise<Cost>;

if (process.argv[2] === 'autocannon') await beAutocannon(process.argv[3] ?? '', Number(process.argv[4]));
else await compare();

async function compare(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '6' },
      build: { type: 'string', multiple: true, default: ['dist'] },
      flags: { type: 'string', default: '' },
      only: { type: 'boolean', default: false },
    },
  });
  const obstacle = await settle('nginx');
  if (obstacle !== undefined) {
    process.stdout.write(`skipped: ${obstacle}\n`);
    return;
  }
  const seconds = Number(values.seconds);
  const nodeFlags = values.flags.split(' ').filter((flag) => flag !== '');
  const clusters: BenchCluster[] = [];
  const nginx = await startNginx();
  try {
    process.stdout.write(`${machine()}\n${CONNECTIONS} connections, ${seconds} s a run, ${values.rounds} rounds\n`);
    const peers = new Map<string, Measure>();
    if (!values.only) {
      for (const [name, measure] of [
        ['wrk', wrk],
        ['hey', hey],
      ] as const) {
        if (await isInstalled(name)) peers.set(name, measure);
        else process.stdout.write(`skipped: ${name} is not installed\n`);
      }
    }
    for (const build of values.build) {
      const cluster = await BenchCluster.start(build);
      clusters.push(cluster);
      peers.set(values.build.length === 1 ? 'muster' : `muster (${build})`, (url, duration) => muster(cluster, url, duration, nodeFlags));
    }
    if (!values.only) peers.set('autocannon', autocannonInChild);
    report(await interleave(peers, nginx.url, Number(values.rounds), seconds), seconds);
  } finally {
    for (const cluster of clusters) await cluster.stop();
    await nginx.stop();
  }
}

async function interleave(
  peers: ReadonlyMap<string, Measure>,
  url: string,
  rounds: number,
  seconds: number,
): Promise<ReadonlyMap<string, readonly Cost[]>> {
  const costs = new Map<string, Cost[]>([...peers.keys()].map((name) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [name, measure] of peers) {
      const cost = await measure(url, seconds);
      costs.get(name)?.push(cost);
      process.stdout.write(`round ${round}  ${name.padEnd(12)} ${perRequestUs(cost).toFixed(2)} µs/request  ${cost.remark ?? ''}\n`);
    }
  }
  return costs;
}

function report(costs: ReadonlyMap<string, readonly Cost[]>, seconds: number): void {
  const medianOf = (name: string): number => median((costs.get(name) ?? []).map(perRequestUs));
  const [wrkUs, autocannonUs] = [medianOf('wrk'), medianOf('autocannon')];
  const ratio = (us: number, base: number): string => (Number.isNaN(base) ? '-' : (us / base).toFixed(2));
  const rows = [['', 'µs/request', 'min..max', 'x wrk', 'x autocannon', 'requests/s', 'peak RSS MB']];
  for (const [name, each] of costs) {
    const us = each.map(perRequestUs);
    rows.push([
      name,
      median(us).toFixed(2),
      `${Math.min(...us).toFixed(2)}..${Math.max(...us).toFixed(2)}`,
      ratio(median(us), wrkUs),
      ratio(median(us), autocannonUs),
      (median(each.map(({ requests }) => requests)) / seconds).toFixed(0),
      (median(each.map(({ rssBytes }) => rssBytes)) / 1e6).toFixed(0),
    ]);
  }
  process.stdout.write(`\n${table(rows)}\ntargets: muster at most 1.6 x wrk and at most 0.75 x autocannon\n`);
}

async function muster(cluster: BenchCluster, url: string, seconds: number, nodeFlags: readonly string[]): Promise<Cost> {
  const users = { executor: 'constant-vus', vus: CONNECTIONS, duration: `${seconds}s`, flow: [{ get: '/' }] };
  const run = await cluster.run({ name: 'cost', target: url, scenarios: { users } }, { nodeFlags });
  const { requests, cpuUs, coresByHealth, rssBytes, failed, grade } = run;
  const byHealth = ((coresByHealth * seconds * 1e6) / requests).toFixed(2);
  return { requests, cpuUs, rssBytes, remark: `(${byHealth} by its own health; ${failed} failed; ${grade})` };
}

async function wrk(url: string, seconds: number): Promise<Cost> {
  const { output, cpuUs, rssBytes } = await timed('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, url]);
  return { requests: numberIn(output, /(\d+) requests in/), cpuUs, rssBytes };
}

/** On one core Go sets GOMAXPROCS to 1 by itself. */
async function hey(url: string, seconds: number): Promise<Cost> {
  const { output, cpuUs, rssBytes } = await timed('hey', ['-z', `${seconds}s`, '-c', String(CONNECTIONS), url]);
  return { requests: numberIn(output, /\[200\]\s+(\d+) responses/), cpuUs, rssBytes };
}

async function autocannonInChild(url: string, seconds: number): Promise<Cost> {
  const program = [process.execPath, '--import', 'tsx', SELF, 'autocannon', url, String(seconds)];
  const { stdout } = await promisify(execFile)('taskset', ['-c', LOAD_CORE, ...program]);
  return JSON.parse(stdout) as Cost;
}

/** Runs autocannon in this process and prints what it cost: the load alone, without loading the program. */
async function beAutocannon(url: string, seconds: number): Promise<void> {
  const before = process.cpuUsage();
  const { requests } = await autocannon({ url, connections: CONNECTIONS, duration: seconds });
  const { user, system } = process.cpuUsage(before);
  const cost: Cost = { requests: requests.total, cpuUs: user + system, rssBytes: peakRssBytes(process.pid) };
  process.stdout.write(JSON.stringify(cost));
}
