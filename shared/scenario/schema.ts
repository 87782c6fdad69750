import { z } from 'zod';
import { didYouMean, parseDurationUs, parseRate, ITERATIONS_MAX, VUS_MAX } from '../base/index.ts';
import { expected, isMapping, listed } from './describe.ts';
import type { Path, Report } from './problems.ts';
import { duration, flag, isWithin, leaf, name, positiveDuration, says, scalars, strict, text, timeout } from './schema-parts.ts';
import { verbOf } from './step-kind.ts';
import { auth, redirects, stepSchema, stepTreeSchema, type StepDefinition } from './step-schema.ts';

const RATE = 'a rate such as 200, "200/s" or "2k/s"';
const VUS = `a whole number of VUs from 1 to ${String(VUS_MAX)}`;
const CONNECTIONS = 'per-vu, per-iteration or { shared: 100 }';

const interval = leaf(z.union([z.string(), z.number()]), 'a duration from 100ms to 60s in whole milliseconds', (value) => {
  const us = parseDurationUs(value);
  return isWithin(us, 100_000, 60_000_000) && (us ?? 0) % 1_000 === 0;
});
const rate = leaf(z.union([z.string(), z.number()]), RATE, (value) => parseRate(value) !== undefined);
const vus = leaf(z.number(), VUS, (value) => Number.isInteger(value) && value >= 1 && value <= VUS_MAX);
const vusOrNone = leaf(
  z.number(),
  `a whole number of VUs from 0 to ${String(VUS_MAX)}`,
  (value) => Number.isInteger(value) && value >= 0 && value <= VUS_MAX,
);
const iterations = leaf(
  z.number(),
  `a whole number of iterations from 1 to ${String(ITERATIONS_MAX)}`,
  (value) => Number.isInteger(value) && value >= 1 && value <= ITERATIONS_MAX,
);
const order = z.enum(['unique', 'sequential', 'random'], says('unique, sequential or random'));
const whenExhausted = z.enum(['stop', 'recycle'], says('stop or recycle'));
const pacing = z.enum(['precise', 'relaxed'], says('precise or relaxed'));
const arrivals = z.enum(['uniform', 'poisson'], says('uniform or poisson'));

const addresses = (what: string) =>
  z
    .array(
      leaf(z.string(), what, (value) => value !== ''),
      says(`a list of ${what}`),
    )
    .max(10_000, says('at most 10000'));

/** How agents speak HTTP. Files are read on this side and travel with the scenario. */
export const httpSchema = strict('a mapping of HTTP settings', {
  version: z.union([z.literal([1.1, 2]), z.enum(['1.1', '2', 'auto'])], says('1.1, 2 or auto')).optional(),
  connections: z
    .union(
      [
        z.enum(['per-vu', 'per-iteration'], says(CONNECTIONS)),
        strict('{ shared: 100 }', {
          shared: leaf(
            z.number(),
            'connections per origin and agent, from 1 to 100000',
            (value) => Number.isInteger(value) && value >= 1 && value <= 100_000,
          ),
        }),
      ],
      says(CONNECTIONS),
    )
    .optional(),
  redirects: redirects.optional(),
  cookies: z.enum(['per-iteration', 'per-vu', 'off'], says('per-iteration, per-vu or off')).optional(),
  auth: auth.optional(),
  timeouts: strict('a mapping with connect and firstByte', { connect: timeout.optional(), firstByte: timeout.optional() }).optional(),
  dns: strict('a mapping with ttl and pick', {
    ttl: duration.optional(),
    pick: z.enum(['round-robin', 'first'], says('round-robin or first')).optional(),
  }).optional(),
  hosts: z
    .record(z.string(), text, says('a mapping of hosts to where to connect instead, such as { shop.test: 10.0.0.5:8443 }'))
    .optional(),
  sourceAddresses: addresses('local IP addresses').optional(),
  socketPath: text.optional(),
  proxy: z
    .union(
      [
        text,
        strict('a mapping with http, https and none', {
          http: text.optional(),
          https: text.optional(),
          none: addresses('hosts').optional(),
        }),
      ],
      says('environment, the URL of a proxy, or a mapping with http, https and none'),
    )
    .optional(),
  tls: strict('a mapping with insecure, ca, cert, key, passphrase, serverName and resumeSessions', {
    insecure: flag.optional(),
    ca: text.optional(),
    cert: text.optional(),
    key: text.optional(),
    passphrase: text.optional(),
    serverName: text.optional(),
    resumeSessions: flag.optional(),
  }).optional(),
});
export type HttpDefinition = z.infer<typeof httpSchema>;

const thresholdOptionsSchema = strict('a threshold: text such as "p(99)<250", or a mapping with threshold', {
  threshold: leaf(z.string(), 'a condition such as "p(99)<250"', () => true),
  abortOnFail: flag.optional(),
  delayAbortEval: duration.optional(),
  window: positiveDuration.optional(),
});

const placed = {
  startTime: duration.optional(),
  startAfter: text.optional(),
  gracefulStop: duration.optional(),
  warmup: duration.optional(),
  pacing: duration.optional(),
  finallyLimit: leaf(z.union([z.string(), z.number()]), 'a duration from 1ms to 10m', (value) =>
    isWithin(parseDurationUs(value), 1_000, 600_000_000),
  ).optional(),
};
const open = {
  timeUnit: positiveDuration.optional(),
  preAllocatedVUs: vus.optional(),
  maxVUs: vus.optional(),
  arrivals: arrivals.optional(),
};
const vuStage = strict('a stage such as { duration: 30s, target: 20 }', { duration, target: vusOrNone });
const counted = { vus: vus.optional(), iterations: iterations.optional(), maxDuration: positiveDuration.optional() };
const stage = strict('a stage such as { duration: 30s, target: 200 }', { duration, target: rate });

function executors<F extends z.ZodType>(flowSchema: F) {
  const flows = { flow: flowSchema, finally: flowSchema.optional() };
  return [
    strict('a scenario', { executor: z.literal('constant-arrival-rate'), rate, duration: positiveDuration, ...open, ...placed, ...flows }),
    strict('a scenario', {
      executor: z.literal('ramping-arrival-rate'),
      startRate: rate.optional(),
      stages: z.array(stage, says('a list of stages such as { duration: 30s, target: 200 }')).min(1, says('at least one stage')),
      ...open,
      ...placed,
      ...flows,
    }),
    strict('a scenario', { executor: z.literal('constant-vus'), vus, duration: positiveDuration, ...placed, ...flows }),
    strict('a scenario', {
      executor: z.literal('ramping-vus'),
      startVUs: vusOrNone.optional(),
      stages: z.array(vuStage, says('a list of stages such as { duration: 30s, target: 20 }')).min(1, says('at least one stage')),
      gracefulRampDown: duration.optional(),
      ...placed,
      ...flows,
    }),
    strict('a scenario', { executor: z.literal('per-vu-iterations'), ...counted, ...placed, ...flows }),
    strict('a scenario', { executor: z.literal('shared-iterations'), ...counted, ...placed, ...flows }),
  ] as const;
}

export const EXECUTORS = [
  'constant-arrival-rate',
  'ramping-arrival-rate',
  'constant-vus',
  'ramping-vus',
  'per-vu-iterations',
  'shared-iterations',
] as const;
/** Known from k6, so that the message can say more than that the word is unknown. */
const K6_EXECUTORS_MISSING: readonly string[] = ['externally-controlled'];

function scenario<F extends z.ZodType>(flow: F) {
  return z.discriminatedUnion('executor', executors(flow), {
    error: (issue) => {
      const input: unknown = issue.input;
      if (!isMapping(input)) return expected('a scenario: a mapping with executor and flow', input);
      return executorMessage(input['executor']);
    },
  });
}

function executorMessage(executor: unknown): string {
  const exist = `the executors are ${listed(EXECUTORS)}`;
  if (executor === undefined) return `missing: ${exist}`;
  if (typeof executor !== 'string') return `${expected('the name of an executor', executor)}; ${exist}`;
  if (K6_EXECUTORS_MISSING.includes(executor)) return `Muster does not have the executor "${executor}"; ${exist}`;
  return `there is no executor "${executor}"${didYouMean(executor, EXECUTORS).replace(/\?$/, '')}; ${exist}`;
}

/** Flows are checked step by step elsewhere, so that one bad step does not hide the others, and may be functions in a module. */
const unreadFlow = z.unknown().refine((flow) => flow !== undefined, says('a list of steps'));
export const scenarioSchema = scenario(unreadFlow);
export type ScenarioDefinition = z.infer<typeof scenarioSchema>;

export const dataSetSchema = strict('a data set such as { file: users.csv, order: unique }', {
  file: leaf(z.string(), 'the path of a .csv or .json file, relative to this file', (value) => value !== ''),
  order: order.optional(),
  whenExhausted: whenExhausted.optional(),
});

/** A metric of the author's own. */
export const metricSchema = strict('a metric such as { type: trend, unit: ms }', {
  type: z.enum(['trend', 'counter', 'rate', 'gauge'], says('trend, counter, rate or gauge')),
  unit: leaf(z.string(), 'a unit of at most 16 characters, such as ms or kB', (value) => /^[^\p{Cc}]{0,16}$/u.test(value)).optional(),
});

export const defaultsSchema = strict('a mapping with timeout and headers', { timeout: timeout.optional(), headers: scalars.optional() });

export const thresholdSchema = z.union(
  [z.string(), thresholdOptionsSchema],
  says('a threshold such as "p(99)<250", or a mapping with threshold'),
);

function scenarioFile<S extends z.ZodType, F extends z.ZodType>(scenarioOfFile: S, flow: F) {
  return strict('a scenario file: a mapping with scenarios', {
    name: name.optional(),
    target: leaf(z.string(), 'the URL of the system under test, such as http://127.0.0.1:8080', () => true).optional(),
    seed: leaf(z.number(), 'a whole number from 0 to 4294967295', isSeed).optional(),
    defaults: defaultsSchema.optional(),
    http: httpSchema.optional(),
    vars: scalars.optional(),
    data: z.record(z.string(), dataSetSchema, says('a mapping of names to data sets')).optional(),
    metrics: z.record(z.string(), metricSchema, says('a mapping of names to metrics')).optional(),
    setup: flow.optional(),
    setupTimeout: positiveDuration.optional(),
    teardown: flow.optional(),
    teardownTimeout: positiveDuration.optional(),
    scenarios: z
      .record(z.string(), scenarioOfFile, says('a mapping of names to scenarios'))
      .refine((scenarios) => Object.keys(scenarios).length > 0, says('at least one scenario')),
    thresholds: z
      .record(
        z.string(),
        z.array(thresholdSchema, says('a list of thresholds such as ["p(99)<250"]')).min(1, says('at least one threshold')),
        says('a mapping of metrics to lists of thresholds'),
      )
      .optional(),
    interval: interval.optional(),
    pacing: pacing.optional(),
  });
}

const scenarioFileSchema = scenarioFile(scenarioSchema, z.unknown());

export function isSeed(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

/** Reports everything in `document` that has the wrong shape. */
export function reportShape(document: unknown, report: Report): void {
  const result = scenarioFileSchema.safeParse(document);
  if (!result.success) reportIssues(result.error.issues, [], report);
}

/** The step, or `undefined` after saying what is wrong with it. */
export function readStep(step: unknown, path: Path, report: Report): StepDefinition | undefined {
  const result = stepSchema.safeParse(step);
  if (result.success) return result.data;
  const { issues } = result.error;
  reportIssues(issues, path, report);
  return isMapping(step) ? soundPart(step, issues) : undefined;
}

/** A wrong request without what is wrong in it, so that mistakes elsewhere in it are found too; the file is refused in any case.
 *  `undefined` for other steps, and where what is left would not say what it is. */
function soundPart(step: Readonly<Record<string, unknown>>, issues: readonly Issue[]): StepDefinition | undefined {
  const wrong = new Set(issues.flatMap(({ path, keys = [] }) => [...path.slice(0, 1).map(String), ...(path.length === 0 ? keys : [])]));
  const { data } = stepSchema.safeParse(Object.fromEntries(Object.entries(step).filter(([key]) => !wrong.has(key))));
  return data !== undefined && verbOf(data) !== undefined ? data : undefined;
}

/** The JSON Schema (2020-12) of the YAML scenario file, for editors. It knows shapes; units and references only `loadScenario` checks. */
export function scenarioJsonSchema(): Record<string, unknown> {
  const steps = z.array(stepTreeSchema).min(1);
  return z.toJSONSchema(scenarioFile(scenario(steps), steps), { io: 'input', reused: 'ref' });
}

interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
  readonly errors?: readonly (readonly Issue[])[];
}

/** Issues carry our own sentences already (`says`, `strict`); this only unfolds them: one problem per unknown key, and for a choice
 *  of shapes the mistakes inside the shape that was meant. */
function reportIssues(issues: readonly Issue[], base: Path, report: Report): void {
  for (const issue of issues) {
    const path = [...base, ...issue.path.map((key) => (typeof key === 'number' ? key : String(key)))];
    if (issue.keys !== undefined && issue.code === 'unrecognized_keys') {
      const sentences = issue.message.split('\n');
      issue.keys.forEach((key, i) => {
        report([...path, key], sentences[i] ?? `unknown key "${key}"`);
      });
      continue;
    }
    const meant = issue.errors?.find((branch) => branch.every((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'));
    if (meant === undefined || meant.length === 0) report(path, issue.message);
    else reportIssues(meant, path, report);
  }
}
