import { fork, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readBundle } from '../../shared/report/index.ts';
import { freePort } from '../support/free-port.ts';
import { NatsServer } from '../support/nats-server.ts';
import { expectBalanced, ROOT, Shell, summaryOf } from '../support/shell.ts';
import { Target } from '../support/target.ts';

const shell = new Shell();
const target = await Target.start();

afterEach(() => shell.processes.assertNoneLeft());

afterAll(async () => {
  await shell.close();
  await target.stop();
});

/** 40 requests in 2 s, whatever the target does. */
const SCENARIO = {
  name: 'unhappy',
  target: target.url,
  scenarios: {
    load: { executor: 'constant-arrival-rate', rate: 20, duration: '2s', flow: [{ get: '/', timeout: '500ms' }] },
  },
};

function nowhere(): Promise<string> {
  return freePort().then((port) => `127.0.0.1:${port}`);
}

describe('a target', () => {
  test('that refuses connections: the run ends as planned, every request counted as connect-refused, invalid, 111', async () => {
    const file = await shell.file({ ...SCENARIO, target: `http://${await nowhere()}` });
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended.code, ended.stderr).toBe(111);
    const summary = summaryOf(ended);
    expect(summary.ledger).toMatchObject({ planned: 40, started: 40, completed: 40 });
    expectBalanced(summary);
    expect(summary.metrics['http_req_failed']).toMatchObject({ rate: 1, passes: 40, fails: 0 });
    expect(summary.series.filter(({ metric }) => metric === 'http_reqs')).toMatchObject([
      { count: 40, tags: { error: 'connect-refused' } },
    ]);
    expect(summary.validity.grade).toBe('invalid');
    // A busy machine may add a reason of its own; invalid ones come first.
    expect(summary.validity.reasons[0]).toMatchObject({ code: 'target-unreachable', grade: 'invalid' });
    expect(ended.stderr).toContain('target-unreachable (40 requests were sent and none was answered)');
  });

  test('that refuses connections fails a threshold on failures: 99', async () => {
    const file = await shell.file({
      ...SCENARIO,
      target: `http://${await nowhere()}`,
      thresholds: { http_req_failed: ['rate<0.01'] },
    });
    const ended = await shell.muster('run', file, '--agents', '2', '--json');
    expect(ended.code, ended.stderr).toBe(99);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.thresholds).toMatchObject([{ metric: 'http_req_failed', verdict: 'fail', observed: 1 }]);
    expect(ended.stderr).toContain('thresholds failed: http_req_failed: rate<0.01 (fail)');
  });

  test('that accepts and never answers: every request times out, the run ends, 111', async () => {
    const silent = await Target.start({ connections: 'ignore' });
    try {
      const file = await shell.file({ ...SCENARIO, target: silent.url });
      const ended = await shell.muster('run', file, '--agents', '2', '--json');
      expect(ended.code, ended.stderr).toBe(111);
      const summary = summaryOf(ended);
      expect(summary.ledger).toMatchObject({ planned: 40, started: 40, completed: 40 });
      expectBalanced(summary);
      expect(summary.series.filter(({ metric }) => metric === 'http_reqs')).toMatchObject([{ count: 40, tags: { error: 'timeout' } }]);
    } finally {
      await silent.stop();
    }
  });

  test('that never answers a closed model either: VUs go on after each timeout, the run ends with its duration', async () => {
    const silent = await Target.start({ connections: 'ignore' });
    try {
      const file = await shell.file({
        ...SCENARIO,
        target: silent.url,
        scenarios: { load: { executor: 'constant-vus', vus: 3, duration: '2s', flow: [{ get: '/', timeout: '300ms' }] } },
      });
      const ended = await shell.muster('run', file, '--agents', '2', '--json');
      expect(ended.code, ended.stderr).toBe(111);
      const summary = summaryOf(ended);
      expectBalanced(summary);
      expect(summary.ledger.started).toBeGreaterThanOrEqual(6);
      expect(summary.ledger.started).toBeLessThanOrEqual(3 * 7);
    } finally {
      await silent.stop();
    }
  });
});

describe('what cannot start ends with 108 and says why', () => {
  test('NATS absent, for muster run', async () => {
    const url = `nats://${await nowhere()}`;
    const before = target.log().total;
    const ended = await shell.muster('run', await shell.file(SCENARIO), '--nats', url);
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toMatch(`muster: no NATS server at ${url}`);
    expect(target.log().total).toBe(before);
  });

  test('NATS absent, for muster coordinator', async () => {
    const url = `nats://${await nowhere()}`;
    const ended = await shell.muster('coordinator', '--listen', '127.0.0.1:0', '--nats', url);
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toMatch(`muster: no NATS server at ${url}`);
  });

  test('a folder for run bundles that cannot be, for muster coordinator', async () => {
    const ended = await shell.muster('coordinator', '--listen', '127.0.0.1:0', '--runs-dir', '/dev/null/runs');
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toMatch('muster: cannot write the run bundle to /dev/null/runs: ENOTDIR');
  });

  test('no coordinator, for muster run', async () => {
    const address = await nowhere();
    const ended = await shell.muster('run', await shell.file(SCENARIO), '--coordinator', address);
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toMatch(`muster: no coordinator at ${address}`);
  });

  test('a file that is no program in MUSTER_NATS_SERVER', async () => {
    const words = ['run', await shell.file(SCENARIO)];
    const ended = await shell.processes.run('coordinator/main.js', words, { cwd: shell.dir, env: { MUSTER_NATS_SERVER: '/etc/passwd' } });
    expect(ended).toMatchObject({ code: 108, stdout: '', stderr: 'muster: MUSTER_NATS_SERVER is /etc/passwd, which is not a program\n' });
  });

  describe('beside a NATS server', () => {
    let nats: NatsServer;

    beforeAll(async () => {
      nats = await NatsServer.start();
    });

    afterAll(() => nats.stop());

    test('no coordinator, for muster agent', async () => {
      const address = await nowhere();
      const ended = await shell.muster('agent', '--coordinator', address, '--nats', nats.url, '--connect-timeout', '1s');
      expect(ended).toMatchObject({ code: 108, stdout: '' });
      expect(ended.stderr).toContain(`no coordinator at ${address}`);
    });

    test('no NATS, for muster agent', async () => {
      const url = `nats://${await nowhere()}`;
      const ended = await shell.muster('agent', '--coordinator', await nowhere(), '--nats', url, '--connect-timeout', '1s');
      expect(ended).toMatchObject({ code: 108, stdout: '' });
      expect(ended.stderr).toContain(`no NATS server at ${url}`);
    });

    test('the port taken, for muster coordinator', async () => {
      const holder = createServer();
      holder.listen(0, '127.0.0.1');
      await once(holder, 'listening');
      const listen = `127.0.0.1:${portOf(holder)}`;
      const ended = await shell.muster('coordinator', '--listen', listen, '--nats', nats.url);
      holder.close();
      expect(ended).toMatchObject({ code: 108, stdout: '' });
      expect(ended.stderr).toContain(`muster: cannot listen on ${listen}`);
    });

    test('no agents joined, for muster run', async () => {
      const { process: coordinator, address } = await shell.coordinator(nats.url);
      const ended = await shell.muster('run', await shell.file(SCENARIO), '--coordinator', address, '--wait-agents', '1');
      expect(ended).toMatchObject({ code: 108, stdout: '' });
      expect(ended.stderr).toContain('muster: 0 of 1 agents free after 1 s (0 joined)');
      coordinator.kill('SIGTERM');
      expect((await coordinator.ended).code).toBe(0);
    });

    test('a run that does not exist cannot be stopped: 104', async () => {
      const { process: coordinator, address } = await shell.coordinator(nats.url);
      const ended = await shell.muster('stop', '20000101-000000-beef', '--coordinator', address);
      expect(ended).toMatchObject({
        code: 104,
        stdout: '',
        stderr: 'muster: no run 20000101-000000-beef here; "muster runs" lists them\n',
      });
      coordinator.kill('SIGTERM');
      expect((await coordinator.ended).code).toBe(0);
    });
  });
});

test('an agent whose parent is gone before it has come up ends by itself', async () => {
  const options = { coordinator: await nowhere(), natsUrl: `nats://${await nowhere()}`, connectTimeoutMs: 3_600_000 };
  const env = { ...process.env, MUSTER_AGENT_OPTIONS: JSON.stringify(options) };
  const agent = fork(join(ROOT, 'dist', 'agent', 'main.js'), [], { stdio: 'ignore', env });
  agent.disconnect();
  expect(await once(agent, 'exit')).toEqual([0, null]);
});

describe('a folder that --out cannot be', () => {
  test.each([
    ['below a regular file', () => join(shell.dir, 'a-file', 'out'), 'ENOTDIR'],
    ['a regular file', () => join(shell.dir, 'a-file'), 'EEXIST'],
    ['a device', () => '/dev/full', 'EEXIST'],
    ['where the kernel lets nobody write', () => '/proc/muster-out', 'ENOENT'],
  ])('is found out before any load is made: %s', async (_, out, reason) => {
    await writeFile(join(shell.dir, 'a-file'), '');
    const before = target.log().total;
    const ended = await shell.muster('run', await shell.file(SCENARIO), '--out', out());
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toMatch(`muster: cannot write the run bundle to ${out()}: ${reason}`);
    expect(target.log().total).toBe(before);
  });

  test('a run that does not start leaves no empty folder behind', async () => {
    const out = join(shell.dir, 'new', 'and', 'deep');
    const ended = await shell.muster('run', await shell.file(SCENARIO), '--out', out, '--nats', `nats://${await nowhere()}`);
    expect(ended.code).toBe(108);
    expect(await readdir(shell.dir)).not.toContain('new');
  });
});

/** Mounts are for root, or for whoever may have a user namespace of their own; elsewhere there is no small disk to fill. */
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

describe.runIf(canMount)('a full disk', () => {
  /** `muster run` with `--out` on a disk of so many bytes. */
  async function runOnDisk(bytes: number): Promise<Awaited<ReturnType<Shell['muster']>>> {
    const disk = join(shell.dir, 'disk');
    await mkdir(disk, { recursive: true });
    // Many short intervals make a large bundle of a short run.
    const file = await shell.file({ ...SCENARIO, interval: '100ms' });
    const words = ['run', file, '--out', join(disk, 'out'), '--agents', '2', '--json'];
    const under = ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o size=${bytes} none "$0" && exec "$@"`, disk];
    return shell.processes.run('coordinator/main.js', words, { cwd: shell.dir, under });
  }

  test('is found out before any load is made', async () => {
    const before = target.log().total;
    const ended = await runOnDisk(8 * 1024);
    expect(ended).toMatchObject({ code: 108, stdout: '' });
    expect(ended.stderr).toContain('ENOSPC');
    expect(target.log().total).toBe(before);
  });

  test('that only fills up when the bundle is written: the summary is whole and says so, 111', async () => {
    const ended = await runOnDisk(24 * 1024);
    expect(ended.code, ended.stderr).toBe(111);
    expect(ended.stderr).toContain('ENOSPC');
    const summary = summaryOf(ended);
    expect(summary.ledger).toMatchObject({ planned: 40, started: 40, completed: 40 });
    expectBalanced(summary);
    expect(summary.validity.grade).toBe('invalid');
    expect(summary.validity.reasons).toContainEqual(expect.objectContaining({ code: 'bundle-incomplete' }));
  });
});

describe('in the middle of a run', () => {
  const LONG = { ...SCENARIO, scenarios: { load: { ...SCENARIO.scenarios.load, duration: '60s' } } };

  test('NATS dies for good: the run ends by itself, what is missing is counted, 111', async () => {
    const nats = await NatsServer.start();
    const file = await shell.file({ ...SCENARIO, scenarios: { load: { ...SCENARIO.scenarios.load, duration: '6s' } } });
    const run = shell.start('run', file, '--agents', '2', '--nats', nats.url, '--json', '--drain-timeout', '3s');
    // Something was merged before it died, so that what is missing is not everything.
    await run.untilSaid(/p50\/95\/99 \d/);
    await nats.kill9();
    const ended = await run.ended;
    await nats.stop();
    expect(ended.code, ended.stderr).toBe(111);
    const summary = summaryOf(ended);
    expectBalanced(summary);
    expect(summary.ledger).toMatchObject({ planned: 120, started: 120, completed: 120 });
    expect(summary.ledger.samples.merged).toBeGreaterThan(0);
    expect(summary.ledger.samples.missing).toBeGreaterThan(0);
    expect(summary.validity.reasons).toContainEqual(expect.objectContaining({ code: 'samples-missing', grade: 'invalid' }));
    expect(ended.stderr).toContain('NATS is not reachable: results wait with the agents, after the load for up to 3 s');
    expect(ended.stderr).toContain('never arrived: NATS was not reachable for 3 s after the load (--drain-timeout)');
  });

  test('muster run is killed: its agents and its nats-server end by themselves, and the store is gone', async () => {
    const run = shell.start('run', await shell.file(LONG), '--agents', '2');
    await run.untilSaid(/errors 0 .*agents 2\/2/);
    const commands = shell.processes.left().map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'));
    expect(commands.filter((words) => words.some((word) => word.endsWith('agent/main.js')))).toHaveLength(2);
    const server = commands.find(([program = '']) => program.endsWith('nats-server')) ?? [];
    const store = server[server.indexOf('-sd') + 1] ?? '';
    expect(existsSync(store)).toBe(true);
    run.kill('SIGKILL');
    await shell.processes.assertNoneLeft(15_000);
    expect(existsSync(store)).toBe(false);
  });

  test('the coordinator is told to end: the run is stopped, reported, and the waiting command ends with 105', async () => {
    const nats = await NatsServer.start();
    const { process: coordinator, address, runsDir } = await shell.coordinator(nats.url);
    const agent = shell.start('agent', '--coordinator', address, '--nats', nats.url);
    await agent.untilSaid(/"joined"/);
    const out = join(shell.dir, 'told-to-end');
    const run = shell.start('run', await shell.file(LONG), '--coordinator', address, '--json', '--out', out);
    const [, runId = ''] = await run.untilSaid(/^run (\S+)$/m);
    await run.untilSaid(/errors 0 .*agents 1\/1/);
    coordinator.kill('SIGTERM');
    const ended = await run.ended;
    expect(ended.code, ended.stderr).toBe(105);
    expectBalanced(summaryOf(ended));
    expect((await coordinator.ended).code).toBe(0);
    // It waited for the command to fetch the bundle.
    expect((await readBundle(out)).summary).toEqual(summaryOf(ended));
    expect((await readBundle(join(runsDir, runId))).summary.run.stopped).toBe('the coordinator was stopped');
    agent.kill('SIGTERM');
    expect((await agent.ended).code).toBe(0);
    await nats.stop();
  });

  test('Ctrl-C before the load: nothing is sent, 105', async () => {
    const nats = await NatsServer.start();
    const { process: coordinator, address } = await shell.coordinator(nats.url);
    const before = target.log().total;
    const run = shell.start('run', await shell.file(SCENARIO), '--coordinator', address, '--wait-agents', '600');
    await run.untilSaid(/waiting/);
    run.kill('SIGINT');
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 105, stdout: '' });
    expect(ended.stderr).toContain('muster: stopped before the start: SIGINT to muster run');
    expect(target.log().total).toBe(before);
    coordinator.kill('SIGTERM');
    await coordinator.ended;
    await nats.stop();
  });

  test('standard output is a full disk: the run says so and does not count as passed, 111', async () => {
    const words = ['run', await shell.file(SCENARIO), '--quiet'];
    const ended = await shell.processes.run('coordinator/main.js', words, {
      cwd: shell.dir,
      under: ['sh', '-c', 'exec "$@" >/dev/full', 'sh'],
    });
    expect(ended.code, ended.stderr).toBe(111);
    expect(ended.stderr).toContain('muster: cannot write to standard output: ENOSPC');
  });
});

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening TCP server has a port');
  return address.port;
}
