import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { NatsServer } from '../support/nats-server.ts';
import { Processes } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

const ROOT = join(import.meta.dirname, '..', '..');

describe('the own nats-server of a test file', () => {
  let server: NatsServer;

  beforeAll(async () => {
    server = await NatsServer.start();
  });
  afterAll(() => server.stop());

  test('keeps acknowledged messages over a SIGKILL and a restart on the same port', async () => {
    const before = await connect({ servers: server.url });
    await (await before.jetstreamManager()).streams.add({ name: 'KEPT', subjects: ['kept.>'] });
    await before.jetstream().publish('kept.one', 'survives', { msgID: 'one' });
    await server.kill9();
    await before.close();
    await server.restart();

    const after = await connect({ servers: server.url });
    const manager = await after.jetstreamManager();
    expect((await manager.streams.getMessage('KEPT', { seq: 1 })).string()).toBe('survives');
    await after.close();
  });

  test('does not outlive a test process that is killed', async () => {
    const script = `
      import { NatsServer } from './test/support/nats-server.ts';
      const server = await NatsServer.start();
      process.stdout.write(server.url + '\\n');
      setInterval(() => {}, 60_000);`;
    const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(owner.stdout, 'data')) as [Buffer];
    const url = line.toString('utf8').trim();
    await (await connect({ servers: url })).close();
    owner.kill('SIGKILL');
    await waitUntil('nothing listens there any more', () =>
      connect({ servers: url, reconnect: false }).then(
        (connection) => connection.close().then(() => false),
        () => true,
      ),
    );
  });
});

describe('the processes of a test file', () => {
  const processes = new Processes();
  afterEach(() => processes.killAll());

  test('are found with all their output, and none is left when they were ended', async () => {
    const target = processes.start('examples/target/main.js', ['0']);
    const [url] = await target.untilSaid(/http:\S+/);
    expect(await (await fetch(url)).text()).toBe('hello');
    expect(processes.left()).toEqual([target.pid]);
    target.kill('SIGTERM');
    expect(await target.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    await processes.assertNoneLeft();
  });

  test('say what they wrote when the awaited words never came', async () => {
    const target = processes.start('examples/target/main.js', ['not-a-port']);
    await expect(target.untilSaid(/http:\S+/)).rejects.toThrow(/ended without saying[^]*port/i);
  });
});
