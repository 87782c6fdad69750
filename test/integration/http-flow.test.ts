import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { runScenario } from '../support/run-scenario.ts';

interface Site {
  readonly url: string;
  /** Method, path and what the test asked to see, in the order of arrival. */
  readonly seen: string[];
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

async function startSite(answer: Answer, note: (request: IncomingMessage, body: string) => string = () => ''): Promise<Site> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (piece: string) => (body += piece));
    request.on('end', () => {
      seen.push(`${request.method ?? ''} ${request.url ?? ''} ${note(request, body)}`.trim());
      answer(request, response, body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  });
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, seen };
}

/** One iteration of these steps. */
function iterationOf(target: string, steps: string, http = ''): string {
  const flow = steps.replace(/^/gm, '      ');
  return `target: ${target}\n${http}\nscenarios:\n  a:\n    executor: shared-iterations\n    vus: 1\n    iterations: 1\n    maxDuration: 20s\n    flow:\n${flow}\n`;
}

const redirectTo =
  (status: number, location: string): Answer =>
  (request, response) => {
    if (request.url === '/from') response.writeHead(status, { location }).end();
    else response.end('there');
  };

describe('a redirect', () => {
  test.each([
    [301, 'get', 'GET'],
    [301, 'post', 'GET'],
    [302, 'post', 'GET'],
    [302, 'put', 'PUT hello'],
    [303, 'put', 'GET'],
    [303, 'head', 'HEAD'],
    [307, 'post', 'POST hello'],
    [308, 'delete', 'DELETE'],
  ])('%i of a %s goes on as %s, each hop counted, and checks see the last answer', async (status, verb, next) => {
    const site = await startSite(redirectTo(status, 'to?x=1#fragment'), (_, body) => body);
    const hasBody = next.includes('hello') || verb === 'post' || verb === 'put';
    const step = `- ${verb}: /from\n${hasBody ? '  body: hello\n' : ''}  check: { status: 200 }`;
    const { requests, failed, checks } = await runScenario(iterationOf(site.url, step));
    const [method = '', body = ''] = next.split(' ');
    expect(site.seen).toEqual([`${verb.toUpperCase()} /from ${hasBody ? 'hello' : ''}`.trim(), `${method} /to?x=1 ${body}`.trim()]);
    expect({ requests, failed, checks }).toEqual({
      requests: { [status]: 1, 200: 1 },
      failed: 0,
      checks: { 'status is 200': [1, 0] },
    });
  });

  test('is followed as often as redirects says, ten times by default, and then is the answer', async () => {
    const site = await startSite((_, response) => response.writeHead(302, { location: '/again' }).end());
    expect(await runScenario(iterationOf(site.url, '- get: /'))).toMatchObject({ requests: { 302: 11 }, failed: 0 });
    expect(await runScenario(iterationOf(site.url, '- get: /', 'http: { redirects: 3 }'))).toMatchObject({ requests: { 302: 4 } });
    expect(await runScenario(iterationOf(site.url, '- get: /\n  redirects: 0\n  check: { status: 302 }'))).toMatchObject({
      requests: { 302: 1 },
      checks: { 'status is 302': [1, 0] },
    });
  });

  test('tells credentials and cookies to the same origin only', async () => {
    const note = ({ headers }: IncomingMessage): string => [headers.authorization, headers.cookie, headers['x-trace']].join(',');
    const other = await startSite((_, response) => response.end(), note);
    const site = await startSite((request, response) => {
      response.writeHead(307, { location: request.url === '/' ? '/same' : `${other.url}/other` }).end();
    }, note);
    const step = '- get: /\n  headers: { authorization: secret, Cookie: a=b, x-trace: t }';
    expect(await runScenario(iterationOf(site.url, step))).toMatchObject({ requests: { 307: 2, 200: 1 } });
    expect(site.seen).toEqual(['GET / secret,a=b,t', 'GET /same secret,a=b,t']);
    expect(other.seen).toEqual(['GET /other ,,t']);
  });

  test('to what cannot be requested is the answer', async () => {
    const site = await startSite((_, response) => response.writeHead(302, { location: 'ftp://example.org/' }).end());
    expect(await runScenario(iterationOf(site.url, '- get: /'))).toMatchObject({ requests: { 302: 1 }, failed: 0 });
  });

  test('is followed for a function too, as often as it says', async () => {
    const site = await startSite(redirectTo(302, '/to'));
    const module = `export default { target: '${site.url}', scenarios: { a: { executor: 'shared-iterations', vus: 1, iterations: 1, flow: async (vu) => {
      vu.check('followed', (await vu.http.get('/from')).body === 'there');
      vu.check('not followed', (await vu.http.get('/from', { redirects: 0 })).status === 302);
    } } } };`;
    expect(await runScenario(module, {}, 'mjs')).toMatchObject({
      requests: { 302: 2, 200: 1 },
      checks: { followed: [1, 0], 'not followed': [1, 0] },
    });
  });
});

describe('authentication', () => {
  const authorization = ({ headers }: IncomingMessage): string => headers.authorization ?? 'nobody';

  test('basic and bearer are sent with every request, the file’s or the step’s own, or none', async () => {
    const site = await startSite((_, response) => response.end('{"t":"abc"}'), authorization);
    const steps = [
      '- get: /1\n  capture: { token: json $.t }',
      '- get: /2\n  auth: { bearer: "${token}" }',
      '- get: /3\n  auth: { basic: { user: "vu-${vu}", password: "${token}" } }',
      '- get: /4\n  auth: none',
      '- get: /5\n  headers: { Authorization: own }',
    ].join('\n');
    await runScenario(iterationOf(site.url, steps, 'http: { auth: { basic: { user: ada, password: "${env.PASSWORD}" } } }'), {
      PASSWORD: 'l:ö',
    });
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
    expect(site.seen).toEqual([
      `GET /1 ${basic('ada:l:ö')}`,
      'GET /2 Bearer abc',
      `GET /3 ${basic('vu-0:abc')}`,
      'GET /4 nobody',
      'GET /5 own',
    ]);
  });

  test.each([
    ['MD5', 'md5'],
    ['SHA-256', 'sha256'],
    ['MD5-sess', 'md5'],
  ])('digest answers a challenge with %s, whose 401 is counted and is no failure', async (algorithm, hashName) => {
    const hash = (...parts: string[]): string => createHash(hashName).update(parts.join(':')).digest('hex');
    const site = await startSite((request, response) => {
      const given = new Map(
        [...(request.headers.authorization ?? '').matchAll(/(\w+)="?([^",]+)"?/g)].map(([, name = '', value = '']) => [name, value]),
      );
      const at = (name: string): string => given.get(name) ?? '';
      const plain = hash('ada', 'a, b', 'love');
      const secret = algorithm.endsWith('-sess') ? hash(plain, 'n1', at('cnonce')) : plain;
      const right = hash(secret, 'n1', at('nc'), at('cnonce'), 'auth', hash(request.method ?? '', request.url ?? ''));
      if (at('response') === right) response.end();
      else {
        const digest = `Digest realm="a, b", qop="auth-int, auth", nonce="n1", opaque="o", algorithm=${algorithm}`;
        response.writeHead(401, { 'www-authenticate': ['Basic realm="x"', digest] }).end();
      }
    });
    const step = (password: string): string =>
      `- post: /p?q\n  body: hi\n  auth: { digest: { user: ada, password: ${password} } }\n  check: { status: 200 }`;
    expect(await runScenario(iterationOf(site.url, step('love')))).toMatchObject({ requests: { 401: 1, 200: 1 }, failed: 0 });
    // The second 401 is the answer, and it fails.
    expect(await runScenario(iterationOf(site.url, step('hate')))).toMatchObject({ requests: { 401: 1, status: 1 }, failed: 1 });
  });
});

test('checks and captures read the body behind its content coding', async () => {
  const site = await startSite((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"a":"found"}')));
  const { checks } = await runScenario(iterationOf(site.url, '- get: /\n  check: { json $.a: found }'));
  expect(checks).toEqual({ 'json $.a is found': [1, 0] });
});

test('a fresh connection per iteration, asked for in the file, reaches the wire', async () => {
  const ports = new Set<number | undefined>();
  const site = await startSite((request, response) => {
    ports.add(request.socket.remotePort);
    response.end();
  });
  const file = iterationOf(site.url, '- get: /\n- get: /', 'http: { connections: per-iteration }').replace(
    'iterations: 1',
    'iterations: 4',
  );
  expect(await runScenario(file)).toMatchObject({ requests: { 200: 8 } });
  expect(ports.size).toBe(4);
});

test('sending and receiving are measured beside the other phases of a request', async () => {
  const site = await startSite((_, response) => response.end('hi'));
  const { metrics } = await runScenario(iterationOf(site.url, '- get: /'));
  const phases = ['blocked', 'connecting', 'tls_handshaking', 'sending', 'waiting', 'receiving'].map((phase) => `http_req_${phase}`);
  expect([...metrics]).toEqual(expect.arrayContaining(phases));
});

describe('an upload', () => {
  const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x00, 0xff, 0x0d, 0x0a]);

  /** Bytes as latin1 text, with the content type before them. */
  async function startStore(): Promise<{ readonly url: string; readonly stored: string[] }> {
    const stored: string[] = [];
    const server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        stored.push(`${request.headers['content-type'] ?? ''}\n${Buffer.concat(pieces).toString('latin1')}`);
        response.end('{"id":"x\\"y"}');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    });
    return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, stored };
  }

  test('of a file sends its bytes as they are, large ones too', async () => {
    const { url, stored } = await startStore();
    const large = Buffer.alloc(3_000_000, PNG);
    const steps = '- post: /\n  bodyFile: a.png\n- put: /\n  bodyFile: large.bin\n  headers: { content-type: image/png }';
    expect(await runScenario(iterationOf(url, steps), {}, 'yaml', { 'a.png': PNG, 'large.bin': large })).toMatchObject({
      requests: { 200: 2 },
    });
    expect(stored[0]).toBe(`application/octet-stream\n${PNG.toString('latin1')}`);
    expect(stored[1] === `image/png\n${large.toString('latin1')}`).toBe(true);
  });

  test('of a form with files is multipart, with references filled in and lists repeated', async () => {
    const { url, stored } = await startStore();
    const steps = [
      '- post: /',
      '  json: {}',
      '  capture: { id: json $.id }',
      '- post: /',
      '  multipart:',
      '    title: "of ${id}"',
      '    tag: [1, true]',
      '    photo: { file: a.png, type: image/png, filename: "p\\"${vu}.png" }',
    ].join('\n');
    expect(await runScenario(iterationOf(url, steps), {}, 'yaml', { 'a.png': PNG })).toMatchObject({ requests: { 200: 2 } });
    const [type = '', body = ''] = stored[1]!.split(/\n(.*)/s);
    const boundary = /^multipart\/form-data; boundary=(muster-[0-9a-f]{16})$/.exec(type)?.[1] ?? 'none';
    const parts = [
      'content-disposition: form-data; name="title"\r\n\r\nof x"y',
      'content-disposition: form-data; name="tag"\r\n\r\n1',
      'content-disposition: form-data; name="tag"\r\n\r\ntrue',
      `content-disposition: form-data; name="photo"; filename="p%220.png"\r\ncontent-type: image/png\r\n\r\n${PNG.toString('latin1')}`,
    ];
    expect(body).toBe(`${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`);
  });
});
