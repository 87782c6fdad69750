import type { BenchCluster, MeasuredRun } from '../cluster.ts';
import type { Cost } from '../timed.ts';
import { CONNECTIONS, type Peer, type Task } from './peer.ts';

/** A step with one check and one capture, as the storefront example has them. */
const STEP = { check: { status: 200 }, capture: { id: 'json $.items[0].id' } };

/** The agent of a real cluster; `flow` says in what its scenario is written. */
export function muster(cluster: BenchCluster, flow: 'yaml' | 'typescript'): Peer {
  const load = (seconds: number): object => ({ executor: 'constant-vus', vus: CONNECTIONS, duration: `${seconds}s` });
  return {
    name: flow === 'yaml' ? 'muster' : 'muster (TypeScript)',
    program: 'node',
    tasks: flow === 'yaml' ? ['get', 'step', 'https'] : ['step'],
    saturate: async (task, url, seconds) =>
      costOf(await cluster.run(flow === 'yaml' ? document(task, url, load(seconds)) : module(url, load(seconds)))),
    ...(flow === 'yaml'
      ? {
          pace: async (url: string, rate: number, seconds: number) => {
            const arrivals = { executor: 'constant-arrival-rate', rate, duration: `${seconds}s`, maxVUs: 500 };
            const run = await cluster.run(document('get', url, arrivals));
            return { cost: costOf(run), p99Ms: run.responseP99Ms };
          },
        }
      : {}),
  };
}

function document(task: Task, url: string, load: object): object {
  const { origin, pathname } = new URL(url);
  const flow = [{ get: pathname, ...(task === 'step' ? STEP : {}) }];
  return { name: task, target: origin, http: { tls: { insecure: true } }, scenarios: { users: { ...load, flow } } };
}

function module(url: string, load: object): string {
  const { origin, pathname } = new URL(url);
  return `import { defineScenario } from 'muster';
export default defineScenario({
  name: 'step',
  target: ${JSON.stringify(origin)},
  scenarios: {
    users: {
      ...(${JSON.stringify(load)} as const),
      flow: async (vu) => {
        const response = await vu.http.get(${JSON.stringify(pathname)});
        vu.check('status is 200', response.status === 200);
        if (response.json('$.items[0].id') === undefined) throw new Error('nothing captured');
      },
    },
  },
});
`;
}

function costOf({ requests, cpuUs, rssBytes, failed, grade }: MeasuredRun): Cost {
  return { requests, cpuUs, rssBytes, remark: `(${failed} failed; ${grade})` };
}
