import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { timed, type Cost } from '../timed.ts';
import { CONNECTIONS, type Peer, type Task, type Workspace } from './peer.ts';

const USERS = 50;
/** What artillery may reach per second and user: it has loops of a count, not of a time. */
const ARTILLERY_LOOPS_PER_SECOND = 30;

export const autocannon: Peer = {
  name: 'autocannon',
  program: 'node',
  tasks: ['get', 'https'],
  saturate: async (_task, url, seconds) => (await runAutocannon(url, seconds, 0)).cost,
  pace: (url, rate, seconds) => runAutocannon(url, seconds, rate),
};

async function runAutocannon(url: string, seconds: number, rate: number): Promise<{ readonly cost: Cost; readonly p99Ms: number }> {
  const program = fileURLToPath(new URL('autocannon-main.ts', import.meta.url));
  const { output, rssBytes } = await timed(process.execPath, ['--import', 'tsx', program, url, String(seconds), String(rate)]);
  const line = output.split('\n').find((one) => one.startsWith('{')) ?? '{}';
  const { requests, cpuUs, p99Ms } = JSON.parse(line) as { readonly requests: number; readonly cpuUs: number; readonly p99Ms: number };
  return { cost: { requests, cpuUs, rssBytes }, p99Ms };
}

export function locust(files: Workspace): Peer {
  const run = async (task: Task, url: string, seconds: number, users: number, wait: string) => {
    const script = await files.write('locustfile.py', locustFile(task, url, wait));
    const flags = [
      '-f',
      script,
      '--headless',
      '-u',
      String(users),
      '-r',
      String(users),
      '-t',
      `${seconds}s`,
      '--host',
      new URL(url).origin,
    ];
    const { output, cpuUs, rssBytes } = await timed('locust', [...flags, '--json', '--loglevel', 'ERROR']);
    const [stats] = JSON.parse(output.slice(output.indexOf('['), output.lastIndexOf(']') + 1)) as readonly {
      readonly num_requests: number;
      readonly num_failures: number;
      readonly response_times: Readonly<Record<string, number>>;
    }[];
    if (stats === undefined) throw new Error(`locust sent nothing: ${output}`);
    const cost = { requests: stats.num_requests, cpuUs, rssBytes, remark: `(${stats.num_failures} failed)` };
    return { cost, p99Ms: percentile(stats.response_times, 0.99) };
  };
  return {
    name: 'locust',
    program: 'locust',
    tasks: ['get', 'step', 'https'],
    saturate: async (task, url, seconds) => (await run(task, url, seconds, CONNECTIONS, '')).cost,
    // It has users that keep to a pace, and no arrival rate.
    pace: (url, rate, seconds) => run('get', url, seconds, USERS, `    wait_time = constant_throughput(${rate / USERS})`),
  };
}

function locustFile(task: Task, url: string, wait: string): string {
  const path = new URL(url).pathname;
  const step = `with self.client.get("${path}", catch_response=True) as response:
            if response.status_code != 200:
                response.failure("status")
            self.captured = response.json()["items"][0]["id"]`;
  return `from locust import FastHttpUser, task, constant_throughput
class User(FastHttpUser):
    insecure = True
${wait}
    @task
    def step(self):
        ${task === 'step' ? step : `self.client.get("${path}")`}
`;
}

/** Of counts by value. */
function percentile(counts: Readonly<Record<string, number>>, share: number): number {
  const sorted = Object.entries(counts).map(([value, count]) => [Number(value), count] as const).sort(([a], [b]) => a - b); // prettier-ignore
  let left = share * sorted.reduce((sum, [, count]) => sum + count, 0);
  for (const [value, count] of sorted) if ((left -= count) <= 0) return value;
  return NaN;
}

export function artillery(files: Workspace): Peer {
  const run = async (url: string, phase: object, flow: object): Promise<{ readonly cost: Cost; readonly p99Ms: number }> => {
    const { origin, pathname } = new URL(url);
    const config = { target: origin, tls: { rejectUnauthorized: false }, phases: [phase] };
    const script = { config, scenarios: [{ flow: [JSON.parse(JSON.stringify(flow).replaceAll('PATH', pathname))] }] };
    const file = await files.write('artillery.json', JSON.stringify(script));
    const out = files.path('artillery-out.json');
    const { cpuUs, rssBytes } = await timed('artillery', ['run', '--quiet', '--output', out, file], {
      ARTILLERY_DISABLE_TELEMETRY: 'true',
    });
    const { aggregate } = JSON.parse(await readFile(out, 'utf8')) as {
      readonly aggregate: {
        readonly counters: Readonly<Record<string, number>>;
        readonly summaries: Readonly<Record<string, { readonly p99: number }>>;
      };
    };
    const requests = aggregate.counters['http.responses'] ?? NaN;
    return { cost: { requests, cpuUs, rssBytes }, p99Ms: aggregate.summaries['http.response_time']?.p99 ?? NaN };
  };
  const get = { get: { url: 'PATH' } };
  return {
    name: 'artillery',
    program: 'artillery',
    tasks: ['get', 'https'],
    saturate: async (_task, url, seconds) =>
      (await run(url, { duration: 1, arrivalCount: CONNECTIONS }, { loop: [get], count: seconds * ARTILLERY_LOOPS_PER_SECOND })).cost,
    pace: (url, rate, seconds) => run(url, { duration: seconds, arrivalRate: rate }, get),
  };
}
