/** How much memory one agent needs to hold many VUs with think time, each with a connection of its own, in a real run against nginx.
 *
 *    npm run bench:scale -- [--vus 10000] [--seconds 60] [--build dist]
 *
 *  Agent and nginx need as many open files as there are VUs, and some more: `ulimit -n 12000` in the shell that starts the bench. */
import { parseArgs } from 'node:util';
import { BenchCluster } from './cluster.ts';
import { machine, settle } from './machine.ts';
import { startNginx } from './nginx.ts';

const RSS_MAX_MB = 400;
const RAMP_S = 10;

const { values } = parseArgs({
  options: {
    vus: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '60' },
    build: { type: 'string', default: 'dist' },
  },
});
const obstacle = await settle('nginx');
if (obstacle === undefined) await bench(Number(values.vus), Number(values.seconds), values.build);
else process.stdout.write(`skipped: ${obstacle}\n`);

async function bench(vus: number, seconds: number, build: string): Promise<void> {
  const nginx = await startNginx(vus + 100);
  const cluster = await BenchCluster.start(build);
  try {
    process.stdout.write(
      `${machine()}\n${vus} VUs come within ${RAMP_S} s, and are held for ${seconds} s; each thinks 5 to 15 s between requests\n`,
    );
    const stages = [
      { duration: `${RAMP_S}s`, target: vus },
      { duration: `${seconds}s`, target: vus },
    ];
    const run = await cluster.run({
      name: 'scale',
      target: nginx.url,
      scenarios: {
        many: {
          ...{ executor: 'ramping-vus', startVUs: 0, stages, gracefulStop: '0s' },
          flow: [{ get: '/' }, { think: '5s..15s' }],
        },
      },
    });
    for (const { intervalIndex, health } of run.intervals.filter((_, i) => i % 10 === 9)) {
      process.stdout.write(
        `${String(intervalIndex + 1).padStart(4)} s  ${health.openSockets} sockets, ${megabytes(health.rssBytes)} MB RSS, ${health.cpu.toFixed(2)} cores\n`,
      );
    }
    const sockets = Math.max(...run.intervals.map(({ health }) => health.openSockets));
    process.stdout.write(
      `${run.requests} requests, ${run.failed} failed, result ${run.grade}; at most ${sockets} sockets at once; ` +
        `peak RSS ${megabytes(run.rssBytes)} MB (at most ${RSS_MAX_MB} for 10000 VUs)\n`,
    );
  } finally {
    await cluster.stop();
    await nginx.stop();
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}
