import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../shared/base/index.ts';
import { latencyUs, type Latency } from '../support/latency.ts';
import { TargetProcess } from '../support/target-process.ts';
import { Target, type TargetOptions } from '../support/target.ts';
import { waitUntil } from '../support/wait-until.ts';

const targets: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(targets.splice(0).map((target) => target.stop()));
});

describe('the programmable target', () => {
  test('counts every request by path, with its arrival instant and its service time', async () => {
    const target = await start({ behaviours: { '/slow': { latency: { kind: 'constant', us: 20_000 } } } });
    const beforeUs = systemClock.nowUs();
    await get(`${target.url}/slow?query=1`);
    await get(`${target.url}/slow`);
    await get(`${target.url}/`);
    const afterUs = systemClock.nowUs();

    const { total, counts, arrivals } = target.log();
    expect({ total, counts }).toEqual({ total: 3, counts: { '/slow': 2, '/': 1 } });
    const instants = arrivals.map(({ atUs }) => atUs);
    expect(instants).toEqual([...instants].sort((a, b) => a - b));
    expect(instants[0]).toBeGreaterThan(beforeUs);
    expect(instants[2]).toBeLessThan(afterUs);
    expect(arrivals[0]?.serviceUs).toBeGreaterThanOrEqual(20_000);
    expect(arrivals.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test('is never faster than its latency, for many requests at once', async () => {
    const target = await start({ behaviours: { '*': { latency: { kind: 'constant', us: 5_300 } } } });
    await Promise.all(Array.from({ length: 50 }, () => get(`${target.url}/x`)));
    const { arrivals } = target.log();
    expect(arrivals).toHaveLength(50);
    for (const { serviceUs } of arrivals) expect(serviceUs).toBeGreaterThanOrEqual(5_300);
  });

  test('draws its latencies from the seed, so a test can know them beforehand', async () => {
    const latency: Latency = { kind: 'exponential', seed: 7, meanUs: 3_000 };
    const target = await start({ behaviours: { '/drawn': { latency } } });
    for (let i = 0; i < 10; i++) await get(`${target.url}/drawn`);
    target.log().arrivals.forEach(({ serviceUs }, number) => {
      expect(serviceUs).toBeGreaterThanOrEqual(latencyUs(latency, number));
    });
  });

  test('answers nothing while it is frozen, and all that fell due at the end', async () => {
    const target = await start({ behaviours: { '*': {} } });
    await get(`${target.url}/before`);
    const fromUs = systemClock.nowUs();
    const toUs = fromUs + 120_000;
    target.freeze(fromUs, toUs);
    await Promise.all([get(`${target.url}/a`), get(`${target.url}/b`)]);
    for (const { atUs, serviceUs } of target.log().arrivals.slice(1)) expect(atUs + (serviceUs ?? 0)).toBeGreaterThanOrEqual(toUs);
    expect(target.log().arrivals[1]?.atUs).toBeLessThan(toUs);
  });

  test('fails every third request', async () => {
    const target = await start({ behaviours: { '/shaky': { failEvery: { nth: 3, status: 503 } } } });
    const statuses: number[] = [];
    for (let i = 0; i < 7; i++) statuses.push((await get(`${target.url}/shaky`)).status);
    expect(statuses).toEqual([200, 200, 503, 200, 200, 503, 200]);
  });

  test('sends the same body in every framing, whole or byte by byte', async () => {
    const body = JSON.stringify({ text: 'grüße, byte by byte' });
    for (const connections of ['serve', 'bytewise'] as const) {
      for (const framing of ['length', 'chunked', 'until-close'] as const) {
        const target = await start({ connections, behaviours: { '*': { body, framing } } });
        expect(await get(target.url)).toMatchObject({ status: 200, body });
      }
    }
  });

  test('keeps connections open between requests, also byte by byte', async () => {
    for (const connections of ['serve', 'bytewise'] as const) {
      const target = await start({ connections });
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let i = 0; i < 3; i++) await get(`${target.url}/products`, agent);
      agent.destroy();
      expect(target.log().connectionsOpened).toBe(1);
      expect(target.log().arrivals.map(({ connection }) => connection)).toEqual([0, 0, 0]);
    }
  });

  test.each([
    ['close', 'ECONNRESET', 'socket hang up'],
    ['reset', 'ECONNRESET', 'read ECONNRESET'],
    ['cut', 'ECONNRESET', 'aborted'],
  ] as const)('counts a request that it ends with %s', async (ending, code, message) => {
    const target = await start({ behaviours: { '/': { ending, body: 'never whole' } } });
    await expect(get(target.url)).rejects.toMatchObject({ code, message });
    expect(target.count('/')).toBe(1);
  });

  test('can be frozen by its own clock, counted from the first arrival', async () => {
    const target = await start({ behaviours: { '*': {} } });
    target.freezeAfterFirst(0, 80_000);
    await Promise.all([get(`${target.url}/a`), get(`${target.url}/b`)]);
    await get(`${target.url}/after`);
    const [first, second, third] = target.log().arrivals;
    const thawUs = (first?.atUs ?? NaN) + 80_000;
    expect((first?.atUs ?? NaN) + (first?.serviceUs ?? NaN)).toBeGreaterThanOrEqual(thawUs);
    expect((second?.atUs ?? NaN) + (second?.serviceUs ?? NaN)).toBeGreaterThanOrEqual(thawUs);
    expect(third?.serviceUs).toBeLessThan(80_000);
  });

  test('knows when its own event loop was late', async () => {
    const target = await start({});
    await waitUntil('the event loop has been watched', () => target.log().loopDelayMaxUs > 0);
    const fromUs = systemClock.nowUs();
    const untilMs = performance.now() + 60;
    while (performance.now() < untilMs);
    const toUs = systemClock.nowUs();
    await waitUntil('the stall has been noticed', () => target.log().loopDelayMaxUs > 50_000);
    const seen = target.log().stalls.filter((stall) => stall.fromUs <= fromUs && stall.toUs >= toUs);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.lateUs).toBeGreaterThan(50_000);
    target.reset();
    expect(target.log()).toMatchObject({ stalls: [], loopDelayMaxUs: 0 });
  });

  test('can stay silent after counting, and can refuse even to read', async () => {
    const silent = await start({ behaviours: { '/': { ending: 'never' } } });
    const deaf = await start({ connections: 'ignore' });
    const sockets = [silent, deaf].map((target) => connect(target.port, '127.0.0.1'));
    const answers: Buffer[] = [];
    for (const socket of sockets) socket.on('data', (chunk) => answers.push(chunk)).write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await waitUntil('the silent target counted the request', () => silent.count('/') === 1);
    await waitUntil('the deaf target accepted the connection', () => deaf.log().connectionsOpened === 1);
    // The deaf one had as long as the silent one needed, and one whole exchange more.
    await get((await start({})).url);
    expect({ deaf: deaf.log().total, answers }).toEqual({ deaf: 0, answers: [] });
    for (const socket of sockets) socket.destroy();
  });

  test('forgets on reset what it saw, not what it does', async () => {
    const target = await start({ behaviours: { '/': { status: 204 } } });
    await get(target.url);
    target.reset();
    const { total, counts, arrivals, connectionsOpened } = target.log();
    expect({ total, counts, arrivals, connectionsOpened }).toEqual({ total: 0, counts: {}, arrivals: [], connectionsOpened: 0 });
    expect((await get(target.url)).status).toBe(204);
  });

  test('is the sample shop where nothing else was said', async () => {
    const target = await start({});
    expect(await get(`${target.url}/`)).toMatchObject({ status: 200, body: 'hello' });
    expect(JSON.parse((await get(`${target.url}/products`)).body)).toMatchObject({
      items: [{ id: 1, name: expect.any(String) as string }, { id: 2 }, {}, {}, {}],
    });
    expect(JSON.parse((await get(`${target.url}/products/2`)).body)).toMatchObject({ id: 2 });
    expect((await get(`${target.url}/products/99`)).status).toBe(404);
    expect(await post(`${target.url}/cart`, '{"product":1}')).toMatchObject({ status: 201, body: '{"id":1}' });
    expect(await post(`${target.url}/cart`, '{"product":1}')).toMatchObject({ status: 201, body: '{"id":2}' });
    expect(await post(`${target.url}/cart`, 'no json')).toMatchObject({ status: 400 });
    expect(JSON.parse((await post(`${target.url}/login`, '{"user":"a"}')).body)).toEqual({ token: expect.any(String) as string });
  });
});

describe('the target in a process of its own', () => {
  test('does and tells the same over its own event loop', async () => {
    const target = await TargetProcess.start({ behaviours: { '/a': { status: 201 } } });
    targets.push(target);
    await target.behave('/b', { latency: { kind: 'constant', us: 2_000 } });
    expect((await get(`${target.url}/a`)).status).toBe(201);
    await get(`${target.url}/b`);
    const { total, counts, arrivals } = await target.log();
    expect({ total, counts }).toEqual({ total: 2, counts: { '/a': 1, '/b': 1 } });
    expect(arrivals[1]?.serviceUs).toBeGreaterThanOrEqual(2_000);
    await target.reset();
    expect((await target.log()).total).toBe(0);
  });
});

async function start(options: TargetOptions): Promise<Target> {
  const target = await Target.start(options);
  targets.push(target);
  return target;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function get(url: string, agent?: Agent): Promise<Answer> {
  return send('GET', url, '', agent);
}

function post(url: string, body: string): Promise<Answer> {
  return send('POST', url, body);
}

function send(method: string, url: string, body: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, agent: agent ?? false, headers: body === '' ? {} : { 'content-length': Buffer.byteLength(body) } });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.end(body);
  });
}
