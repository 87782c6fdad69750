import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../shared/base/index.ts';
import type { RequestStep, Step, Template } from '../../shared/plan/index.ts';
import {
  formatProblems,
  loadScenario,
  scenarioJsonSchema,
  type CompiledScenario,
  type ScenarioOverrides,
} from '../../shared/scenario/index.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-scenario-'));
  await writeFile(join(folder, 'users.csv'), '\ufeffname,"full name"\nada,"Lovelace, Ada"\nalan,Turing\n');
  await writeFile(join(folder, 'cities.json'), '[{ "name": "Ulm", "people": 126000 }, { "name": "Bath", "people": null }]');
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe('the examples', () => {
  const names = ['boot-server.yaml', 'closed.yaml', 'flow.ts', 'hello.yaml', 'ramp.yaml', 'storefront.yaml'];

  test.each(names)('%s compiles without a warning', async (name) => {
    const compiled = await loadScenario(join(EXAMPLES, name), { env: {} });
    expect(compiled.warnings).toEqual([]);
    expect(compiled.workload.target).toBe(name === 'boot-server.yaml' ? 'http://127.0.0.1:8774' : 'http://127.0.0.1:8080');
    expect(compiled.thresholds.length).toBeGreaterThan(0);
  });

  test('every scenario file of the folder is one of them', async () => {
    const files = (await readdir(EXAMPLES)).filter((name) => /\.(yaml|ts)$/.test(name));
    expect(files.sort()).toEqual(names);
  });
});

describe('load', () => {
  test('a constant rate is one segment, in arrivals per time unit', async () => {
    const { plan } = await compile(scenario('executor: constant-arrival-rate, rate: 30, timeUnit: 1m, duration: 2m, maxVUs: 7'));
    expect(plan).toEqual({
      name: 'file',
      seed: 1,
      intervalMs: 1000,
      scenarios: [
        {
          name: 'a',
          startUs: 0,
          gracefulStopUs: 30_000_000,
          load: {
            kind: 'constant-arrival-rate',
            arrivals: 'uniform',
            timeUnitUs: 60_000_000,
            segments: [{ durationUs: 120_000_000, startRate: 30, endRate: 30 }],
            preAllocatedVus: 1,
            maxVus: 7,
          },
        },
      ],
    });
  });

  test('a rate brings its own time unit, and may repeat the one that is given', async () => {
    const own = await compile(scenario('executor: constant-arrival-rate, rate: 2k/s, duration: 1s'));
    const both = await compile(scenario('executor: constant-arrival-rate, rate: 2k/s, timeUnit: 1s, duration: 1s'));
    expect(own.plan).toEqual(both.plan);
    expect(own.plan.scenarios[0]?.load).toMatchObject({ timeUnitUs: 1_000_000, segments: [{ startRate: 2000, endRate: 2000 }] });
  });

  test('stages are joined end to end, and a stage of no duration jumps', async () => {
    const stages = '[{ duration: 10s, target: 100 }, { duration: 0s, target: 20 }, { duration: 5s, target: 20 }]';
    const { plan } = await compile(scenario(`executor: ramping-arrival-rate, stages: ${stages}, arrivals: poisson`));
    expect(plan.scenarios[0]?.load).toMatchObject({
      arrivals: 'poisson',
      segments: [
        { durationUs: 10_000_000, startRate: 0, endRate: 100 },
        { durationUs: 5_000_000, startRate: 20, endRate: 20 },
      ],
    });
  });

  test('VUs by default cover requests that all wait for their timeout', async () => {
    const text = scenario('executor: constant-arrival-rate, rate: 100, duration: 1s', '- { get: /, timeout: 2s }\n      - think: 1s..3s');
    const { plan } = await compile(text);
    expect(plan.scenarios[0]?.load).toMatchObject({ preAllocatedVus: 10, maxVus: 500 });
  });

  test('a closed load is VUs and a duration', async () => {
    const { plan } = await compile(scenario('executor: constant-vus, vus: 5, duration: 1m, startTime: 2s, gracefulStop: 0s'));
    expect(plan.scenarios[0]).toEqual({
      name: 'a',
      startUs: 2_000_000,
      gracefulStopUs: 0,
      load: { kind: 'constant-vus', vus: 5, durationUs: 60_000_000 },
    });
  });

  test('the area under any list of stages is what the segments carry', async () => {
    const stage = fc.record({ seconds: fc.integer({ min: 0, max: 100 }), target: fc.integer({ min: 1, max: 1000 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(stage, { minLength: 1, maxLength: 6 }), async (list) => {
        fc.pre(list.some(({ seconds }) => seconds > 0));
        const stages = list.map(({ seconds, target }) => `{ duration: ${String(seconds)}s, target: ${String(target)} }`).join(', ');
        const { plan } = await compile(scenario(`executor: ramping-arrival-rate, stages: [${stages}]`));
        const load = plan.scenarios[0]?.load;
        if (load?.kind !== 'ramping-arrival-rate') throw new Error('another executor');
        let rate = 0;
        let area = 0;
        for (const { seconds, target } of list) {
          area += ((rate + target) / 2) * seconds;
          rate = target;
        }
        const carried = load.segments.reduce((sum, s) => sum + (((s.startRate + s.endRate) / 2) * s.durationUs) / load.timeUnitUs, 0);
        expect(carried).toBeCloseTo(area, 6);
      }),
      { numRuns: 30 },
    );
  });
});

describe('overrides', () => {
  const mixed = `target: http://a.example
scenarios:
  open: { executor: constant-arrival-rate, rate: 600/m, duration: 5s, flow: [{ get: / }] }
  closed: { executor: constant-vus, vus: 2, duration: 5s, flow: [{ get: / }] }
`;

  test('each applies to the scenarios that have what it sets', async () => {
    const { plan, workload } = await compile(mixed, { target: 'http://b.example/', rate: '2k/s', vus: 9, duration: '1m', seed: 7 });
    expect(plan.seed).toBe(7);
    expect(plan.scenarios[0]?.load).toMatchObject({ timeUnitUs: 1_000_000, segments: [{ durationUs: 60_000_000, startRate: 2000 }] });
    expect(plan.scenarios[1]?.load).toEqual({ kind: 'constant-vus', vus: 9, durationUs: 60_000_000 });
    expect(workload.target).toBe('http://b.example');
  });

  test('a bare rate keeps the time unit of the file', async () => {
    const { plan } = await compile(mixed, { rate: '60' });
    expect(plan.scenarios[0]?.load).toMatchObject({ timeUnitUs: 60_000_000, segments: [{ startRate: 60 }] });
  });

  test('one that no scenario can take, or that is no value, is a problem of the flag', async () => {
    const closed = scenario('executor: constant-vus, vus: 5, duration: 1m');
    expect(await problems(closed, { rate: '5' })).toEqual(['--rate: no scenario of the file takes it: it is for constant-arrival-rate']);
    expect(await problems(mixed, { rate: 'fast', vus: 0, duration: '0s', seed: -1, target: 'ftp://x' })).toEqual([
      '--rate: expected a rate above zero such as 200 or 2k/s, got "fast"',
      '--vus: expected a whole number from 1 to 1000000, got 0',
      '--duration: expected a duration above zero such as 30s, got "0s"',
      '--seed: expected a whole number from 0 to 4294967295, got -1',
      '--target: expected a URL such as http://127.0.0.1:8080: only http and https are spoken, got "ftp://x"',
    ]);
  });
});

describe('requests', () => {
  test('a path is joined to the target, and its query appended and encoded', async () => {
    const step = await request('{ get: "/a b/ü?x=1", query: { "q&": "a&b=ü", n: [1, true] } }');
    expect(step.url).toEqual(['http://a.example/base/a%20b/%C3%BC?x=1&q%26=a%26b%3D%C3%BC&n=1&n=true']);
    expect(step.name).toBe('GET /a b/ü?x=1');
  });

  test('a whole URL needs no target', async () => {
    const text = scenario('executor: constant-vus, vus: 1, duration: 1s', '- get: https://other.example/x').replace(/^target.*\n/, '');
    const { workload } = await compile(text);
    expect(workload.target).toBe('');
    expect(requestOf(workload.flows['a']).url).toEqual(['https://other.example/x']);
  });

  test('headers of the step replace defaults of the same name in any case', async () => {
    const step = await request('{ post: /, json: {}, headers: { ACCEPT: "*/*", content-type: text/x } }', {
      head: 'defaults: { timeout: 5s, headers: { accept: a/b, x-by: muster } }',
    });
    expect(step.headers).toEqual([
      ['content-type', ['text/x']],
      ['ACCEPT', ['*/*']],
      ['x-by', ['muster']],
    ]);
    expect(step.timeoutMs).toBe(5000);
  });

  test('a form is encoded as a form, and text stays text', async () => {
    const form = await request("{ post: /, form: { user: 'a b', tag: [x, y] } }");
    expect(form.body).toEqual(['user=a%20b&tag=x&tag=y']);
    expect(form.headers).toEqual([['content-type', ['application/x-www-form-urlencoded']]]);
    const text = await request("{ put: /, body: 'a ${vu}' }");
    expect(text.body).toEqual(['a ', { source: 'vu', name: '', field: '', as: 'text' }]);
    expect(text.headers).toEqual([]);
  });

  test('any JSON body without references is sent as it was written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 3 }), async (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('$') && !text.includes('"__proto__"'));
        const step = await request(`{ post: /, json: ${text} }`);
        const [literal, ...rest] = step.body ?? [];
        expect(rest).toEqual([]);
        expect(typeof literal === 'string' && JSON.parse(literal)).toEqual(JSON.parse(text));
      }),
      { numRuns: 50 },
    );
  });
});

describe('references', () => {
  const head = `vars: { n: 7, text: 'a"\${env.WHO}', both: '\${vars.n}\${vars.text}', same: '\${vars.n}' }
data:
  users: { file: users.csv }
  cities: { file: cities.json, order: random }`;

  test('each is written as its place needs it', async () => {
    const flow = `- { get: /, capture: { id: "json $.id" } }
      - post: "/p/\${id}"
        query: { u: "\${users.full name}" }
        headers: { x-id: "n\${iteration}" }
        json: { whole: "\${id}", inside: "no. \${id}", row: "\${cities.people}" }`;
    const { workload } = await compile(scenario('executor: constant-vus, vus: 1, duration: 1s', flow, head), { env: { WHO: 'me' } });
    const step = requestOf(workload.flows['a'], 1);
    const id = { source: 'capture', name: 'id', field: '' };
    expect(step.url).toEqual([
      'http://a.example/base/p/',
      { ...id, as: 'url-text' },
      '?u=',
      { source: 'row', name: 'users', field: 'full name', as: 'url' },
    ]);
    expect(step.headers[1]).toEqual(['x-id', ['n', { source: 'iteration', name: '', field: '', as: 'header' }]]);
    expect(step.body).toEqual([
      '{"whole":',
      { ...id, as: 'json' },
      ',"inside":"no. ',
      { ...id, as: 'json-string' },
      '","row":',
      { source: 'row', name: 'cities', field: 'people', as: 'json' },
      '}',
    ]);
    expect(workload.rows).toEqual({
      users: {
        order: 'sequential',
        columns: ['name', 'full name'],
        rows: [
          ['ada', 'Lovelace, Ada'],
          ['alan', 'Turing'],
        ],
      },
      cities: {
        order: 'random',
        columns: ['name', 'people'],
        rows: [
          ['Ulm', '126000'],
          ['Bath', ''],
        ],
      },
    });
  });

  test('env and vars stand in the plan already, encoded, and a lone var keeps its type in JSON', async () => {
    const step = await request(
      '{ post: "/${vars.text}", json: { n: "${vars.same}", s: "<${vars.both}>" }, query: { q: "${vars.text}" } }',
      {
        head,
        env: { WHO: 'a&b' },
      },
    );
    expect(step.url).toEqual(['http://a.example/base/a%22a&b?q=a%22a%26b']);
    expect(step.body).toEqual(['{"n":7,"s":"<7a\\"a&b>"}']);
  });

  test('what came out of env is never read as a reference again', async () => {
    const step = await request("{ post: /, body: '${env.X}' }", { env: { X: '${vu}' } });
    expect(step.body).toEqual(['${vu}']);
  });

  test('$${ is a literal ${', async () => {
    const step = await request("{ post: /, body: 'pay $5, $${vu} and $$' }");
    expect(step.body).toEqual(['pay $5, ${vu} and $$']);
  });

  test('any text without a dollar sign is a literal, whatever else is in it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), async (text) => {
        fc.pre(!text.includes('$'));
        const step = await request(`{ post: /, body: ${JSON.stringify(text)} }`);
        expect(step.body).toEqual([text]);
      }),
      { numRuns: 50 },
    );
  });
});

describe('checks', () => {
  const cases: readonly (readonly [yaml: string, name: string, test: object])[] = [
    ['status: 200', 'status is 200', { op: '==', value: 200 }],
    ['status: [200, 201]', 'status is 200 or 201', { op: 'in', values: [200, 201] }],
    ['status: "< 400"', 'status < 400', { op: '<', value: 400 }],
    ['status: "!= 500"', 'status is not 500', { op: '!=', value: 500 }],
    ['size: ">= 10"', 'size >= 10', { op: '>=', value: 10 }],
    ['body: contains hello world', 'body contains hello world', { op: 'contains', text: 'hello world' }],
    ['body: /^a.b$/is', 'body matches /^a.b$/is', { op: 'matches', pattern: '^a.b$', flags: 'is' }],
    ['body: hello', 'body is hello', { op: '==', value: 'hello' }],
    ['body: "== > 3"', 'body is > 3', { op: '==', value: '> 3' }],
    ['header Content-Type: application/json', 'header Content-Type is application/json', { op: '==', value: 'application/json' }],
    ['header etag: exists', 'header etag exists', { op: 'exists', wanted: true }],
    ['header etag: absent', 'header etag is absent', { op: 'exists', wanted: false }],
    ['"json $.items.length": "> 0"', 'json $.items.length > 0', { op: '>', value: 0 }],
    ['"json $.ok": true', 'json $.ok is true', { op: '==', value: true }],
    ['"json $.none": null', 'json $.none is null', { op: '==', value: null }],
    ['"json $.s": "!= null"', 'json $.s is not null', { op: '!=', value: null }],
    ['"json $.s": "5"', 'json $.s is 5', { op: '==', value: '5' }],
    ['"json $.s": [a, 1]', 'json $.s is a or 1', { op: 'in', values: ['a', 1] }],
    ['"json $.s": "${env.WHO}"', 'json $.s is me', { op: '==', value: 'me' }],
  ];
  test.each(cases)('%s', async (yaml, name, expected) => {
    const step = await request(`{ get: /, check: { ${yaml} } }`, { env: { WHO: 'me' } });
    expect(step.checks).toHaveLength(1);
    expect(step.checks[0]).toMatchObject({ name, test: expected });
  });

  test('a path names keys, positions and odd keys', async () => {
    const step = await request(`{ get: /, check: { "json $.a[0].b-c['d e'][-1]": 1, "json $": exists, header X-A: b } }`);
    expect(step.checks.map(({ subject }) => subject)).toEqual([
      { kind: 'json', path: ['a', 0, 'b-c', 'd e', -1] },
      { kind: 'json', path: [] },
      { kind: 'header', name: 'x-a' },
    ]);
  });

  test('captures come from JSON, headers and patterns', async () => {
    const step = await request('{ get: /, capture: { a: "json $.x[0]", b: header Location, c: "regex /id=(\\\\d+)/i" } }');
    expect(step.captures).toEqual([
      { name: 'a', from: { kind: 'json', path: ['x', 0] } },
      { name: 'b', from: { kind: 'header', name: 'location' } },
      { name: 'c', from: { kind: 'regex', pattern: 'id=(\\d+)', flags: 'i' } },
    ]);
  });
});

describe('warnings', () => {
  test('name what is legal but probably not meant', async () => {
    const text = scenario(
      'executor: constant-arrival-rate, rate: 10, duration: 1s',
      '- get: "/${users.name}"',
      'data: { users: { file: users.csv, order: unique, whenExhausted: recycle }, cities: { file: cities.json } }\nthresholds: { "http_reqs{name:home}": ["count>1"] }',
    );
    expect((await compile(text)).warnings).toEqual([
      'the data set "cities" is used by no step',
      'a threshold of http_reqs is for the name "home", which no step has: it will have no data',
      'users has 2 rows for 10 iterations of a: rows will repeat',
    ]);
  });
});

describe('modules', () => {
  test('a flow that is a function travels as one bundle, imports included', async () => {
    await writeFile(join(folder, 'paths.ts'), "export const home: string = '/home';\n");
    const file = join(folder, 'shop.ts');
    const text = `import { defineScenario } from 'muster';
import { home } from './paths.ts';

export default defineScenario({
  target: 'http://a.example',
  defaults: { timeout: '2s', headers: { 'x-by': '\${env.WHO}' } },
  scenarios: {
    code: { executor: 'constant-vus', vus: 1, duration: '1s', flow: async (vu) => { await vu.http.get(home); } },
    steps: { executor: 'constant-vus', vus: 1, duration: '1s', flow: [{ get: home }] },
  },
});
`;
    await writeFile(file, text);
    const { workload, source, plan } = await loadScenario(file, { env: { WHO: 'me' } });
    expect(plan.name).toBe('shop');
    expect(source).toBe(text);
    expect(workload.flows['code']).toEqual({ kind: 'script', scenario: 'code' });
    expect(requestOf(workload.flows['steps']).url).toEqual(['http://a.example/home']);
    expect(workload.defaults).toEqual({ timeoutMs: 2000, headers: [['x-by', 'me']] });
    const bundle = (await import(`data:text/javascript;base64,${Buffer.from(workload.script ?? '').toString('base64')}`)) as {
      default: { scenarios: { code: { flow: (vu: unknown) => Promise<void> } } };
    };
    const asked: string[] = [];
    await bundle.default.scenarios.code.flow({ http: { get: (url: string) => asked.push(url) } });
    expect(asked).toEqual(['/home']);
  });

  test('a module without functions needs no bundle', async () => {
    const file = join(folder, 'plain.mjs');
    await writeFile(
      file,
      "export default { scenarios: { a: { executor: 'constant-vus', vus: 1, duration: 1000, flow: [{ get: 'http://a.example/' }] } } };\n",
    );
    const { workload } = await loadScenario(file, { env: {} });
    expect(workload.script).toBeUndefined();
    expect(workload.defaults.headers).toEqual([]);
  });
});

test('the JSON Schema for editors refuses unknown keys and names the executors', () => {
  const text = JSON.stringify(scenarioJsonSchema());
  expect(text).toContain('"additionalProperties":false');
  for (const executor of ['constant-arrival-rate', 'ramping-arrival-rate', 'constant-vus']) expect(text).toContain(executor);
});

/** A file with one scenario `a`: the inside of its mapping, its steps, and what else stands at the top. */
function scenario(load: string, flow = '- get: /', head = ''): string {
  const keys = load.replace(/, (?=[A-Za-z]+:)(?![^[{]*[\]}])/g, '\n    ');
  return `target: http://a.example/base/\n${head}\nscenarios:\n  a:\n    ${keys}\n    flow:\n      ${flow}\n`;
}

async function compile(text: string, overrides: Partial<ScenarioOverrides> = {}): Promise<CompiledScenario> {
  const file = join(folder, 'file.yaml');
  await writeFile(file, text);
  try {
    return await loadScenario(file, { env: {}, ...overrides });
  } catch (thrown) {
    if (thrown instanceof AppError) thrown.message += `\n${formatProblems(file, thrown.problems)}\n${text}`;
    throw thrown;
  }
}

async function problems(text: string, overrides: Partial<ScenarioOverrides>): Promise<string[]> {
  const thrown: unknown = await compile(text, overrides).catch((reason: unknown) => reason);
  return thrown instanceof AppError ? thrown.problems.map(({ path, message }) => `${path}: ${message}`) : [];
}

async function request(step: string, { head = '', env = {} }: { head?: string; env?: Record<string, string> } = {}): Promise<RequestStep> {
  const { workload } = await compile(scenario('executor: constant-vus, vus: 1, duration: 1s', `- ${step}`, head), { env });
  return requestOf(workload.flows['a']);
}

function requestOf(flow: CompiledScenario['workload']['flows'][string] | undefined, at = 0): RequestStep {
  const step: Step | undefined = flow?.kind === 'steps' ? flow.steps[at] : undefined;
  if (step?.kind !== 'request') throw new Error('no request there');
  const isWhole = (template: Template): boolean =>
    template.every((part, i) => typeof part !== 'string' || typeof template[i + 1] !== 'string');
  expect(isWhole(step.url)).toBe(true);
  return step;
}
