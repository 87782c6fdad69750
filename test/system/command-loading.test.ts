import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { importGuard } from '../support/import-guard.ts';
import { ROOT, Shell } from '../support/shell.ts';
import { Target } from '../support/target.ts';

/** Packages that take their time to load. */
const HEAVY = [
  ...['@grpc/grpc-js', '@grpc/proto-loader', '@grpc/reflection', 'grpc-health-check', '@bufbuild/protobuf', 'nats'],
  ...['zod', 'yaml', 'csv-parse', 'esbuild', 'hdr-histogram-js'],
];
const CLIENT = ['@grpc/grpc-js', '@bufbuild/protobuf'];
const SCENARIO = ['zod', 'yaml', 'csv-parse'];

/** What commands load of them before they do anything. */
const LOADED: readonly { readonly packages: readonly string[]; readonly by: readonly string[] }[] = [
  { packages: [], by: ['--version', 'agent', 'check', 'compare', 'merge', 'report'] },
  { packages: CLIENT, by: ['stop', 'scale', 'pause', 'resume', 'agents', 'runs'] },
  { packages: [...CLIENT, 'nats'], by: ['coordinator'] },
  { packages: SCENARIO, by: ['validate', 'plan', 'schema'] },
  { packages: [...CLIENT, 'nats', ...SCENARIO], by: ['run', 'calibrate'] },
];
const MAIN = join(ROOT, 'dist', 'coordinator', 'main.js');

const shell = new Shell();
const target = await Target.start();

afterAll(async () => {
  await shell.close();
  await target.stop();
});

describe('a command loads no package that it has no use for', () => {
  const commands = LOADED.flatMap(({ packages, by }) => by.map((command) => ({ command, packages })));

  test.each(commands)('$command', async ({ command, packages }) => {
    const { stdout } = await guarded(
      command,
      HEAVY.filter((name) => !packages.includes(name)),
    );
    expect(stdout).not.toBe('');
  });

  test('and what it is said to load it does load', async () => {
    for (const { packages, by } of LOADED) {
      for (const name of packages) await expect(guarded(by[0] ?? '', [name]), name).rejects.toThrow(`refused by the guard: ${name}`);
    }
  });

  test('nor does a run on a private cluster', async () => {
    const flow = [{ get: '/' }];
    const load = { executor: 'constant-arrival-rate', rate: 10, duration: '1s', flow };
    const file = await shell.file({ name: 'private', target: target.url, scenarios: { load } });
    const guard = importGuard(['@grpc/proto-loader', '@grpc/reflection', 'grpc-health-check', 'esbuild', 'hdr-histogram-js']);
    const options = { cwd: shell.dir, env: { NODE_OPTIONS: `--import=${guard}` } };
    const ended = await shell.processes.muster(['run', file, '--json'], options);
    expect(ended.code, ended.stderr).toBe(0);
  });

  test('a required package is refused too', async () => {
    const text = `import { createRequire } from 'node:module'; createRequire(${JSON.stringify(MAIN)})('hdr-histogram-js');`;
    const words = ['--import', importGuard(['hdr-histogram-js']), '--input-type=module', '--eval', text];
    await expect(promisify(execFile)(process.execPath, words)).rejects.toThrow('refused by the guard: hdr-histogram-js');
  });
});

function guarded(command: string, packages: readonly string[]): Promise<{ readonly stdout: string }> {
  const words = command.startsWith('-') ? [command] : [command, '--help'];
  return promisify(execFile)(process.execPath, ['--import', importGuard(packages), MAIN, ...words]);
}
