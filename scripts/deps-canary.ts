/**
 * Proves that the import rules bite. A cruise that understands no TypeScript finds no modules, no breaches, and passes; a rule with a
 * slip in its pattern passes everything. So this plants one breach of every rule in a copy of the project and expects each to be found.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const CONFIG = '.dependency-cruiser.cjs';
const ROOMS = ['agent', 'coordinator', 'shared', 'examples', 'scripts', 'test', 'proto/gen'];

/** The rule, the file that breaks it, and what that file imports (a path from the project's root, or a package). */
type Plant = readonly [rule: string, from: string, imports: string];

const PLANTS: readonly Plant[] = [
  ['no-circular', 'shared/base/canary-a.ts', 'shared/base/canary-b.ts'],
  ['no-unresolvable', 'shared/base/canary-lost.ts', 'a-package-that-nobody-installed'],
  ['nothing-imports-test', 'shared/base/canary-test.ts', 'test/support/canary.ts'],
  ['only-index', 'agent/canary-deep.ts', 'shared/plan/canary.ts'],
  ['only-index', 'shared/stats/canary-deep.ts', 'shared/base/canary.ts'],
  ['base-imports', 'shared/base/canary.ts', 'shared/plan/index.ts'],
  ['plan-imports', 'shared/plan/canary.ts', 'shared/stats/index.ts'],
  ['stats-imports', 'shared/stats/canary.ts', 'shared/plan/index.ts'],
  ['sla-imports', 'shared/sla/canary.ts', 'shared/plan/index.ts'],
  ['scenario-imports', 'shared/scenario/canary.ts', 'shared/stats/index.ts'],
  ['report-imports', 'shared/report/canary.ts', 'shared/wire/index.ts'],
  ['page-alone', 'shared/report/page/canary.ts', 'shared/report/html/canary.ts'],
  ['wire-imports', 'shared/wire/canary.ts', 'shared/report/index.ts'],
  ['agent-imports', 'agent/canary.ts', 'shared/report/index.ts'],
  ['agent-imports', 'agent/canary-coordinator.ts', 'coordinator/canary.ts'],
  ['agent-imports-scenario', 'agent/canary-scenario.ts', 'shared/scenario/index.ts'],
  ['agent-flow-types', 'agent/flow/canary-value.ts', 'shared/scenario/index.ts'],
  ['coordinator-never-agent', 'coordinator/canary.ts', 'agent/canary-leaf.ts'],
  ['examples-alone', 'examples/canary.ts', 'coordinator/canary.ts'],
  ['generated-code', 'coordinator/canary-generated.ts', 'proto/gen/canary.ts'],
  ['package-pino', 'coordinator/canary-pino.ts', 'pino'],
  ['package-hdr-histogram-js', 'shared/stats/canary-hdr.ts', 'hdr-histogram-js'],
  ['package-yaml', 'coordinator/canary-yaml.ts', 'yaml'],
  ['package-zod', 'coordinator/canary-zod.ts', 'zod'],
  ['package-esbuild', 'coordinator/canary-esbuild.ts', 'esbuild'],
  ['package-csv-parse', 'coordinator/canary-csv.ts', 'csv-parse'],
  ['package-nats', 'coordinator/canary-nats.ts', 'nats'],
  ['package-uplot', 'coordinator/canary-uplot.ts', 'uplot'],
  ['package-commander', 'coordinator/canary-commander.ts', 'commander'],
  ['package-tough-cookie', 'agent/canary-cookie.ts', 'tough-cookie'],
  ['package-bufbuild-protobuf', 'coordinator/canary-protobuf.ts', '@bufbuild/protobuf'],
  ['package-grpc', 'coordinator/canary-grpc.ts', '@grpc/grpc-js'],
  ['package-grpc-health-check', 'coordinator/canary-health.ts', 'grpc-health-check'],
  ['no-dev-dependencies', 'agent/canary-dev.ts', 'fast-check'],
];

/** Rules that let types through. */
const VALUE_RULES = new Set(['no-circular', 'agent-flow-types']);

interface Cruise {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: { readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[] };
}

const copy = mkdtempSync(join(tmpdir(), 'muster-deps-canary-'));
try {
  copyProject();
  const clean = cruise();
  const sources = clean.modules.filter(({ source }) => source.endsWith('.ts') && !source.includes('node_modules')).length;
  if (sources === 0) fail('the cruise sees no modules at all');
  if (clean.summary.violations.length > 0) fail('there are breaches before any was planted: see npm run deps');

  write('shared/base/canary-b.ts', `import './canary-a.ts';\n`);
  for (const plant of PLANTS) plantBreach(plant);
  const found = new Set(cruise().summary.violations.map(({ rule, from }) => `${rule.name} in ${from}`));
  const missed = PLANTS.map(([rule, from]) => `${rule} in ${from}`).filter((breach) => !found.has(breach));
  if (missed.length > 0) fail(`breaches that were planted and not found:\n  ${missed.join('\n  ')}`);

  const planted = new Set(PLANTS.map(([rule]) => rule));
  const untried = ruleNames().filter((name) => !planted.has(name));
  if (untried.length > 0) fail(`rules without a canary: ${untried.join(', ')}`);
  process.stdout.write(`${PLANTS.length} planted breaches found by ${planted.size} rules; ${sources} modules clean\n`);
} finally {
  rmSync(copy, { recursive: true });
}

function copyProject(): void {
  for (const room of ROOMS) if (existsSync(join(ROOT, room))) cpSync(join(ROOT, room), join(copy, room), { recursive: true });
  for (const file of [CONFIG, 'package.json', 'tsconfig.json']) cpSync(join(ROOT, file), join(copy, file));
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
}

function cruise(): Cruise {
  const rooms = ROOMS.filter((room) => existsSync(join(copy, room)));
  const run = spawnSync('node_modules/.bin/depcruise', ['--config', CONFIG, '--output-type', 'json', ...rooms], {
    cwd: copy,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (run.stdout === '') fail(`dependency-cruiser said nothing: ${run.stderr}`);
  return JSON.parse(run.stdout) as Cruise;
}

function plantBreach([rule, from, imports]: Plant): void {
  const isOurs = imports.endsWith('.ts');
  if (isOurs && !existsSync(join(copy, imports))) write(imports, 'export {};\n');
  const specifier = isOurs ? `${'../'.repeat(from.split('/').length - 1)}${imports}` : imports;
  // As a type where types count: rooms must not know each other's types either.
  const isType = isOurs && !VALUE_RULES.has(rule);
  write(from, isType ? `import type * as canary from '${specifier}';\nexport type Canary = typeof canary;\n` : `import '${specifier}';\n`);
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(copy, path)), { recursive: true });
  writeFileSync(join(copy, path), text);
}

function ruleNames(): string[] {
  const config = createRequire(import.meta.url)(join(ROOT, CONFIG)) as { forbidden: { name: string }[] };
  return config.forbidden.map(({ name }) => name);
}

function fail(message: string): never {
  process.stderr.write(`deps canary: ${message}\n`);
  process.exitCode = 1;
  rmSync(copy, { recursive: true });
  process.exit();
}
