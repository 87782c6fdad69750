import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseSummary } from '../../shared/report/index.ts';
import { freePort } from '../support/free-port.ts';
import { NatsServer } from '../support/nats-server.ts';
import { Processes } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

const ROOT = join(import.meta.dirname, '..', '..');

interface Service {
  readonly entrypoint?: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: { readonly test?: readonly string[] };
}

const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as {
  readonly services: Readonly<Record<string, Service>>;
};
const processes = new Processes();

afterAll(() => processes.killAll());

test(
  'what docker-compose.yml starts is a cluster: its commands and health checks, as processes of this machine',
  { timeout: 90_000 },
  async () => {
    const nats = await NatsServer.start();
    const work = await mkdtemp(join(tmpdir(), 'muster-compose-'));
    try {
      const [controlPort, targetPort] = [await freePort(), await freePort()];
      // The names of the services, and the addresses that only a container has, stand for ports of this machine.
      const here = (words: readonly string[]): string[] =>
        words.map((word) =>
          word
            .replace('nats://nats:4222', nats.url)
            .replace(/^(0\.0\.0\.0|coordinator|127\.0\.0\.1):7700$/, `127.0.0.1:${controlPort}`)
            .replace(/^8080$/, String(targetPort))
            .replace('127.0.0.1:8080', `127.0.0.1:${targetPort}`)
            .replace(/^0\.0\.0\.0$/, '127.0.0.1')
            .replace(/^\/muster\/dist\//, `${ROOT}/dist/`),
        );
      const service = (name: string): Service => services[name]!;
      const isHealthy = (name: string): Promise<boolean> => succeeds(here(service(name).healthcheck.test ?? []).slice(1));

      const options = { cwd: work, env: { MUSTER_RUNS_DIR: work } };
      processes.start('coordinator/main.js', here(service('coordinator').command), options);
      await waitUntil('the coordinator is healthy', () => isHealthy('coordinator'), 20_000);
      const [, script = ''] = service('target').entrypoint ?? [];
      processes.start(script.replace('/muster/dist/', ''), here(service('target').command), options);
      await waitUntil('the target is healthy', () => isHealthy('target'), 20_000);
      // docker compose up --scale agent=2
      for (let i = 0; i < 2; i++) processes.start('coordinator/main.js', here(service('agent').command), options);

      const run = await processes.muster(
        [
          'run',
          join(ROOT, 'examples/hello.yaml'),
          ...['--coordinator', `127.0.0.1:${controlPort}`, '--target', `http://127.0.0.1:${targetPort}`],
          ...['--agents', '2', '--duration', '2s', '--json', '--quiet', '--out', join(work, 'out')],
        ],
        options,
      );

      expect(run.stderr).not.toContain('muster:');
      const { ledger, run: summary } = parseSummary(JSON.parse(run.stdout));
      expect(summary.agents).toEqual({ planned: 2, reported: 2, lost: 0 });
      expect(ledger).toMatchObject({ planned: 100, started: 100, completed: 100 });
    } finally {
      await processes.killAll();
      await nats.stop();
      await rm(work, { recursive: true, force: true });
    }
  },
);

async function succeeds([program = '', ...words]: readonly string[]): Promise<boolean> {
  const child = spawn(program, words, { stdio: 'ignore' });
  return new Promise((resolve) => {
    child.once('error', () => {
      resolve(false);
    });
    child.once('exit', (code) => {
      resolve(code === 0);
    });
  });
}
