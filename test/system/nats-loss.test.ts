import { connect } from 'nats';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { Summary } from '../../shared/report/index.ts';
import { STREAM } from '../../shared/wire/index.ts';
import { NatsServer } from '../support/nats-server.ts';
import { expectBalanced, Shell, summaryOf } from '../support/shell.ts';
import { TargetProcess } from '../support/target-process.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Seconds of a run, and from when until when its server is gone. `npm run test:full-length` takes its time. */
const TIMES = process.env['MUSTER_FULL_LENGTH'] === '1' ? { lasts: 40, goneFrom: 10, goneFor: 20 } : { lasts: 12, goneFrom: 2, goneFor: 6 };
const RATE = 100;

const shell = new Shell();
const target = await TargetProcess.start({ behaviours: { '*': { latency: { kind: 'constant', us: 5_000 } } } });

afterEach(async () => {
  await shell.processes.killAll();
  await target.reset();
});
afterAll(async () => {
  await shell.close();
  await target.stop();
});

function scenario(seconds: number): Promise<string> {
  const load = { executor: 'constant-arrival-rate', rate: RATE, duration: `${seconds}s`, maxVUs: 200, flow: [{ get: '/' }] };
  return shell.file({ name: 'nats loss', target: target.url, scenarios: { load } });
}

async function untilArrived(count: number): Promise<void> {
  await waitUntil(`${count} requests have arrived`, async () => (await target.total()) >= count, 60_000);
}

/** Everything planned was fired, once, and every sample of it is in the totals, once. */
async function expectNothingMissing(summary: Summary, seconds: number): Promise<void> {
  const planned = RATE * seconds;
  expectBalanced(summary);
  expect(summary.ledger).toMatchObject({ planned, started: planned, completed: planned, samples: { missing: 0, duplicate: 0 } });
  expect(summary.ledger.samples.merged).toBe(summary.ledger.samples.recorded);
  expect(summary.metrics['http_req_response_time']).toMatchObject({ count: planned });
  expect((await target.log()).total).toBe(planned);
  // A busy machine may make its agents late, which has nothing to do with what they deliver.
  expect(summary.validity.reasons.filter(({ grade, code }) => grade === 'invalid' && code !== 'generator-lag')).toEqual([]);
}

describe('a nats-server that is killed in mid-run', () => {
  test('and restarted on the same store costs nothing: no sample is missing, none is counted twice', { timeout: 150_000 }, async () => {
    const nats = await NatsServer.start();
    try {
      const run = shell.start('run', await scenario(TIMES.lasts), '--agents', '3', '--nats', nats.url, '--json');
      await untilArrived(RATE * TIMES.goneFrom);
      await nats.kill9();
      await run.untilSaid(/NATS is not reachable: results wait with the agents/);
      await untilArrived(RATE * (TIMES.goneFrom + TIMES.goneFor));
      await nats.restart();
      await run.untilSaid(/NATS is back/);
      const ended = await run.ended;
      await expectNothingMissing(summaryOf(ended), TIMES.lasts);
    } finally {
      await nats.stop();
    }
  });

  test('as the leader of a stream of three replicas costs nothing: the other two go on', { timeout: 150_000 }, async () => {
    const servers = await NatsServer.startCluster(3);
    const urls = servers.map(({ url }) => url).join(',');
    try {
      const { address } = await shell.coordinator(urls, '--replicas', '3');
      const agents = shell.start('agent', '--coordinator', address, '--nats', urls, '--workers', '3');
      await waitUntil('three agents have joined', () => agents.stderr.split('"joined"').length === 4, 60_000);
      const run = shell.start('run', await scenario(8), '--coordinator', address, '--agents', '3', '--json');
      await untilArrived(RATE * 2);
      const leading = await streamLeader(urls, 3);
      const leader = servers.find(({ name }) => name === leading);
      if (leader === undefined) throw new Error(`nobody here is the leader ${leading}`);
      await leader.kill9();
      const ended = await run.ended;
      await expectNothingMissing(summaryOf(ended), 8);
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  });
});

/** Who leads the stream, which must have that many replicas. */
async function streamLeader(urls: string, replicas: number): Promise<string> {
  const connection = await connect({ servers: urls.split(',') });
  try {
    const { config, cluster } = await (await connection.jetstreamManager()).streams.info(STREAM);
    expect(config.num_replicas).toBe(replicas);
    return cluster?.leader ?? '';
  } finally {
    await connection.close();
  }
}
