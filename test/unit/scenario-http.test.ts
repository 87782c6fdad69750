import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../shared/base/index.ts';
import { HTTP_DEFAULTS, type HttpSettings, type RequestStep } from '../../shared/plan/index.ts';
import { formatProblems, loadScenario } from '../../shared/scenario/index.ts';
import { httpSchema } from '../../shared/scenario/schema.ts';

let folder = '';
let certificate = '';
let key = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-scenario-'));
  certificate = await readFile(new URL('../support/tls/localhost.cert.pem', import.meta.url), 'utf8');
  key = await readFile(new URL('../support/tls/localhost.key.pem', import.meta.url), 'utf8');
  await writeFile(join(folder, 'cert.pem'), certificate);
  await writeFile(join(folder, 'key.pem'), key);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function load(http: string, step = '{ get: / }') {
  const file = join(folder, 'file.yaml');
  const load = 'executor: constant-vus, vus: 1, duration: 1s';
  await writeFile(file, `target: http://a.test\nhttp: ${http}\nscenarios:\n  a: { ${load}, flow: [${step}] }\n`);
  return loadScenario(file, { env: { SECRET: 's3cret' } });
}

async function httpOf(http: string): Promise<HttpSettings> {
  return (await load(http)).workload.http;
}

async function stepOf(http: string, step: string): Promise<RequestStep> {
  const flow = (await load(http, step)).workload.flows['a'];
  const first = flow?.kind === 'steps' ? flow.steps[0] : undefined;
  if (first?.kind !== 'request') throw new Error('expected a request');
  return first;
}

async function problemsOf(http: string, step?: string): Promise<string> {
  const thrown: unknown = await load(http, step).catch((error: unknown) => error);
  if (!(thrown instanceof AppError)) throw new Error('expected problems');
  return formatProblems('f', thrown.problems);
}

describe('the section http', () => {
  test('left out, or empty, is all defaults', async () => {
    expect(await httpOf('{}')).toEqual(HTTP_DEFAULTS);
  });

  test('compiles every key', async () => {
    const http = `{
      version: 2, connections: { shared: 50 }, redirects: 2, cookies: per-vu, timeouts: { connect: 2s, firstByte: 500ms }, dns: { ttl: 0s, pick: first },
      hosts: { Shop.test: '10.0.0.5:8443', '*.cdn.test': '[::1]:81', 'a.test:80': 10.0.0.6 }, sourceAddresses: [10.0.0.7, '::1'],
      proxy: { http: 'http://10.0.0.9:3128', none: [.internal] },
      tls: { insecure: true, ca: cert.pem, cert: cert.pem, key: key.pem, passphrase: '\${env.SECRET}', serverName: shop, resumeSessions: false } }`;
    expect(await httpOf(http.replace(/\n\s*/g, ' '))).toEqual({
      version: '2',
      connections: { kind: 'shared', max: 50 },
      redirects: 2,
      cookies: 'per-vu',
      timeouts: { connectMs: 2000, firstByteMs: 500 },
      dns: { ttlMs: 0, pick: 'first' },
      hosts: {
        'shop.test': { host: '10.0.0.5', port: 8443 },
        '*.cdn.test': { host: '::1', port: 81 },
        'a.test:80': { host: '10.0.0.6', port: undefined },
      },
      sourceAddresses: ['10.0.0.7', '::1'],
      socketPath: undefined,
      proxy: { http: 'http://10.0.0.9:3128', https: undefined, none: ['.internal'], fromEnvironment: false },
      tls: { insecure: true, ca: certificate, cert: certificate, key, passphrase: 's3cret', serverName: 'shop', resumesSessions: false },
    } satisfies HttpSettings);
  });

  test.each([
    ['1.1', '1.1'],
    ["'1.1'", '1.1'],
    ["'2'", '2'],
    ['auto', 'auto'],
  ])('reads version %s as %s', async (written, version) => {
    expect((await httpOf(`{ version: ${written} }`)).version).toBe(version);
  });

  test('takes one proxy for both schemes, or the environment of the agents', async () => {
    const proxy = 'http://10.0.0.9:3128';
    expect((await httpOf(`{ proxy: '${proxy}' }`)).proxy).toEqual({ http: proxy, https: proxy, none: [], fromEnvironment: false });
    expect((await httpOf('{ proxy: environment }')).proxy).toMatchObject({ http: undefined, fromEnvironment: true });
  });

  test.each([
    ['{ connection: per-vu }', 'http.connection: unknown key "connection"; did you mean "connections"?'],
    ['{ connections: pooled }', 'http.connections: expected per-vu, per-iteration or { shared: 100 }, got "pooled"'],
    ['{ connections: { shared: 0 } }', 'http.connections.shared: expected connections per origin and agent, from 1 to 100000, got 0'],
    ['{ version: 3 }', 'http.version: expected 1.1, 2 or auto, got 3'],
    ['{ version: h2 }', 'http.version: expected 1.1, 2 or auto, got "h2"'],
    ['{ cookies: sometimes }', 'http.cookies: expected per-iteration, per-vu or off, got "sometimes"'],
    ['{ cookies: false }', 'http.cookies: expected per-iteration, per-vu or off, got false'],
    ['{ redirects: 101 }', 'http.redirects: expected a whole number of redirects from 0 to 100, got 101'],
    ['{ timeouts: { connect: soon } }', 'http.timeouts.connect: expected a duration from 1ms to 1h, got "soon"'],
    ['{ hosts: { a.test: "b:0" } }', 'http.hosts["a.test"]: expected a host, host:port or [IPv6]:port, got "b:0"'],
    ['{ hosts: { "a test": b } }', 'http.hosts["a test"]: expected a host, host:port or *.example.com, got "a test"'],
    ['{ sourceAddresses: [eth0] }', 'http.sourceAddresses[0]: expected an IP address, got "eth0"'],
    [
      '{ proxy: "socks5://a" }',
      'http.proxy: expected the http URL of a proxy such as http://user:password@10.0.0.9:3128, got "socks5://a"',
    ],
    [
      '{ socketPath: /a.sock, hosts: { b: c } }',
      'http.socketPath: every connection goes to the socket: hosts and proxy would never be used',
    ],
    ['{ tls: { ca: key.pem } }', 'http.tls.ca: key.pem: expected a certificate in PEM'],
    ['{ tls: { cert: cert.pem, key: cert.pem } }', 'http.tls.key: cert.pem: expected a private key in PEM'],
    ['{ tls: { cert: cert.pem } }', 'http.tls: a client certificate is cert and key: one of them is missing'],
    [
      '{ auth: { basic: { user: a, password: b }, bearer: c } }',
      'http.auth: expected one of basic, digest and bearer, got basic and bearer',
    ],
    ['{ auth: { basic: { user: "a:b", password: c } } }', 'http.auth: a user name holds no colon'],
  ])('%s is refused', async (http, problem) => {
    expect(await problemsOf(http)).toContain(problem);
  });
});

describe('a step', () => {
  test('has the redirects and the auth of the file, or its own', async () => {
    const http = '{ redirects: 3, auth: { digest: { user: ada, password: love } } }';
    expect(await stepOf(http, '{ get: / }')).toMatchObject({ redirects: 3, auth: { kind: 'digest', user: ['ada'], password: ['love'] } });
    expect(await stepOf(http, '{ get: /, redirects: 0, auth: none }')).toMatchObject({ redirects: 0, auth: undefined });
    const bearer = await stepOf(http, '{ get: /, auth: { bearer: x } }');
    expect(bearer).toMatchObject({ auth: undefined, headers: [['authorization', ['Bearer ', 'x']]] });
  });

  test('has cookies of its own beside those of the VU, which replace a cookie header of the defaults', async () => {
    const step = '{ get: /, cookies: { theme: dark, run: "${iteration};", n: 1 }, headers: { x: y } }';
    const run = { source: 'iteration', name: '', field: '', as: 'cookie' };
    expect(await stepOf('{}', step)).toMatchObject({
      headers: [
        ['x', ['y']],
        ['cookie', ['theme=dark; run=', run, '%3B; n=1']],
      ],
    });
  });

  test.each([
    ['cookies: { a: b }, headers: { Cookie: c=d }', 'cookies: the step has a cookie header already: give one of both'],
    ['cookies: { "a b": c }', 'cookies["a b"]: "a b" is no legal name of a cookie'],
    ['cookies: { a: "b\\u0007" }', 'cookies.a: a cookie holds one line of latin-1 text: no line breaks, no control characters'],
    ['cookies: [a]', 'cookies: expected a mapping of names to text, numbers or true/false, got a list'],
    ['cookies: { a: "${nobody}" }', 'cookies.a: no earlier step captures "nobody"'],
  ])('with %s is refused', async (keys, problem) => {
    expect(await problemsOf('{}', `{ get: /, ${keys} }`)).toContain(problem);
  });

  test('with two minds about who it is, is refused', async () => {
    const step = '{ get: /, headers: { Authorization: a }, auth: { bearer: b } }';
    expect(await problemsOf('{}', step)).toContain('auth: the step has an authorization header already: give one of both');
    expect(await problemsOf('{}', '{ get: /, auth: nobody }')).toContain(
      'expected none, or a mapping with basic, digest or bearer, got "nobody"',
    );
  });
});

test('the example of docs/http.md compiles, and says every key of the section but the socket', async () => {
  const page = await readFile(new URL('../../docs/http.md', import.meta.url), 'utf8');
  const example = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? '';
  for (const name of ['ca.pem', 'client.pem']) await writeFile(join(folder, name), certificate);
  await writeFile(join(folder, 'client.key.pem'), key);
  await writeFile(join(folder, 'photo.jpg'), 'not really');
  const file = join(folder, 'docs.yaml');
  await writeFile(file, example);
  const { workload, warnings } = await loadScenario(file, { env: { PASSWORD: 'love', PASSPHRASE: 'open' } });
  expect(warnings).toEqual([]);
  expect(Object.keys(workload.files)).toEqual(['photo.jpg']);
  const said = Object.keys(httpSchema.shape).filter((name) => new RegExp(`^  ${name}:`, 'm').test(example));
  expect(said).toEqual(Object.keys(httpSchema.shape).filter((name) => name !== 'socketPath'));
});
