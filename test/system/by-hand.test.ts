import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { service as healthService } from 'grpc-health-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { RunInfo } from '../../coordinator/rpc/runs-client.ts';
import { readBundle } from '../../shared/report/index.ts';
import { NatsServer } from '../support/nats-server.ts';
import { expectBalanced, ROOT, Shell, summaryOf, type StartedCoordinator } from '../support/shell.ts';
import { waitUntil } from '../support/wait-until.ts';

const HELLO = join(ROOT, 'examples', 'hello.yaml');

// Their runs must be good ones: agents that rehearse, once for all of them, are not late with their first arrivals.
vi.stubEnv('MUSTER_REHEARSAL', 'on');

const shell = new Shell();
let nats: NatsServer;
let coordinator: StartedCoordinator;
let target: string;

beforeAll(async () => {
  nats = await NatsServer.start();
  [coordinator, target] = await Promise.all([shell.coordinator(nats.url), shell.sampleTarget()]);
  for (const id of ['ada', 'bob', 'cyd'])
    shell.start('agent', '--coordinator', coordinator.address, '--nats', nats.url, '--id', id, '--label', `zone=${id[0]!}`);
  await untilAgents(3);
});

afterAll(async () => {
  await shell.close();
  await nats.stop();
});

async function agents(): Promise<{ readonly agentId: string; readonly state: string; readonly runId: string }[]> {
  const { stdout } = await shell.muster('agents', '--coordinator', coordinator.address, '--json');
  return JSON.parse(stdout) as { agentId: string; state: string; runId: string }[];
}

async function untilAgents(count: number): Promise<void> {
  await waitUntil(
    `${count} agents are ready`,
    async () => (await agents()).filter(({ state }) => state === 'READY').length === count,
    30_000,
  );
}

async function runs(): Promise<RunInfo[]> {
  const { stdout } = await shell.muster('runs', '--coordinator', coordinator.address, '--json');
  return JSON.parse(stdout) as RunInfo[];
}

/** `muster run examples/hello.yaml` on this cluster. */
function startHello(duration: string, ...more: readonly string[]): ReturnType<Shell['start']> {
  return shell.start('run', HELLO, '--coordinator', coordinator.address, '--target', target, '--duration', duration, '--json', ...more);
}

/** Its run id, once load is being made. */
async function untilRunning(run: ReturnType<Shell['start']>): Promise<string> {
  const [, runId = ''] = await run.untilSaid(/^run (\S+)$/m);
  await run.untilSaid(/errors 0 .*agents \d\/\d.*VUs/);
  return runId;
}

describe('a cluster started by hand', () => {
  test('a run over three agents passes, adds up, and leaves its bundle on both sides', async () => {
    const ended = await startHello('4s', '--out', join(shell.dir, 'hello')).ended;
    expect(ended.code, ended.stderr).toBe(0);
    const summary = summaryOf(ended);
    expect(summary.run.agents).toEqual({ planned: 3, reported: 3, lost: 0 });
    expect(summary.ledger).toMatchObject({ planned: 200, started: 200, completed: 200 });
    expectBalanced(summary);
    expect(summary.metrics['http_reqs']).toMatchObject({ count: 200 });
    const here = await readBundle(join(shell.dir, 'hello'));
    const there = await readBundle(join(coordinator.runsDir, summary.run.id));
    expect(here.summary).toEqual(summary);
    expect(there.summary).toEqual(summary);
  });

  test('muster agents lists who has joined, with labels, for people', async () => {
    const { code, stdout, stderr } = await shell.muster('agents', '--coordinator', coordinator.address);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [head, ...rows] = stdout.trim().split('\n');
    expect(head).toMatch(/^AGENT +STATE +RUN +VERSION +CAPACITY +CLOCK +LABELS$/);
    expect(rows.map((row) => row.split(/ +/).slice(0, 3))).toEqual(['ada', 'bob', 'cyd'].map((id) => [id, 'READY', '-']));
    expect(rows[0]).toContain('zone=a');
  });

  test('killing the command does not kill its run: it goes on, ends with its own exit code and leaves its bundle', async () => {
    const command = startHello('4s');
    const runId = await untilRunning(command);
    command.kill('SIGKILL');
    expect((await command.ended).signal).toBe('SIGKILL');
    expect((await runs()).find((run) => run.runId === runId)).toMatchObject({ name: 'hello', state: 'running', agents: 3 });
    await waitUntil('the run is over', async () => (await runs()).find((run) => run.runId === runId)?.state === 'finished', 30_000);
    expect((await runs()).find((run) => run.runId === runId)).toMatchObject({ exitCode: 0 });
    const { summary } = await readBundle(join(coordinator.runsDir, runId));
    expect(summary.ledger).toMatchObject({ planned: 200, started: 200, completed: 200 });
    expectBalanced(summary);
  });

  test('muster stop ends a run: who waits for it is told, with 105 and a summary that adds up', async () => {
    const command = startHello('60s');
    const runId = await untilRunning(command);
    const stop = await shell.muster('stop', runId, '--coordinator', coordinator.address);
    expect(stop).toMatchObject({ code: 0, stdout: `stopping ${runId}\n`, stderr: '' });
    const ended = await command.ended;
    expect(ended.code, ended.stderr).toBe(105);
    expect(ended.stderr).toContain('stopped: muster stop');
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.ledger.started).toBeGreaterThan(0);
    // What the plan held beyond the stop was never planned: nothing is undelivered.
    expect(summary.ledger.planned).toBeLessThan(60 * 50);
    expect(summary.ledger).toMatchObject({ dropped: 0, undelivered: 0, unknown: 0, interrupted: 0 });
  });

  test('Ctrl-C on muster run stops the load gracefully, still reports, and ends with 105', async () => {
    const command = startHello('60s', '--out', join(shell.dir, 'interrupted'));
    await untilRunning(command);
    command.kill('SIGINT');
    const ended = await command.ended;
    expect(ended.code, ended.stderr).toBe(105);
    expect(ended.stderr).toContain('SIGINT: stopping');
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.ledger.completed).toBe(summary.ledger.started);
    expect(summary.ledger.samples.missing).toBe(0);
    expect((await readBundle(join(shell.dir, 'interrupted'))).summary).toEqual(summary);
    await untilAgents(3);
  });

  test('one agent command with two workers is two agents, and SIGTERM ends both', async () => {
    const command = shell.start('agent', '--coordinator', coordinator.address, '--nats', nats.url, '--id', 'eve', '--workers', '2');
    await untilAgents(5);
    expect((await agents()).map(({ agentId }) => agentId).sort()).toEqual(['ada', 'bob', 'cyd', 'eve-1', 'eve-2']);
    const ended = await startHello('1s', '--out', join(shell.dir, 'five')).ended;
    expect(ended.code, ended.stderr).toBe(0);
    expect(summaryOf(ended).run.agents).toEqual({ planned: 5, reported: 5, lost: 0 });
    command.kill('SIGTERM');
    expect((await command.ended).code).toBe(0);
    await untilAgents(3);
  });

  test('an agent whose join token is not the coordinator’s ends with 108, one with the right token joins', async () => {
    const guarded = await shell.coordinator(nats.url, '--join-token', 'open sesame');
    // These two make no load.
    vi.stubEnv('MUSTER_REHEARSAL', 'short');
    onTestFinished(() => void vi.stubEnv('MUSTER_REHEARSAL', 'on'));
    const join_ = ['agent', '--coordinator', guarded.address, '--nats', nats.url, '--join-token'];
    const refused = await shell.muster(...join_, 'open barley');
    expect(refused.code, refused.stderr).toBe(108);
    expect(refused.stderr).toContain('the join token is not the coordinator’s');
    const welcome = shell.start(...join_, 'open sesame');
    await welcome.untilSaid(/"joined"/);
    welcome.kill('SIGTERM');
    expect((await welcome.ended).code).toBe(0);
    guarded.process.kill('SIGTERM');
    expect((await guarded.process.ended).code).toBe(0);
  });
});

describe('the coordinator’s gRPC server', () => {
  test('answers health checks for itself and for both of its services', async () => {
    const client = new Client(coordinator.address, credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = healthService['Check']!;
    const check = (service: string): Promise<unknown> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest<object, object>(path, requestSerialize, responseDeserialize, { service }, (error, response) => {
          if (error === null) resolve(response);
          else reject(error);
        });
      });
    try {
      for (const service of ['', 'muster.v1.Control', 'muster.v1.Runs']) {
        expect(await check(service), service).toMatchObject({ status: 'SERVING' });
      }
      await expect(check('muster.v1.Nobody')).rejects.toThrow('NOT_FOUND');
    } finally {
      client.close();
    }
  });

  test('tells by reflection which services it has', async () => {
    const folder = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
    const definitions = loadSync(join(folder, 'build', 'proto', 'grpc', 'reflection', 'v1', 'reflection.proto'));
    const service = definitions['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;
    const { path, requestSerialize, responseDeserialize } = service['ServerReflectionInfo']!;
    const client = new Client(coordinator.address, credentials.createInsecure());
    const call = client.makeBidiStreamRequest<object, object>(path, requestSerialize, responseDeserialize);
    try {
      call.write({ listServices: '' });
      call.end();
      const answers: object[] = [];
      for await (const answer of call) answers.push(answer as object);
      expect(answers).toHaveLength(1);
      const [{ listServicesResponse }] = answers as [ListedServices];
      expect(listServicesResponse.service.map(({ name }) => name).sort()).toEqual(['muster.v1.Control', 'muster.v1.Runs']);
    } finally {
      client.close();
    }
  });
});

interface ListedServices {
  readonly listServicesResponse: { readonly service: readonly { readonly name: string }[] };
}
