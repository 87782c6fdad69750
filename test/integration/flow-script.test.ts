import { afterEach, describe, expect, test } from 'vitest';
import { HTTP_DEFAULTS, TLS_DEFAULTS, type Workload } from '../../shared/plan/index.ts';
import { FlowBench } from '../support/flow-bench.ts';
import { RecordingServer, type ReceivedRequest } from '../support/recording-server.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: RecordingServer | undefined;
let bench: FlowBench | undefined;
afterEach(async () => {
  await bench?.close();
  await server?.stop();
  bench = server = undefined;
});

describe('a VU that runs a function', () => {
  test('sends what the function asks for and hands it the responses', async () => {
    const { actor } = await arranged(
      `async (vu) => {
        const login = await vu.http.post('/login', { user: vu.row('users').name }, { headers: { 'X-Run': vu.env.RUN }, name: 'login' });
        vu.check('has a token', login.json('$.token') !== undefined);
        const page = await vu.http.get('/page/' + login.json('$.token') + '?vu=' + vu.id + '&n=' + vu.iteration);
        vu.check('says so', page.body === 'hello' && page.headers('X-Kind') === 'page' && page.status === 200);
        vu.check('is not JSON', page.json() === undefined);
      }`,
      (request) => {
        if (request.method === 'POST') request.answer(201, '{"token":"t1"}');
        else request.answer(200, 'hello', { 'x-kind': 'page' });
      },
      {
        env: { RUN: 'nightly' },
        rows: { users: { order: 'sequential', columns: ['name'], rows: [['ann'], ['bob']] } },
        defaults: { timeoutMs: 5_000, headers: [['Accept', 'application/json']] },
      },
    );
    expect(await bench?.iterate(actor, 3)).toMatchObject({ isCompleted: true });
    const [login, page] = server?.requests ?? [];
    expect([login?.body, login?.headers['content-type'], login?.headers['x-run'], login?.headers.accept]).toEqual([
      '{"user":"bob"}',
      'application/json',
      'nightly',
      'application/json',
    ]);
    expect(page?.url).toBe('/page/t1?vu=0&n=3');
    expect(bench?.requests).toEqual([
      { name: 'login', status: '201', error: undefined, count: 1 },
      { name: 'GET /page/t1', status: '200', error: undefined, count: 1 },
    ]);
    expect(Object.values(bench?.checks ?? {})).toEqual(Array.from({ length: 3 }, () => ({ passes: 1, fails: 0 })));
    expect(bench?.scriptErrors.count).toBe(0);
  });

  test('what the function throws is counted with its source line, and the VU goes on', async () => {
    const { actor } = await arranged(
      `async (vu) => {
        await vu.http.get('/');
        if (vu.iteration < 2) throw new RangeError('no stock in ' + vu.iteration);
      }`,
      (request) => request.answer(200),
    );
    for (let index = 0; index < 3; index++) expect(await bench?.iterate(actor, index)).toMatchObject({ isCompleted: true });
    expect(bench?.scriptErrors.count).toBe(2);
    expect(bench?.scriptErrors.first).toMatch(/^RangeError: no stock in 0 \(scenario\.mjs:4:\d+\)$/);
    expect(bench?.requests).toEqual([{ name: 'GET /', status: '200', error: undefined, count: 3 }]);
  });

  test('an iteration lasts until a request that nobody awaited is answered', async () => {
    const { actor } = await arranged(`async (vu) => { void vu.http.get('/slow'); await vu.http.get('/fast'); }`, (request) => {
      if (request.url === '/fast') request.answer(200);
    });
    actor.start(0, 1, 1);
    await waitUntil(
      'both requests arrived and the fast one was recorded',
      () => server?.requests.length === 2 && bench?.requests.length === 1,
    );
    expect(bench?.ended).toEqual([]);
    server?.requests.find(({ url }) => url === '/slow')?.answer(200);
    await bench?.untilEnded(1);
    expect(bench?.ended).toMatchObject([{ isCompleted: true }]);
    expect(bench?.requests.map(({ name, count }) => [name, count])).toEqual([
      ['GET /fast', 1],
      ['GET /slow', 1],
    ]);
  });

  test('what an iteration left running cannot send anything in a later one', async () => {
    const { actor } = await arranged(
      `(() => {
        let old;
        return async (vu) => {
          await vu.http.get('/own/' + vu.iteration);
          if (old !== undefined) await old.http.get('/stale').catch(() => undefined);
          old = vu;
        };
      })()`,
      (request) => request.answer(200),
    );
    await bench?.iterate(actor, 0);
    await bench?.iterate(actor, 1);
    expect(server?.requests.map(({ url }) => url)).toEqual(['/own/0', '/own/1']);
  });

  test('a pause that nobody awaited does no harm when it ends after its iteration', async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on('unhandledRejection', note);
    try {
      const { actor } = await arranged(
        `async (vu) => {
          if (vu.iteration === 0) void vu.sleep('5ms');
          else await vu.sleep('20ms');
        }`,
        (request) => request.answer(200),
      );
      await bench?.iterate(actor, 0);
      await bench?.iterate(actor, 1);
      expect(rejections).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  test('interrupted in a request, it records the request as aborted, ends once and goes no further', async () => {
    const { actor } = await arranged(`async (vu) => { await vu.http.get('/never'); await vu.http.get('/next'); }`, () => {});
    actor.start(0, 1, 1);
    await waitUntil('the request arrived', () => server?.requests.length === 1);
    actor.interrupt();
    expect(bench?.ended).toMatchObject([{ isCompleted: false }]);
    await waitUntil('the aborted request was recorded', () => bench?.requests.length === 1);
    expect(bench?.requests).toEqual([{ name: 'GET /never', status: '0', error: 'aborted', count: 1 }]);
    expect([server?.requests.length, bench?.ended.length, bench?.scriptErrors.count]).toEqual([1, 1, 0]);
  });

  test('interrupted in a pause, it ends at once, and the function does not go on', async () => {
    const { actor } = await arranged(
      `async (vu) => { await vu.http.get('/1'); await vu.sleep('1h'); await vu.http.get('/2'); }`,
      (request) => request.answer(200),
    );
    actor.start(0, 1, 1);
    await waitUntil('the first response was recorded', () => bench?.requests.length === 1);
    actor.interrupt();
    expect(bench?.ended).toMatchObject([{ isCompleted: false }]);
    // The same VU runs its next iteration to the end of its own pause, after the first one was woken.
    actor.start(1, 1, 1);
    await waitUntil('the second iteration was answered', () => bench?.requests[0]?.count === 2);
    actor.interrupt();
    expect(server?.requests.map(({ url }) => url)).toEqual(['/1', '/1']);
    expect([bench?.ended.length, bench?.scriptErrors.count]).toEqual([2, 0]);
  });

  test('time it paused before its first request is no response time', async () => {
    const { actor } = await arranged(`async (vu) => { await vu.sleep('1ms'); await vu.http.get('/'); }`, (request) => request.answer(200));
    const minuteMs = 60_000;
    await bench?.iterate(actor, 0, minuteMs);
    expect(bench?.measured('http_req_response_time')[0]?.histogram.maxUs).toBeLessThan(minuteMs * 1000);
  });

  test('the first request counts from the instant of the plan, later ones from when they were asked for', async () => {
    const { actor } = await arranged(`async (vu) => { await vu.http.get('/1'); await vu.http.get('/2'); }`, (request) =>
      request.answer(200),
    );
    const minuteMs = 60_000;
    await bench?.iterate(actor, 0, minuteMs);
    const [first, second] = bench?.measured('http_req_response_time') ?? [];
    expect(first?.histogram.minUs).toBeGreaterThanOrEqual(minuteMs * 1000);
    expect(second?.histogram.maxUs).toBeLessThan(minuteMs * 1000);
  });

  test.each([
    ['a URL that is none', `vu.http.get('no url')`],
    ['a header with a line break', `vu.http.get('/', { headers: { a: 'b\\r\\nc: d' } })`],
  ])('%s is recorded and the function sees the error', async (_, call) => {
    const { actor } = await arranged(`async (vu) => { const r = await ${call}; vu.check('error is ' + r.error, true); }`, (request) =>
      request.answer(200),
    );
    await bench?.iterate(actor);
    expect(bench?.requests).toMatchObject([{ status: '0', error: 'bad-url', count: 1 }]);
    expect(bench?.checks).toEqual({ 'error is bad-url': { passes: 1, fails: 0 } });
    expect(server?.requests).toEqual([]);
  });

  test('requests side by side each have a connection, which are used again', async () => {
    const { actor } = await arranged(
      `async (vu) => { await Promise.all([vu.http.get('/a'), vu.http.get('/b'), vu.http.get('/c')]); }`,
      (request) => request.answer(200),
    );
    await bench?.iterate(actor, 0);
    await bench?.iterate(actor, 1);
    expect([server?.requests.length, server?.connections]).toEqual([6, 3]);
  });

  test('clean-up runs after an iteration that threw, under its own tag, and the throw is counted', async () => {
    const { actor } = await arranged(
      `async (vu) => { await vu.http.get('/work'); throw new Error('half way'); }`,
      (request) => request.answer(200),
      {},
      {
        code: `async (vu) => { await vu.http.delete('/made/' + vu.iteration, undefined, { name: 'clean up' }); }`,
      },
    );
    expect(await bench?.iterate(actor, 7)).toMatchObject({ isCompleted: true });
    expect(server?.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /work', 'DELETE /made/7']);
    expect(bench?.measured('http_reqs').map(({ tags }) => [tags['name'], tags['phase']])).toEqual([
      ['GET /work', undefined],
      ['clean up', 'finally'],
    ]);
    expect(bench?.scriptErrors.count).toBe(1);
  });

  test('clean-up runs after an interruption, and the iteration ends as interrupted only when it is done', async () => {
    const { actor } = await arranged(
      `async (vu) => { await vu.http.get('/never'); }`,
      (request) => {
        if (request.url === '/clean') request.answer(200);
      },
      {},
      { code: `async (vu) => { await vu.http.get('/clean'); }` },
    );
    actor.start(0, 1, 1);
    await waitUntil('the request arrived', () => server?.requests.length === 1);
    actor.interrupt();
    expect(bench?.ended).toEqual([]);
    actor.interrupt();
    await bench?.untilEnded(1);
    expect(bench?.ended).toMatchObject([{ isCompleted: false }]);
    expect(server?.requests.map(({ url }) => url)).toEqual(['/never', '/clean']);
  });

  test('clean-up that does not end is given up at its limit', async () => {
    const { actor } = await arranged(
      `async () => {}`,
      () => {},
      {},
      { code: `async (vu) => { await vu.http.get('/stuck'); }`, limitUs: 50_000 },
    );
    await bench?.iterate(actor, 0);
    await waitUntil('the aborted request was recorded', () => bench?.requests.length === 1);
    expect(bench?.requests).toMatchObject([{ name: 'GET /stuck', error: 'aborted' }]);
  });

  test('transactions and groups are measured as a whole, those that threw apart', async () => {
    const { actor } = await arranged(
      `async (vu) => {
        const given = await vu.transaction('buy', async () => vu.group('pay', () => 7));
        vu.check('gives back what ran inside', given === 7);
        await vu.transaction('buy', () => { throw new Error('declined'); }).catch(() => undefined);
      }`,
      () => {},
    );
    await bench?.iterate(actor);
    expect(bench?.measured('transaction_duration').map(({ tags, histogram }) => [tags, histogram.count])).toEqual([
      [{ scenario: 'browse', name: 'buy' }, 1],
      [{ scenario: 'browse', name: 'buy', error: 'thrown' }, 1],
    ]);
    expect(bench?.measured('group_duration').map(({ tags }) => tags)).toEqual([{ scenario: 'browse', group: 'pay' }]);
    expect([bench?.checks['gives back what ran inside']?.passes, bench?.scriptErrors.count]).toEqual([1, 0]);
  });

  test('a poll goes on until its probe gives something, a retry until nothing is thrown', async () => {
    const { actor } = await arranged(
      `async (vu) => {
        let asked = 0;
        const state = await vu.poll('active', async () => (++asked < 3 ? undefined : 'ACTIVE'), { every: '1ms' });
        vu.check('polled', state === 'ACTIVE' && asked === 3);
        let tried = 0;
        const tries = await vu.retry(3, () => { if (++tried < 3) throw new Error('busy'); return tried; });
        vu.check('retried', tries === 3);
        await vu.poll('never', async () => false, { every: '1ms', limit: '5ms' }).catch((error) => vu.check(error.message, true));
        await vu.retry(2, () => { throw new Error('still busy'); });
      }`,
      () => {},
    );
    await bench?.iterate(actor);
    expect(Object.keys(bench?.checks ?? {})).toEqual(['polled', 'retried', 'poll "never": nothing within 0.005 s']);
    expect(Object.values(bench?.checks ?? {}).every(({ fails }) => fails === 0)).toBe(true);
    expect(bench?.scriptErrors.first).toContain('Error: still busy (scenario.mjs:');
    expect(bench?.measured('transaction_duration').map(({ tags }) => [tags['name'], tags['error']])).toEqual([
      ['active', undefined],
      ['never', 'thrown'],
    ]);
  });

  test('functions may be taken off their objects', async () => {
    const { actor } = await arranged(
      `async ({ http: { get }, check, sleep, random, row }) => {
        await sleep(1);
        const response = await get('/' + row('users').name);
        check('answered', response.status === 200 && random() < 1);
      }`,
      (request) => request.answer(200),
      { rows: { users: { order: 'sequential', columns: ['name'], rows: [['ann']] } } },
    );
    await bench?.iterate(actor);
    expect(server?.requests.map(({ url }) => url)).toEqual(['/ann']);
    expect(bench?.checks).toEqual({ answered: { passes: 1, fails: 0 } });
  });

  test('a body is parsed once, and what is no path is refused', async () => {
    const { actor } = await arranged(
      `async (vu) => {
        const response = await vu.http.get('/');
        vu.check('one document', response.json() === response.json() && response.json('$.of') === response.json().of);
        vu.check('its value', response.json('$.of[-1]') === 2);
        response.json('of');
      }`,
      (request) => request.answer(200, '{"of":[1,2]}'),
    );
    await bench?.iterate(actor);
    expect(Object.values(bench?.checks ?? {})).toEqual(Array.from({ length: 2 }, () => ({ passes: 1, fails: 0 })));
    expect(bench?.scriptErrors.first).toContain('TypeError: json("of"): expected a path such as $.items[0].id (scenario.mjs:');
  });

  test('one that only asks for what cannot be sent leaves the loop to others', async () => {
    const { actor } = await arranged(`async (vu) => { for (;;) await vu.http.get('http://a b/'); }`, () => {});
    actor.start(0, 1, 1);
    await waitUntil('some were recorded', () => (bench?.requests[0]?.count ?? 0) > 2);
    actor.interrupt();
    expect(bench?.requests).toMatchObject([{ name: 'GET http://a b/', status: '0', error: 'bad-url' }]);
    expect(bench?.ended).toMatchObject([{ isCompleted: false }]);
  });

  test('what follows requests that nobody awaited belongs to the iteration: further ones, and what is measured around them', async () => {
    const { actor } = await arranged(
      `async (vu) => {
        void vu.http.get('/1').then(() => vu.http.get('/2')).then(() => vu.http.get('/3'));
        void vu.transaction('outer', () => vu.group('inner', async () => { await vu.http.get('/4'); }));
      }`,
      (request) => request.answer(200),
    );
    await bench?.iterate(actor);
    expect(server?.requests.map(({ url }) => url).toSorted()).toEqual(['/1', '/2', '/3', '/4']);
    expect(bench?.requests.map(({ count }) => count)).toEqual([1, 1, 1, 1]);
    expect([bench?.measured('transaction_duration').length, bench?.measured('group_duration').length]).toEqual([1, 1]);
  });

  test('one whose connection cannot even be tried is counted as throwing, and the VU goes on', async () => {
    const { actor } = await arranged(`async (vu) => { await vu.http.get('https://127.0.0.1:1/'); }`, () => {}, {
      http: { ...HTTP_DEFAULTS, tls: { ...TLS_DEFAULTS, cert: 'no certificate' } },
    });
    for (let index = 0; index < 2; index++) expect(await bench?.iterate(actor, index)).toMatchObject({ isCompleted: true });
    expect(bench?.scriptErrors.count).toBe(2);
  });

  test('interrupted by what the agent does when its answer has come, it goes no further', async () => {
    const { actor } = await arranged(
      `async (vu) => { const { status } = await vu.http.get('/'); vu.check('went on', status === 200); }`,
      (request) => request.answer(200),
    );
    const interrupt = (): void => {
      actor.interrupt();
    };
    if (bench !== undefined) bench.afterResponse = interrupt;
    expect(await bench?.iterate(actor)).toMatchObject({ isCompleted: false });
    await server?.stop();
    expect([bench?.checks, bench?.ended.length, bench?.scriptErrors.count]).toEqual([{}, 1, 0]);
  });

  test('goes on under its own mark, whatever the agent did when its answer had come', async () => {
    const { actor } = await arranged(`async (vu) => { await vu.http.get('/', { name: 'look' }); vu.check(globalThis[Symbol.for('muster.running')].after, true); }`, (request) => request.answer(200)); // prettier-ignore
    const other = bench?.actor(1);
    let isFirst = true;
    const fireAnother = (): void => {
      if (isFirst) other?.start(1, 1, 1);
      isFirst = false;
    };
    if (bench !== undefined) bench.afterResponse = fireAnother;
    await bench?.iterate(actor);
    expect(Object.keys(bench?.checks ?? {})).toContain('look');
    await bench?.untilEnded(2);
    expect(bench?.checks).toEqual({ look: { passes: 2, fails: 0 } });
  });

  test('draws are equal for equal iterations and differ between iterations', async () => {
    const { actor } = await arranged(`async (vu) => { vu.check([vu.random(), vu.random()].join(), true); }`, () => {});
    for (const index of [1, 2, 1]) await bench?.iterate(actor, index);
    const draws = Object.entries(bench?.checks ?? {});
    expect(draws.map(([, { passes }]) => passes)).toEqual([2, 1]);
    expect(new Set(draws.flatMap(([name]) => name.split(','))).size).toBe(4);
  });

  test('all rows of a data set are there, and none can be changed', async () => {
    const { actor } = await arranged(
      `async (vu) => {
        const rows = vu.data('users');
        vu.check(rows.map(({ name }) => name).join(), Object.isFrozen(rows) && Object.isFrozen(rows[0]) && vu.data('users') === rows);
      }`,
      () => {},
      { rows: { users: { order: 'sequential', columns: ['name'], rows: [['ann'], ['bob']] } } },
    );
    await bench?.iterate(actor);
    expect(bench?.checks).toEqual({ 'ann,bob': { passes: 1, fails: 0 } });
  });

  test('code that throws while it is loaded is refused with what it threw', async () => {
    const loading = FlowBench.of({ kind: 'script', scenario: 'browse' }, { script: `throw new Error('no configuration');` });
    await expect(loading).rejects.toMatchObject({ code: 'SCRIPT_THREW', message: expect.stringContaining('no configuration') as string });
  });
});

/** `cleanUp`: the scenario's `finally`. */
async function arranged(
  flow: string,
  answer: (request: ReceivedRequest) => void,
  parts: Partial<Workload> = {},
  cleanUp?: { readonly code: string; readonly limitUs?: number },
) {
  server = await RecordingServer.start(answer);
  const script = `export default { scenarios: { browse: {\nflow: ${flow}${cleanUp === undefined ? '' : `, finally: ${cleanUp.code}`} } } };\n`;
  const limit = cleanUp === undefined ? {} : { finallyLimitUs: cleanUp.limitUs ?? 10_000_000 };
  bench = await FlowBench.of({ kind: 'script', scenario: 'browse', ...limit }, { target: server.url, script, ...parts });
  return { actor: bench.actor() };
}
