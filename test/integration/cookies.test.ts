import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { doChore } from '../../agent/flow/chore.ts';
import { SetupResult } from '../../agent/flow/setup-result.ts';
import { systemClock } from '../../shared/base/index.ts';
import { loadScenario } from '../../shared/scenario/index.ts';
import { yamlBlocks } from '../support/docs-examples.ts';
import { runScenario } from '../support/run-scenario.ts';

interface Shop {
  readonly url: string;
  /** Path and cookies of every request, in the order of arrival. */
  readonly seen: string[];
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A shop that knows its visitors by cookies: the n-th visit of /login is told `sid=n` and sent on by way of /welcome, which adds one. */
async function openShop(version: '1.1' | '2' = '1.1'): Promise<Shop> {
  const seen: string[] = [];
  let logins = 0;
  type Heads = Record<string, string | string[]>;
  const answer = (url: string, cookie: string | undefined): readonly [number, Heads] => {
    seen.push(`${url} ${cookie ?? '-'}`);
    switch (url.split('?', 1)[0]) {
      case '/login':
        logins++;
        return [302, { location: '/welcome', 'set-cookie': [`sid=${String(logins)}; Path=/; HttpOnly`, 'hop=1; Path=/welcome'] }];
      case '/welcome':
        return [302, { location: '/home', 'set-cookie': 'theme=dark' }];
      case '/me':
        return [cookie?.includes('sid=') === true ? 200 : 401, {}];
      case '/logout':
        return [200, { 'set-cookie': 'sid=; Max-Age=0; Path=/' }];
      default:
        return [200, {}];
    }
  };
  const sessions: ServerHttp2Session[] = [];
  const server =
    version === '2'
      ? createHttp2Server((request: Http2ServerRequest, response: Http2ServerResponse) => {
          response.writeHead(...answer(request.url, request.headers.cookie));
          response.end();
        }).on('session', (session) => sessions.push(session))
      : createHttp1Server((request, response) => {
          response.writeHead(...answer(request.url ?? '', request.headers.cookie));
          response.end();
        });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const session of sessions) session.destroy();
    if ('closeAllConnections' in server) server.closeAllConnections();
    await closed;
  });
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, seen };
}

const LOGIN_AND_LOOK = '[{ get: /login }, { get: /me }]';

function fileOf({ url }: Shop, http: string, flow: string, load = 'executor: per-vu-iterations, vus: 1, iterations: 2'): string {
  return `target: ${url}\nhttp: ${http}\nscenarios:\n  shop: { ${load}, maxDuration: 20s, flow: ${flow} }\n`;
}

const FIRST = ['/login -', '/welcome hop=1; sid=1', '/home sid=1; theme=dark', '/me sid=1; theme=dark'];

describe.each(['1.1', '2'] as const)('over HTTP/%s a VU', (version) => {
  test('keeps what responses and redirects set, and begins every iteration without', async () => {
    const shop = await openShop(version);
    const { requests, failed } = await runScenario(fileOf(shop, `{ version: ${version} }`, LOGIN_AND_LOOK));
    const second = ['/login -', '/welcome hop=1; sid=2', '/home sid=2; theme=dark', '/me sid=2; theme=dark'];
    expect(shop.seen).toEqual([...FIRST, ...second]);
    expect({ requests, failed }).toEqual({ requests: { 200: 4, 302: 4 }, failed: 0 });
  });

  test('keeps them over iterations when told so', async () => {
    const shop = await openShop(version);
    await runScenario(fileOf(shop, `{ version: ${version}, cookies: per-vu }`, '[{ get: /me }, { get: /login, redirects: 0 }]'));
    expect(shop.seen).toEqual(['/me -', '/login -', '/me sid=1', '/login sid=1']);
  });

  test('keeps none when they are off', async () => {
    const shop = await openShop(version);
    await runScenario(fileOf(shop, `{ version: ${version}, cookies: off }`, LOGIN_AND_LOOK));
    const iteration = ['/login -', '/welcome -', '/home -', '/me -'];
    expect(shop.seen).toEqual([...iteration, ...iteration]);
  });
});

test('the example of docs/http.md logs every VU in once', async () => {
  const shop = await openShop();
  const example = yamlBlocks('docs/http.md').find(({ text }) => text.includes('cookies: per-vu\n'))?.text ?? '';
  const { checks } = await runScenario(example.replace('https://shop.test', shop.url));
  expect(checks).toEqual({ 'status is 200 or 401': [6, 0] });
  const count = (line: RegExp): number => shop.seen.filter((one) => line.test(one)).length;
  expect([count(/^\/me -$/), count(/^\/login -$/), count(/^\/me sid=\d; theme=dark$/)]).toEqual([2, 2, 4]);
  expect(count(/^\/cart currency=EUR; sid=\d; theme=dark$/)).toBe(6);
});

test('no VU has the cookies of another, whether connections are their own or shared', async () => {
  for (const http of ['{}', '{ connections: { shared: 2 } }']) {
    const shop = await openShop();
    const flow = '[{ get: "/login?${vu}", redirects: 0 }, { think: 5ms }, { get: "/me?${vu}" }]';
    await runScenario(fileOf(shop, http, flow, 'executor: per-vu-iterations, vus: 5, iterations: 2'));
    const given = shop.seen.filter((line) => line.startsWith('/login')).map((line) => line.split(/[? ]/)[1] ?? '');
    const shown = shop.seen.filter((line) => line.startsWith('/me'));
    const expected = given.map((vu, i) => `/me?${vu} sid=${String(i + 1)}`);
    expect(shown.toSorted()).toEqual(expected.toSorted());
    expect(given.toSorted()).toEqual(['0', '0', '1', '1', '2', '2', '3', '3', '4', '4']);
  }
});

test('what a step says itself is sent instead of what the VU keeps under that name, and is not kept', async () => {
  const shop = await openShop();
  const steps = [
    '{ get: /login, redirects: 0 }',
    '{ get: /1, cookies: { sid: "own${iteration}", lang: "a;b" } }',
    '{ get: /2, headers: { Cookie: "lang=en" } }',
    '{ get: /3 }',
    '{ get: /logout }',
    '{ get: /4 }',
  ];
  await runScenario(fileOf(shop, '{}', `[${steps.join(', ')}]`, 'executor: shared-iterations'));
  expect(shop.seen).toEqual(['/login -', '/1 sid=own0; lang=a%3Bb', '/2 lang=en; sid=1', '/3 sid=1', '/logout sid=1', '/4 -']);
});

test('requests sent at once share the jar', async () => {
  const shop = await openShop();
  await runScenario(fileOf(shop, '{}', '[{ parallel: [{ get: /login, redirects: 0 }, { get: /x }] }, { parallel: [{ get: /a }, { get: /b }] }]', 'executor: shared-iterations')); // prettier-ignore
  expect(shop.seen.toSorted()).toEqual(['/a sid=1', '/b sid=1', '/login -', '/x -']);
});

test('clean-up still has the cookies of its iteration', async () => {
  const shop = await openShop();
  const flow = '[{ get: /login, redirects: 0 }], finally: [{ get: /logout }]';
  await runScenario(fileOf(shop, '{}', flow));
  expect(shop.seen).toEqual(['/login -', '/logout sid=1', '/login -', '/logout sid=2']);
});

describe('a function', () => {
  const moduleOf = ({ url }: Shop, http: string, flow: string): string =>
    `export default { target: '${url}', http: ${http}, scenarios: { a: { executor: 'per-vu-iterations', vus: 1, iterations: 2, flow: async (vu) => {
      ${flow}
    } } } };`;

  test('sends what was set, also through redirects, and every iteration begins without', async () => {
    const shop = await openShop();
    await runScenario(moduleOf(shop, '{}', `await vu.http.get('/login'); await vu.http.get('/me');`), {}, 'mjs');
    expect(shop.seen.slice(0, 4)).toEqual(FIRST);
    expect(shop.seen.slice(4)).toEqual(FIRST.map((line) => line.replace('sid=1', 'sid=2')));
  });

  test('reads, sets and forgets the cookies of its VU', async () => {
    const shop = await openShop();
    const flow = `
      await vu.http.get('/login', { redirects: 0 });
      const { sid, hop } = vu.cookies.get('/welcome/x');
      vu.check('reads what is sent there', sid === String(vu.iteration + 1) && hop === '1');
      vu.check('and not elsewhere', vu.cookies.get('/me').hop === undefined && !('sid' in vu.cookies.get('http://a.test/')));
      vu.cookies.set('/', 'lang', 'en', { path: '/me', expiresIn: '1m' });
      vu.cookies.set('/', 'n', 7);
      await vu.http.get('/me', { cookies: { n: 8 } });
      vu.cookies.set('/', 'n', 7, { expiresIn: 0 });
      await vu.http.get('/you');
      vu.cookies.clear();
      await vu.http.get('/me');
      const refused = (run) => { try { run(); return ''; } catch (error) { return error.message; } };
      vu.check('refuses what is none', [
        refused(() => vu.cookies.set('/', 'a b', 1)),
        refused(() => vu.cookies.set('/', 'a', 'x;y')),
        refused(() => vu.cookies.set('/', 'a', 1, { path: '/;secure' })),
        refused(() => vu.cookies.set('/', 'a', 1, { domain: 'bank.test' })),
        refused(() => vu.cookies.set('/', 'a', 1, { expiresIn: 'soon' })),
        refused(() => vu.cookies.get('ftp://a.test/')),
        refused(() => vu.http.get('/', { cookies: { a: 1 }, headers: { Cookie: 'b=2' } })),
      ].join('|') === [
        'cookie "a b": illegal name',
        'cookie "a": expected one line of latin-1 text without a semicolon, got "x;y"',
        'cookie "a": illegal path "/;secure"',
        'cookie "a": 127.0.0.1 may not set it for the domain "bank.test"',
        'expiresIn "soon": expected a duration such as "1s" or milliseconds',
        'cookies of "ftp://a.test/": expected a path or an http(s) URL',
        'the request has a cookie header already: give it or cookies',
      ].join('|'));`;
    const { checks } = await runScenario(moduleOf(shop, '{}', flow), {}, 'mjs');
    expect(shop.seen.slice(0, 4)).toEqual(['/login -', '/me n=8; lang=en; sid=1', '/you sid=1', '/me -']);
    expect(checks).toEqual({ 'reads what is sent there': [2, 0], 'and not elsewhere': [2, 0], 'refuses what is none': [2, 0] });
  });

  test('has none where they are off, and is told when it sets one', async () => {
    const shop = await openShop();
    const flow = `await vu.http.get('/login');
      vu.check('none', Object.keys(vu.cookies.get('/me')).length === 0);
      try { vu.cookies.set('/', 'a', 1); } catch (error) { vu.check(error.message, true); }`;
    const { checks } = await runScenario(moduleOf(shop, "{ cookies: 'off' }", flow), {}, 'mjs');
    expect(checks).toEqual({ none: [2, 0], 'cookie "a": http.cookies is off, so that VUs keep none': [2, 0] });
    expect(shop.seen[3]).toBe('/login -');
  });
});

test('setup and teardown have a jar each', async () => {
  const shop = await openShop();
  const folder = await mkdtemp(join(tmpdir(), 'muster-cookies-'));
  try {
    const file = join(folder, 'file.yaml');
    await writeFile(file, `setup: ${LOGIN_AND_LOOK}\nteardown: [{ get: /home }]\n${fileOf(shop, '{ cookies: per-vu }', '[{ get: / }]')}`);
    const { plan, workload } = await loadScenario(file, { env: {} });
    const context = {
      plan,
      workload,
      script: undefined,
      setup: new SetupResult(),
      storedFiles: { get: () => undefined },
      clock: systemClock,
      isAllowed: () => true,
    };
    for (const kind of ['setup', 'teardown'] as const)
      expect(await doChore(kind, 10_000, context, new AbortController().signal)).toEqual({ kind: 'done', json: '{}' });
    expect(shop.seen).toEqual([...FIRST, '/home -']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
