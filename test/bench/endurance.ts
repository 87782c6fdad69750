/** Whether an agent's memory stays where it is over a long run: its RSS after the first million requests and at the end, in one real run
 *  against nginx.
 *
 *    npm run bench:endurance -- [--millions 20] [--build dist] */
import { parseArgs } from 'node:util';
import { BenchCluster, type AgentInterval } from './cluster.ts';
import { machine, median, settle } from './machine.ts';
import { startNginx } from './nginx.ts';

const VUS = 64;
/** RSS breathes with the garbage collector: the median of so many intervals is told. */
const INTERVALS = 5;

const { values } = parseArgs({ options: { millions: { type: 'string', default: '20' }, build: { type: 'string', default: 'dist' } } });
const obstacle = await settle('nginx');
if (obstacle === undefined) await bench(Number(values.millions) * 1e6, values.build);
else process.stdout.write(`skipped: ${obstacle}\n`);

async function bench(requests: number, build: string): Promise<void> {
  const nginx = await startNginx();
  const cluster = await BenchCluster.start(build);
  try {
    process.stdout.write(`${machine()}\n${requests} requests on ${VUS} connections\n`);
    const load = { executor: 'shared-iterations', vus: VUS, iterations: requests, maxDuration: '2h', flow: [{ get: '/' }] };
    const run = await cluster.run({ name: 'endurance', target: nginx.url, scenarios: { load } });
    const fromMillion = run.intervals.findIndex((interval) => completed(interval) >= 1e6);
    const first = rssMb(run.intervals.slice(Math.max(0, fromMillion), Math.max(0, fromMillion) + INTERVALS));
    const last = rssMb(run.intervals.slice(-INTERVALS));
    let next = 1e6;
    for (const interval of run.intervals) {
      if (completed(interval) < next) continue;
      process.stdout.write(`${(completed(interval) / 1e6).toFixed(1).padStart(6)} million  ${rssMb([interval]).toFixed(0)} MB RSS\n`);
      next = completed(interval) + requests / 20;
    }
    process.stdout.write(
      `${run.requests} requests, ${run.failed} failed, result ${run.grade}; RSS after the first million ${first.toFixed(1)} MB, ` +
        `at the end ${last.toFixed(1)} MB: ${((last / first - 1) * 100).toFixed(1)} % more (at most 10)\n`,
    );
  } finally {
    await cluster.stop();
    await nginx.stop();
  }
}

function completed({ ledgers }: AgentInterval): number {
  return ledgers.reduce((sum, { ledger }) => sum + ledger.completed, 0);
}

function rssMb(intervals: readonly AgentInterval[]): number {
  return median(intervals.map(({ health }) => health.rssBytes / 1024 / 1024));
}
