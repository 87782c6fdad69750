import { afterEach, describe, expect, test } from 'vitest';
import type { Check, Reference, Step } from '../../shared/plan/index.ts';
import { FlowBench, requestStep } from '../support/flow-bench.ts';
import { RecordingServer, type ReceivedRequest } from '../support/recording-server.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: RecordingServer | undefined;
let bench: FlowBench | undefined;
afterEach(async () => {
  await bench?.close();
  await server?.stop();
  bench = server = undefined;
});

const STATUS_200: Check = { name: 'status is 200', subject: { kind: 'status' }, test: { op: '==', value: 200 } };
const captured = (name: string, as: Reference['as']): Reference => ({ source: 'capture', name, field: '', as });

describe('a VU that walks steps', () => {
  test('carries captures from JSON, headers and text into the URL, headers and body of later steps', async () => {
    const { actor } = await arranged(
      (url) => [
        requestStep('login', `${url}/login`, {
          captures: [
            { name: 'id', from: { kind: 'json', path: ['user', 'id'] } },
            { name: 'token', from: { kind: 'header', name: 'X-Token' } },
            { name: 'word', from: { kind: 'regex', pattern: '"word":"(\\w+)"', flags: '' } },
          ],
        }),
        requestStep('buy', [`${url}/buy/`, captured('word', 'url')], {
          method: 'POST',
          headers: [['authorization', ['Bearer ', captured('token', 'header')]]],
          body: ['{"id":', captured('id', 'json'), ',"note":"', captured('word', 'json-string'), '"}'],
        }),
      ],
      (request) => {
        if (request.url === '/login') request.answer(200, '{"user":{"id":42},"word":"hat"}', { 'x-token': 't-1' });
        else request.answer(201);
      },
    );
    expect(await bench?.iterate(actor)).toMatchObject({ vu: 0, isCompleted: true });
    const buy = server?.requests[1];
    expect([buy?.method, buy?.url, buy?.headers.authorization, buy?.body]).toEqual([
      'POST',
      '/buy/hat',
      'Bearer t-1',
      '{"id":42,"note":"hat"}',
    ]);
    expect(bench?.requests).toEqual([
      { name: 'login', status: '200', error: undefined, count: 1 },
      { name: 'buy', status: '201', error: undefined, count: 1 },
    ]);
    expect(server?.connections).toBe(1);
  });

  test('ends its iteration where a value was never captured, and forgets the captures of the iteration before', async () => {
    const { actor } = await arranged(
      (url) => [
        requestStep('find', `${url}/find`, { captures: [{ name: 'id', from: { kind: 'json', path: ['id'] } }] }),
        requestStep('show', [`${url}/show/`, captured('id', 'url')]),
      ],
      (request, number) => request.answer(200, number === 0 ? '{"id":1}' : '{}'),
    );
    expect(await bench?.iterate(actor)).toMatchObject({ isCompleted: true });
    expect(await bench?.iterate(actor, 1)).toMatchObject({ isCompleted: true });
    expect(server?.requests.map(({ url }) => url)).toEqual(['/find', '/show/1', '/find']);
    expect(bench?.requests).toEqual([
      { name: 'find', status: '200', error: undefined, count: 1 },
      { name: 'show', status: '200', error: undefined, count: 1 },
      { name: 'find', status: '200', error: 'capture', count: 1 },
    ]);
  });

  test('records a request that interpolation made unsendable, and goes on with the next step', async () => {
    const { actor } = await arranged(
      (url) => [
        requestStep('find', `${url}/find`, { captures: [{ name: 'next', from: { kind: 'json', path: ['next'] } }] }),
        requestStep('follow', [captured('next', 'url-text')]),
        requestStep('last', `${url}/last`),
      ],
      (request) => request.answer(200, '{"next":"no url at all"}'),
    );
    expect(await bench?.iterate(actor)).toMatchObject({ isCompleted: true });
    expect(bench?.requests).toEqual([
      { name: 'find', status: '200', error: undefined, count: 1 },
      { name: 'follow', status: '0', error: 'bad-url', count: 1 },
      { name: 'last', status: '200', error: undefined, count: 1 },
    ]);
  });

  test.each([
    { status: 200, checks: [], error: undefined },
    { status: 404, checks: [], error: 'status' },
    { status: 200, checks: [STATUS_200], error: undefined },
    { status: 201, checks: [STATUS_200], error: 'check' },
    { status: 503, checks: [STATUS_200], error: 'status' },
    { status: 404, checks: [{ ...STATUS_200, name: 'gone', test: { op: '==' as const, value: 404 } }], error: undefined },
  ])('a response with status $status under $checks.length checks is tagged error $error', async ({ status, checks, error }) => {
    const { actor } = await arranged(
      (url) => [requestStep('get', `${url}/`, { checks })],
      (request) => request.answer(status),
    );
    await bench?.iterate(actor);
    expect(bench?.requests).toEqual([{ name: 'get', status: String(status), error, count: 1 }]);
    expect(bench?.measured('http_req_failed').map(({ passes, fails }) => [passes, fails])).toEqual([error === undefined ? [0, 1] : [1, 0]]);
  });

  test('counts every check of a response, whichever fails first', async () => {
    const { actor } = await arranged(
      (url) => [
        requestStep('get', `${url}/`, {
          checks: [
            { name: 'has a price', subject: { kind: 'json', path: ['price'] }, test: { op: 'exists', wanted: true } },
            STATUS_200,
            { name: 'is small', subject: { kind: 'size' }, test: { op: '<', value: 100 } },
            { name: 'is text', subject: { kind: 'header', name: 'Content-Type' }, test: { op: 'contains', text: 'text/' } },
          ],
        }),
      ],
      (request, number) => request.answer(200, '{}', { 'content-type': number === 0 ? 'text/plain' : 'application/json' }),
    );
    await bench?.iterate(actor);
    await bench?.iterate(actor, 1);
    expect(bench?.requests).toEqual([{ name: 'get', status: '200', error: 'check', count: 2 }]);
    expect(bench?.checks).toEqual({
      'has a price': { passes: 0, fails: 2 },
      'status is 200': { passes: 2, fails: 0 },
      'is small': { passes: 2, fails: 0 },
      'is text': { passes: 1, fails: 1 },
    });
  });

  test('interrupted while it thinks, ends at once and never sends what came after', async () => {
    const { actor } = await arranged(
      (url) => [requestStep('first', `${url}/1`), { kind: 'think', minUs: 3_600e6, maxUs: 3_600e6 }, requestStep('second', `${url}/2`)],
      (request) => request.answer(200),
    );
    actor.start(0, 1, 1);
    await waitUntil('the first response was recorded', () => bench?.requests.length === 1);
    actor.interrupt();
    expect(bench?.ended).toMatchObject([{ isCompleted: false }]);
    expect(server?.requests).toHaveLength(1);
  });

  test('interrupted while it waits for a response, records the request as aborted and ends before interrupt returns', async () => {
    const { actor } = await arranged(
      (url) => [requestStep('slow', `${url}/`), requestStep('next', `${url}/`)],
      () => {},
    );
    actor.start(0, 1, 1);
    await waitUntil('the request arrived', () => server?.requests.length === 1);
    actor.interrupt();
    expect(bench?.ended).toMatchObject([{ isCompleted: false }]);
    expect(bench?.requests).toEqual([{ name: 'slow', status: '0', error: 'aborted', count: 1 }]);
  });

  test('counts the first response from the instant of the plan, later ones from when the flow reached them', async () => {
    const { actor } = await arranged(
      (url) => [requestStep('first', `${url}/1`), requestStep('second', `${url}/2`)],
      (request) => request.answer(200),
    );
    const minuteMs = 60_000;
    const ended = await bench?.iterate(actor, 0, minuteMs);
    const [first, second] = bench?.measured('http_req_response_time') ?? [];
    expect(first?.histogram.minUs).toBeGreaterThanOrEqual(minuteMs * 1000);
    expect(second?.histogram.maxUs).toBeLessThan(minuteMs * 1000);
    for (const { histogram } of bench?.measured('http_req_duration') ?? []) expect(histogram.maxUs).toBeLessThan(minuteMs * 1000);
    // Whoever seals intervals was told of every instant before it was recorded.
    expect(bench?.beforeSamples.at(-1)).toBe(ended?.endedUs);
    expect(bench?.beforeSamples).toEqual([...(bench?.beforeSamples ?? [])].sort((a, b) => a - b));
  });

  test('takes its row by iteration, so that VUs with different iterations have different rows', async () => {
    server = await RecordingServer.start((request) => request.answer(200));
    const row: Reference = { source: 'row', name: 'users', field: 'name', as: 'url' };
    const number = (source: 'vu' | 'iteration'): Reference => ({ source, name: '', field: '', as: 'text' });
    const url = [`${server.url}/`, row, '/', number('vu'), '/', number('iteration')];
    bench = await FlowBench.of(
      { kind: 'steps', steps: [requestStep('get', url)] },
      { rows: { users: { order: 'unique', columns: ['id', 'name'], rows: [['1', 'ann'], ['2', 'b c'], ['3', 'cy']] } } }, // prettier-ignore
    );
    await bench.iterate(bench.actor(7), 1);
    await bench.iterate(bench.actor(8), 5);
    expect(server.requests.map((request) => request.url)).toEqual(['/b%20c/7/1', '/cy/8/5']);
  });
});

async function arranged(steps: (url: string) => readonly Step[], answer: (request: ReceivedRequest, number: number) => void) {
  server = await RecordingServer.start(answer);
  bench = await FlowBench.of({ kind: 'steps', steps: steps(server.url) });
  return { actor: bench.actor() };
}
