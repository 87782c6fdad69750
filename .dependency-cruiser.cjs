/** Who may enter which room (ARCHITECTURE.md). `scripts/deps-canary.ts` plants a breach of every rule and expects each to be found. */

/** What each library may import of the others. */
const LIBRARIES = {
  base: [],
  plan: ['base'],
  stats: ['base'],
  sla: ['base', 'stats'],
  scenario: ['base', 'plan', 'sla'],
  report: ['base', 'stats', 'sla'],
  wire: ['base', 'plan', 'stats'],
};

/** Each third-party package has one room, which gives it our words. */
const PACKAGES = {
  pino: '^shared/base/',
  'hdr-histogram-js': '^shared/stats/hdr-codec\\.ts$',
  yaml: '^shared/scenario/',
  zod: '^shared/scenario/',
  esbuild: '^shared/scenario/',
  'csv-parse': '^shared/scenario/',
  nats: '^shared/wire/',
  uplot: '^shared/report/page/',
  commander: '^coordinator/(main\\.ts$|commands/)',
  'tough-cookie': '^agent/flow/cookie-jar\\.ts$',
  '@bufbuild/protobuf': '^proto/gen/',
  '@grpc/[^/]+': '^(proto/gen/|coordinator/rpc/|agent/control-client)',
  'grpc-health-check': '^coordinator/rpc/',
};

const SHIPPED = '^(agent|coordinator|shared)/';
const or = (names) => `(${names.join('|')})`;
const named = (package_) =>
  package_
    .replace('@', '')
    .replace(/[^a-z-]+/g, '-')
    .replace(/-+$/, '');

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Files that need each other are one file, or three.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolvable',
      comment: 'An import that leads nowhere is not checked by any other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'nothing-imports-test',
      comment: 'What ships does not know its tests.',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'only-index',
      comment: "A library's index.ts is its whole public face; sdk.ts is what scenario modules import as `muster`.",
      severity: 'error',
      from: { path: '^(?:agent|coordinator|scripts|examples|shared/([^/]+))/' },
      to: { path: '^shared/[^/]+/.', pathNot: ['^shared/[^/]+/index\\.ts$', '^shared/scenario/sdk\\.ts$', '^shared/$1/'] },
    },
    ...Object.entries(LIBRARIES).map(([library, allowed]) => ({
      name: `${library}-imports`,
      comment: `shared/${library} may import ${allowed.length === 0 ? 'nothing of ours' : allowed.join(', ')}.`,
      severity: 'error',
      from: { path: `^shared/${library}/` },
      to: {
        path: '^(agent|coordinator|shared|proto|examples|scripts)/',
        pathNot: [`^shared/${or([library, ...allowed])}/`, ...(library === 'wire' ? ['^proto/gen/'] : [])],
      },
    })),
    {
      name: 'page-alone',
      comment: "A report's page runs in a browser: of ours it knows what is embedded in it, and nothing of Node.",
      severity: 'error',
      from: { path: '^shared/report/page/' },
      to: { pathNot: ['^shared/report/page/', '^shared/report/html/page-data\\.ts$', 'node_modules/uplot/'] },
    },
    {
      name: 'agent-imports',
      comment: 'An agent knows plan, stats and wire; nothing of scenario files, SLAs, reports or the coordinator.',
      severity: 'error',
      from: { path: '^agent/' },
      to: { path: '^(coordinator|shared|examples|scripts)/', pathNot: '^shared/(base|plan|stats|wire|scenario)/' },
    },
    {
      name: 'agent-imports-scenario',
      comment: 'Only flows know what a scenario module may call.',
      severity: 'error',
      from: { path: '^agent/', pathNot: '^agent/flow/' },
      to: { path: '^shared/scenario/' },
    },
    {
      name: 'agent-flow-types',
      comment: 'Flows implement the types of the SDK; the code that loads and compiles scenario files stays on the submitting side.',
      severity: 'error',
      from: { path: '^agent/flow/' },
      to: { path: '^shared/scenario/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'coordinator-never-agent',
      comment: 'The coordinator starts agents as processes and knows them over the wire only.',
      severity: 'error',
      from: { path: '^coordinator/' },
      to: { path: '^(agent|examples|scripts)/' },
    },
    {
      name: 'examples-alone',
      comment: 'The sample target runs anywhere by itself; sample scenarios see the package only.',
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^(agent|coordinator|scripts|proto)/' },
    },
    {
      name: 'generated-code',
      comment: 'Wire codecs and the two ends of the control plane turn protocol messages into our own types.',
      severity: 'error',
      from: {
        path: '^(agent|coordinator|shared|scripts|examples)/',
        pathNot: '^(shared/wire/|coordinator/rpc/|agent/control-client)',
      },
      to: { path: '^proto/gen/' },
    },
    ...Object.entries(PACKAGES).map(([package_, room]) => ({
      name: `package-${named(package_)}`,
      comment: `${package_} is imported in ${room} only.`,
      severity: 'error',
      from: { path: '^(agent|coordinator|shared|proto|scripts|examples)/', pathNot: room },
      to: { path: `(^|/)node_modules/${package_}/` },
    })),
    {
      name: 'no-dev-dependencies',
      comment: 'What ships must run with `npm ci --omit=dev`, and every package it imports is listed.',
      severity: 'error',
      from: { path: SHIPPED },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    // Scenario files as users write them, broken ones too.
    exclude: { path: '^test/fixtures/' },
    doNotFollow: { path: 'node_modules' },
    // Types are imports too: a room that knows another's types knows the room.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js'],
    },
    skipAnalysisNotInRules: false,
  },
};
