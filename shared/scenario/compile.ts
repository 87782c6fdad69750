import { WORKLOAD_BYTES_MAX } from '../base/index.ts';
import type { Flow, Plan, PlannedScenario, RowSet, Workload } from '../plan/index.ts';
import type { Threshold } from '../sla/index.ts';
import { compileChores } from './compile-chores.ts';
import { compileFlow, type FlowContext } from './compile-flow.ts';
import { compileHttp } from './compile-http.ts';
import { compileScenario } from './compile-load.ts';
import { compileMetrics } from './compile-metrics.ts';
import { iterationUsOf } from './iteration-time.ts';
import { compileThresholds } from './compile-thresholds.ts';
import { compileDefaults, durationOr, functionDefaults } from './compile-defaults.ts';
import { isMapping } from './describe.ts';
import { checkOverrides, override, type ScenarioOverrides } from './overrides.ts';
import type { ProblemList } from './problems.ts';
import { isSeed, reportShape, scenarioSchema } from './schema.ts';
import type { Scope } from './scope.ts';
import { limitByRows } from './row-limit.ts';
import { placeAfter } from './start-after.ts';
import type { TlsFiles } from './tls-files.ts';
import { resolveVars } from './vars.ts';
import { warningsOf } from './warnings.ts';

/** What was read, before anything of it is trusted. */
export interface ScenarioDocument {
  readonly document: unknown;
  /** The bundle of a module; functions are flows only there. */
  readonly script: string | undefined;
  /** Used when the document has no `name`. */
  readonly fallbackName: string;
  readonly rows: ReadonlyMap<string, RowSet | undefined>;
  readonly tlsFiles: TlsFiles;
  readonly uploads: Workload['files'];
}

export interface Compiled {
  readonly plan: Plan;
  readonly workload: Workload;
  readonly thresholds: readonly Threshold[];
  readonly warnings: readonly string[];
}

/** Compiles every part it can, so that all mistakes of the file are found at once. What comes back is whole only without problems. */
export function compileDocument(source: ScenarioDocument, given: ScenarioOverrides, problems: ProblemList): Compiled {
  const { report } = problems;
  reportShape(source.document, report);
  const document = isMapping(source.document) ? source.document : {};
  const scenarios = isMapping(document['scenarios']) ? document['scenarios'] : {};
  const executors = Object.values(scenarios).map((scenario) => (isMapping(scenario) ? scenario['executor'] : undefined));
  const overrides = checkOverrides(given, executors, problems);

  const vars = resolveVars(document['vars'], overrides.env, report);
  const scope: Scope = { env: overrides.env, vars, rows: source.rows, captured: new Set(), capturedSomewhere: new Set() };
  const defaults = compileDefaults(document, overrides, scope, problems);
  const outside: FlowContext = {
    env: overrides.env,
    vars,
    rows: source.rows,
    defaults,
    mayBeFunction: source.script !== undefined,
    report,
  };
  const chores = compileChores(document, outside);
  const context: FlowContext = { ...outside, setup: chores.setup };

  const flows: Record<string, Flow> = {};
  const planned: PlannedScenario[] = [];
  const after = new Map<string, string>();
  for (const [name, raw] of Object.entries(scenarios)) {
    if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(name)) {
      report(['scenarios', name], 'a scenario is named by at most 64 letters, digits, _, - or ., beginning with a letter or digit');
    }
    const flow = compileFlow(name, isMapping(raw) ? raw : {}, context);
    flows[name] = flow;
    const shape = scenarioSchema.safeParse(raw);
    const scenario = shape.success
      ? compileScenario(name, override(shape.data, overrides), iterationUsOf(flow, defaults.timeoutMs), report)
      : undefined;
    if (scenario !== undefined) planned.push(scenario);
    if (shape.success && shape.data.startAfter !== undefined) after.set(name, shape.data.startAfter);
  }

  const intervalUs = durationOr(document['interval'], INTERVAL_US_DEFAULT);
  const metrics = compileMetrics(document['metrics'], report);
  const thresholds = compileThresholds(document['thresholds'], { scenarios: Object.keys(scenarios), intervalUs, metrics, report });
  const seed = document['seed'];
  const plan: Plan = {
    name: typeof document['name'] === 'string' ? document['name'] : source.fallbackName,
    seed: overrides.seed ?? (typeof seed === 'number' && isSeed(seed) ? seed : SEED_DEFAULT),
    intervalMs: intervalUs / 1_000,
    ...(document['pacing'] === 'relaxed' ? { pacing: 'relaxed' } : {}),
    scenarios: placeAfter(planned, after, Object.keys(scenarios), report),
    ...chores.limits,
    ...(Object.keys(metrics).length === 0 ? {} : { metrics }),
  };
  const hasFunctions = [...Object.values(flows), chores.flows.setup, chores.flows.teardown].some((flow) => flow?.kind === 'script');
  const workload: Workload = {
    flows,
    ...chores.flows,
    rows: Object.fromEntries([...source.rows].flatMap(([name, rows]) => (rows === undefined ? [] : [[name, rows]]))),
    script: hasFunctions ? source.script : undefined,
    env: overrides.env,
    target: defaults.target.kind === 'url' ? defaults.target.url : '',
    files: source.uploads,
    http: compileHttp(document['http'], source.tlsFiles, scope, report),
    defaults: { timeoutMs: defaults.timeoutMs, headers: hasFunctions ? functionDefaults(defaults, scope, report) : [] },
  };
  const bytes = Buffer.byteLength(JSON.stringify(workload));
  if (bytes > WORKLOAD_BYTES_MAX) {
    report([], `flows, data and code are ${String(bytes)} bytes together; at most ${String(WORKLOAD_BYTES_MAX)} travel to the agents`);
  }
  const limited = limitByRows(plan, workload);
  return { plan: limited.plan, workload, thresholds, warnings: [...limited.warnings, ...warningsOf(limited.plan, workload, thresholds)] };
}

/** Equal files give equal runs, so the default is fixed too. */
const SEED_DEFAULT = 1;
const INTERVAL_US_DEFAULT = 1_000_000;
