import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { DEFAULTS } from '../../shared/base/index.ts';
import { parseDockerfile, type Stage } from '../support/dockerfile.ts';

const ROOT = join(import.meta.dirname, '..', '..');

interface HealthCheck {
  readonly test?: readonly string[];
  readonly disable?: boolean;
}

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly entrypoint?: readonly string[];
  readonly command: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck: HealthCheck;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Compose {
  readonly services: Readonly<Record<'nats' | 'coordinator' | 'agent' | 'target', Service>>;
  readonly volumes: Readonly<Record<string, null>>;
}

const { services, volumes } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as Compose;
const stages = parseDockerfile(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
const image = stages.at(-1)!;
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly bin: { readonly muster: string };
  readonly engines: { readonly node: string };
};

const port = DEFAULTS.controlPort;
const natsPort = Number(new URL(DEFAULTS.natsUrl).port);
const natsUrl = `nats://nats:${natsPort}`;

describe('docker-compose.yml', () => {
  test('has NATS, a coordinator, agents and something to load', () => {
    expect(Object.keys(services)).toEqual(['nats', 'coordinator', 'agent', 'target']);
  });

  test('keeps what JetStream and the runs hold in volumes that it declares', () => {
    const mounted = Object.values(services).flatMap((service) => service.volumes ?? []);
    expect(mounted.map((mount) => mount.split(':')[0]).sort()).toEqual(Object.keys(volumes).sort());
    expect(flag(services.nats.command, '-sd')).toBe(services.nats.volumes?.[0]?.split(':')[1]);
    expect(image.only('VOLUME')).toBe(services.coordinator.volumes?.[0]?.split(':')[1]);
  });

  test('starts the coordinator on the default port for every address of its container, and publishes it on this machine only', () => {
    expect(services.coordinator.command[0]).toBe('coordinator');
    expect(flag(services.coordinator.command, '--listen')).toBe(`0.0.0.0:${port}`);
    expect(services.coordinator.ports).toEqual([`${DEFAULTS.controlHost}:${port}:${port}`]);
  });

  test('tells coordinator and agents the same NATS, on the port where nats-server listens by default', () => {
    expect(services.nats.command).toContain('-js');
    expect(services.nats.command).not.toContain('-p');
    expect(flag(services.coordinator.command, '--nats')).toBe(natsUrl);
    expect(flag(services.agent.command, '--nats')).toBe(natsUrl);
  });

  test('sends agents to the coordinator by the name of its service', () => {
    expect(services.agent.command[0]).toBe('agent');
    expect(flag(services.agent.command, '--coordinator')).toBe(`coordinator:${port}`);
  });

  test('lets agents be scaled: no port, no name of their own', () => {
    expect(services.agent.ports).toBeUndefined();
    expect(services.agent).not.toHaveProperty('container_name');
  });

  test('runs the image that it builds once', () => {
    expect(services.coordinator.build).toBe('.');
    for (const name of ['coordinator', 'agent', 'target'] as const) expect(services[name].image).toBe('muster');
    for (const name of ['agent', 'target'] as const) expect(services[name].build).toBeUndefined();
  });

  test('starts nobody before the health check of what it needs holds', () => {
    expect(services.coordinator.depends_on).toEqual({ nats: { condition: 'service_healthy' } });
    expect(services.agent.depends_on).toEqual({ coordinator: { condition: 'service_healthy' } });
  });

  test('asks each server on the port where it listens whether it is well', () => {
    expect(services.nats.healthcheck.test?.at(-1)).toBe(`http://127.0.0.1:${flag(services.nats.command, '-m') ?? ''}/healthz`);
    expect(services.coordinator.healthcheck.test).toEqual(['CMD', ...coordinatorCheck()]);
    expect(services.agent.healthcheck).toEqual({ disable: true });
    expect(services.target.healthcheck.test?.at(-1)).toContain(`http://127.0.0.1:${services.target.command[0] ?? ''}/healthz`);
  });
});

describe('Dockerfile', () => {
  test('builds on the Node.js that the package asks for', () => {
    const major = /\d+/.exec(manifest.engines.node)?.[0] ?? '';
    expect(new Set(stages.map(({ from }) => from))).toEqual(new Set([`node:${major}-bookworm-slim`]));
    expect(readFileSync(join(ROOT, '.nvmrc'), 'utf8').split('.')[0]).toBe(major);
  });

  test('takes along no development package and runs as nobody special', () => {
    const packages = stages.find(({ name }) => name === 'packages');
    expect(packages?.all('RUN').join()).toContain('npm ci --omit=dev');
    expect(image.all('COPY')).toContain('--from=packages /muster/node_modules node_modules');
    expect(image.only('USER')).toBe('node');
  });

  test("runs the package's own command, as a coordinator on the default port unless told otherwise", () => {
    expect(image.list('ENTRYPOINT')).toEqual(['node', '--enable-source-maps', `/muster/${manifest.bin.muster}`]);
    expect(image.list('CMD')).toEqual(['coordinator', '--listen', `0.0.0.0:${port}`]);
    expect(image.only('EXPOSE')).toBe(String(port));
  });

  test('has the health check that docker-compose.yml has for the coordinator', () => {
    const [, command = ''] = /CMD (\[.*\])$/.exec(image.only('HEALTHCHECK')) ?? [];
    expect(JSON.parse(command)).toEqual(coordinatorCheck());
  });

  test('copies only what is there', () => {
    const copied = stages.flatMap((stage) => stage.all('COPY').filter((line) => !line.startsWith('--from')));
    const sources = copied.flatMap((line) => line.split(' ').slice(0, -1));
    expect(sources.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test('has the sample target where docker-compose.yml starts it', () => {
    const script = services.target.entrypoint?.[1] ?? '';
    const source = script.replace(/^\/muster\/dist\//, '').replace(/\.js$/, '.ts');
    expect(existsSync(join(ROOT, source))).toBe(true);
    expect(build().all('COPY')).toContain('examples examples');
  });
});

function build(): Stage {
  return stages.find(({ name }) => name === 'build')!;
}

/** Listing the agents needs the port, the RPC server and its answer. */
function coordinatorCheck(): string[] {
  return ['node', `/muster/${manifest.bin.muster}`, 'agents', '--coordinator', `127.0.0.1:${port}`];
}

function flag(command: readonly string[], name: string): string | undefined {
  const at = command.indexOf(name);
  return at === -1 ? undefined : command[at + 1];
}
