import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { numberIn, timed, type Cost } from '../timed.ts';
import { CONNECTIONS, type Peer, type Task, type Workspace } from './peer.ts';

/** Requests one after the other that are waited for at a constant rate: enough that the slowest is not waited for. */
const WORKERS = 50;

/** On one core Go sets GOMAXPROCS to 1 by itself. */
export const hey: Peer = {
  name: 'hey',
  program: 'hey',
  tasks: ['get', 'https'],
  async saturate(_task, url, seconds) {
    const { output, cpuUs, rssBytes } = await timed('hey', ['-z', `${seconds}s`, '-c', String(CONNECTIONS), url]);
    return { requests: numberIn(output, /\[200\]\s+(\d+) responses/), cpuUs, rssBytes };
  },
  async pace(url, rate, seconds) {
    const flags = ['-z', `${seconds}s`, '-c', String(WORKERS), '-q', String(rate / WORKERS), url];
    const { output, cpuUs, rssBytes } = await timed('hey', flags);
    const requests = numberIn(output, /\[200\]\s+(\d+) responses/);
    return { cost: { requests, cpuUs, rssBytes }, p99Ms: numberIn(output, /99%+ in ([\d.]+) secs/) * 1000 };
  },
};

export function vegeta(files: Workspace): Peer {
  const attack = async (
    url: string,
    seconds: number,
    flags: readonly string[],
  ): Promise<{ readonly cost: Cost; readonly p99Ms: number }> => {
    const targets = await files.write('vegeta.txt', `GET ${url}\n`);
    const results = files.path('vegeta.bin');
    const all = ['attack', '-insecure', `-duration=${seconds}s`, `-targets=${targets}`, `-output=${results}`, ...flags];
    const { cpuUs, rssBytes } = await timed('vegeta', all);
    // Recording and reporting are programs of their own.
    const { stdout } = await promisify(execFile)('vegeta', ['report', '-type=json', results]);
    const report = JSON.parse(stdout) as { readonly requests: number; readonly latencies: Readonly<Record<string, number>> };
    return { cost: { requests: report.requests, cpuUs, rssBytes }, p99Ms: (report.latencies['99th'] ?? NaN) / 1e6 };
  };
  return {
    name: 'vegeta',
    program: 'vegeta',
    tasks: ['get', 'https'],
    saturate: async (_task, url, seconds) =>
      (await attack(url, seconds, ['-rate=0', `-workers=${CONNECTIONS}`, `-max-workers=${CONNECTIONS}`])).cost,
    pace: (url, rate, seconds) => attack(url, seconds, [`-rate=${rate}`]),
  };
}

export function k6(files: Workspace): Peer {
  const run = async (task: Task, url: string, load: object): Promise<{ readonly cost: Cost; readonly p99Ms: number }> => {
    const script = await files.write('k6.js', k6Script(task, url, load));
    const summary = files.path('k6.json');
    const { cpuUs, rssBytes } = await timed('k6', ['run', '--quiet', '--no-usage-report', '--summary-export', summary, script]);
    const { metrics } = JSON.parse(await readFile(summary, 'utf8')) as {
      readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
    };
    const remark = `(${(metrics['dropped_iterations']?.['count'] ?? 0).toFixed(0)} dropped)`;
    return {
      cost: { requests: metrics['http_reqs']?.['count'] ?? NaN, cpuUs, rssBytes, remark },
      p99Ms: metrics['http_req_duration']?.['p(99)'] ?? NaN,
    };
  };
  return {
    name: 'k6',
    program: 'k6',
    tasks: ['get', 'step', 'https'],
    saturate: async (task, url, seconds) =>
      (await run(task, url, { executor: 'constant-vus', vus: CONNECTIONS, duration: `${seconds}s` })).cost,
    pace: (url, rate, seconds) =>
      run('get', url, { executor: 'constant-arrival-rate', rate, duration: `${seconds}s`, preAllocatedVUs: WORKERS, maxVUs: 500 }),
  };
}

/** What the step of a scenario file does, as k6's documentation writes it. */
function k6Script(task: Task, url: string, load: object): string {
  const options = {
    scenarios: { load },
    insecureSkipTLSVerify: true,
    discardResponseBodies: task !== 'step',
    summaryTrendStats: ['p(99)'],
  };
  return `import http from 'k6/http';
import { check } from 'k6';
export const options = ${JSON.stringify(options)};
export default function () {
  const response = http.get(${JSON.stringify(url)});
  ${task === 'step' ? "check(response, { 'status is 200': (r) => r.status === 200 });\n  const id = response.json('items.0.id');\n  if (id === undefined) throw new Error('nothing captured');" : ''}
}
`;
}
