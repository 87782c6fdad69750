/** Muster beside its peers, one table: CPU per request, rate and memory as fast as 64 users go, for a plain GET, for a step with a check
 *  and a capture, and for HTTPS; then, at a constant rate against a target that keeps a log, how evenly requests arrive and whether
 *  the p99 that is reported is the one that the target knows.
 *
 *    npm run bench:peers -- [--rounds 5] [--seconds 6] [--rate 500] [--build dist] [--only muster,wrk] [--tasks get,step]
 *
 *  Peers that are not installed are skipped by name; `bash scripts/bench-peers` gets those that have a registry. Method: docs/benchmarks.md. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TargetProcess } from '../support/target-process.ts';
import { BenchCluster } from './cluster.ts';
import { isInstalled, machine, median, settle } from './machine.ts';
import { startNginx, type Nginx } from './nginx.ts';
import { wrk, wrk2 } from './peers/c-tools.ts';
import { hey, k6, vegeta } from './peers/go-tools.ts';
import { muster } from './peers/muster.ts';
import { CONNECTIONS, type Peer, type Task, type Workspace } from './peers/peer.ts';
import { artillery, autocannon, locust } from './peers/scripted-tools.ts';
import { measurePace, type Paced } from './pace.ts';
import { perRequestUs, table, type Cost } from './timed.ts';

const TASKS: readonly Task[] = ['get', 'step', 'https'];

/** Where a stated bound compares two medians of CPU per request. */
const BOUNDS: readonly { readonly task: Task; readonly ours: string; readonly most: number; readonly theirs: string }[] = [
  { task: 'get', ours: 'muster', most: 1.35, theirs: 'wrk' },
  { task: 'step', ours: 'muster', most: 2.5, theirs: 'wrk' },
  { task: 'step', ours: 'muster (TypeScript)', most: 3, theirs: 'wrk' },
  { task: 'step', ours: 'muster', most: 1 / 5, theirs: 'k6' },
  { task: 'step', ours: 'muster (TypeScript)', most: 1 / 5, theirs: 'k6' },
  { task: 'step', ours: 'muster', most: 1 / 10, theirs: 'locust' },
  { task: 'step', ours: 'muster (TypeScript)', most: 1 / 10, theirs: 'locust' },
  { task: 'https', ours: 'muster', most: 1.5, theirs: 'wrk' },
];

/** Two requests in three take 2 ms, the rest up to some tens: a p99 that is nobody's timer. */
const LATENCY = { kind: 'lognormal', seed: 7, medianUs: 2_000, sigma: 1 } as const;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '6' },
    rate: { type: 'string', default: '500' },
    build: { type: 'string', default: 'dist' },
    only: { type: 'string', default: '' },
    tasks: { type: 'string', default: 'get,step,https,pace' },
  },
});
process.env['PATH'] = `${resolve('.cache/peers/bin')}:${process.env['PATH'] ?? ''}`;
const asked = values.tasks.split(',');
const obstacle = await settle('nginx');
if (obstacle === undefined) await compare();
else say(`skipped: ${obstacle}`);

async function compare(): Promise<void> {
  const [rounds, seconds, rate] = [Number(values.rounds), Number(values.seconds), Number(values.rate)];
  const folder = await mkdtemp(join(tmpdir(), 'muster-peers-'));
  const files: Workspace = {
    path: (name) => join(folder, name),
    write: async (name, text) => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    },
  };
  const nginx = await startNginx();
  const target = await TargetProcess.start({ behaviours: { '/': { latency: LATENCY, body: 'passed muster\n' } } });
  const cluster = await BenchCluster.start(values.build);
  try {
    say(`${machine()}\n${CONNECTIONS} users, ${seconds} s a run, ${rounds} rounds`);
    const peers = await installed([
      ...[wrk, wrk2, hey, autocannon, vegeta(files), k6(files), locust(files), artillery(files)],
      ...[muster(cluster, 'yaml'), muster(cluster, 'typescript')],
    ]);
    const costs = new Map<string, Cost[]>();
    const paces = new Map<string, Paced[]>();
    for (let round = 1; round <= rounds; round++) {
      for (const task of TASKS.filter((one) => asked.includes(one))) {
        for (const peer of peers.filter(({ tasks }) => tasks.includes(task))) {
          const cost = await attempt(peer, () => peer.saturate(task, urlOf(nginx, task), seconds));
          if (cost === undefined) continue;
          add(costs, `${task} ${peer.name}`, cost);
          say(
            `round ${round}  ${task.padEnd(5)}  ${peer.name.padEnd(19)} ${perRequestUs(cost).toFixed(2)} µs/request  ${cost.remark ?? ''}`,
          );
        }
      }
      for (const peer of asked.includes('pace') ? peers : []) {
        const pace = await attempt(peer, () => measurePace(peer, target, rate, seconds));
        if (pace === undefined) continue;
        add(paces, peer.name, pace);
        say(`round ${round}  pace   ${peer.name.padEnd(19)} p99 ${pace.reportedP99Ms.toFixed(2)} ms of ${pace.trueP99Ms.toFixed(2)}`);
      }
    }
    for (const task of TASKS) reportCosts(task, peers, costs, seconds);
    reportPaces(peers, paces, rate);
    reportBounds(costs);
  } finally {
    await cluster.stop();
    await target.stop();
    await nginx.stop();
    await rm(folder, { recursive: true });
  }
}

async function installed(peers: readonly Peer[]): Promise<Peer[]> {
  const only = values.only.split(',').filter((name) => name !== '');
  const found: Peer[] = [];
  for (const peer of peers) {
    if (only.length > 0 && !only.includes(peer.name)) continue;
    if (await isInstalled(peer.program)) found.push(peer);
    else say(`skipped: ${peer.name} is not installed`);
  }
  return found;
}

/** A peer that fails is named and left out of that round; the others go on. */
async function attempt<T>(peer: Peer, measure: () => Promise<T>): Promise<T | undefined> {
  try {
    return await measure();
  } catch (thrown) {
    say(`failed: ${peer.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    return undefined;
  }
}

function urlOf(nginx: Nginx, task: Task): string {
  return { get: nginx.url, step: nginx.jsonUrl, https: nginx.httpsUrl }[task];
}

function add<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function medianUs(costs: ReadonlyMap<string, readonly Cost[]>, task: Task, name: string): number {
  return median((costs.get(`${task} ${name}`) ?? []).map(perRequestUs));
}

function reportCosts(task: Task, peers: readonly Peer[], costs: ReadonlyMap<string, readonly Cost[]>, seconds: number): void {
  const wrkUs = medianUs(costs, task, 'wrk');
  const rows = [[task, 'µs/request', 'min..max', 'x wrk', 'requests/s', 'peak RSS MB']];
  for (const { name } of peers) {
    const each = costs.get(`${task} ${name}`) ?? [];
    if (each.length === 0) continue;
    const us = each.map(perRequestUs);
    rows.push([
      name,
      median(us).toFixed(2),
      `${Math.min(...us).toFixed(2)}..${Math.max(...us).toFixed(2)}`,
      Number.isNaN(wrkUs) ? '-' : (median(us) / wrkUs).toFixed(2),
      (median(each.map(({ requests }) => requests)) / seconds).toFixed(0),
      (median(each.map(({ rssBytes }) => rssBytes)) / 1e6).toFixed(0),
    ]);
  }
  say(`\n${table(rows)}`);
}

function reportPaces(peers: readonly Peer[], paces: ReadonlyMap<string, readonly Paced[]>, rate: number): void {
  const rows = [[`${rate}/s`, 'arrived/s', 'late p50 ms', 'late p99 ms', 'p99 told ms', 'p99 true ms', 'µs/request']];
  for (const { name } of peers) {
    const each = paces.get(name) ?? [];
    if (each.length === 0) continue;
    const of = (pick: (pace: Paced) => number): number => median(each.map(pick));
    rows.push([
      name,
      of((pace) => pace.arrivedPerSecond).toFixed(1),
      ...[of((pace) => pace.errorP50Ms), of((pace) => pace.errorP99Ms), of((pace) => pace.reportedP99Ms), of((pace) => pace.trueP99Ms)].map((ms) => ms.toFixed(2)), // prettier-ignore
      of((pace) => perRequestUs(pace.cost)).toFixed(1),
    ]);
  }
  say(`\n${table(rows)}`);
}

function reportBounds(costs: ReadonlyMap<string, readonly Cost[]>): void {
  say('');
  for (const { task, ours, most, theirs } of BOUNDS) {
    const ratio = medianUs(costs, task, ours) / medianUs(costs, task, theirs);
    const verdict = Number.isNaN(ratio) ? 'not measured' : `${ratio.toFixed(3)}: ${ratio <= most ? 'met' : 'MISSED'}`;
    say(`${task}: ${ours} at most ${most.toFixed(2)} x ${theirs}  ${verdict}`);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
