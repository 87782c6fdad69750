import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import {
  buildHead,
  createHttpContext,
  fieldsOf,
  newExchange,
  type Exchange,
  type HttpClient,
  type HttpContext,
} from '../../agent/protocol/index.ts';
import { BODY_BYTES_MAX, HEAD_BYTES_MAX, systemClock } from '../../shared/base/index.ts';
import { freePort } from '../support/free-port.ts';
import { startRawServer, type RawServer } from '../support/raw-server.ts';
import { waitUntil } from '../support/wait-until.ts';

const RESPONSE = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';
const CLOSING = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi';
const CERTIFICATE = readFileSync(new URL('../support/tls/localhost.cert.pem', import.meta.url), 'utf8');
const KEY = readFileSync(new URL('../support/tls/localhost.key.pem', import.meta.url), 'utf8');

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(...args: Parameters<typeof startRawServer>): Promise<RawServer> {
  const server = await startRawServer(...args);
  closers.push(() => server.close());
  return server;
}

function createContext(options: Partial<Parameters<typeof createHttpContext>[0]> = {}): HttpContext {
  const context = createHttpContext({
    clock: systemClock,
    bodyBytesMax: BODY_BYTES_MAX,
    headBytesMax: HEAD_BYTES_MAX,
    isAllowed: () => true,
    tls: {},
    ...options,
  });
  closers.push(() => context.close());
  return context;
}

function createClient(context: HttpContext): HttpClient {
  const client = context.createClient();
  closers.push(() => {
    client.close();
  });
  return client;
}

interface Request extends Partial<Pick<Exchange, 'timeoutMs' | 'keepHeaders' | 'keepBody' | 'body'>> {
  readonly method?: string;
}

function request(context: HttpContext, url: string, { method = 'GET', ...rest }: Request = {}): Exchange {
  const target = context.parseUrl(url);
  const head = target && buildHead(method, target.path, target.origin, [], rest.body?.length);
  if (target === undefined || head === undefined) throw new Error(`cannot request ${url}`);
  return { ...newExchange(), timeoutMs: 5000, keepBody: true, origin: target.origin, head, isHead: method === 'HEAD', ...rest };
}

/** Resolves when the callback was called; a second call, or one within `send`, makes it reject. */
function send(client: HttpClient, exchange: Exchange): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    let isWithinSend = true;
    let calls = 0;
    client.send(exchange, (done) => {
      if (isWithinSend) reject(new Error('called back within send'));
      if (++calls > 1) throw new Error('called back twice');
      resolve(done);
    });
    isWithinSend = false;
  });
}

/** One request to a fresh client. */
async function ask(server: RawServer, asked: Request = {}): Promise<Exchange> {
  const context = createContext();
  return send(createClient(context), request(context, `http://127.0.0.1:${String(server.port)}/`, asked));
}

function bodyOf(exchange: Exchange): string | undefined {
  return exchange.responseBody?.toString('latin1');
}

/** Writes byte by byte, each in its own turn of the loop. */
function dribble(socket: Socket, text: string): void {
  if (text === '' || socket.destroyed) return;
  socket.write(text.slice(0, 1), 'latin1', () => setImmediate(dribble, socket, text.slice(1)));
}

describe('a request', () => {
  test('is answered, with its instants in order and every byte counted', async () => {
    const server = await serve((socket) => socket.write(RESPONSE));
    const context = createContext();
    const exchange = request(context, `http://127.0.0.1:${String(server.port)}/a?b`, { keepHeaders: true });
    await send(createClient(context), exchange);
    expect(exchange).toMatchObject({ status: 200, error: undefined, bodyBytes: 2, tlsUs: 0 });
    expect(fieldsOf(exchange.responseHead)).toEqual(['content-length', '2']);
    expect(bodyOf(exchange)).toBe('hi');
    expect(server.received).toBe(`GET /a?b HTTP/1.1\r\nhost: 127.0.0.1:${String(server.port)}\r\n\r\n`);
    expect(exchange.bytesSent).toBe(server.received.length);
    expect(exchange.bytesReceived).toBe(RESPONSE.length);
    const { startedUs, sentUs, firstByteUs, endedUs, connectingUs } = exchange;
    expect([startedUs, sentUs, firstByteUs, endedUs]).toEqual([startedUs, sentUs, firstByteUs, endedUs].toSorted((a, b) => a - b));
    expect(connectingUs).toBeGreaterThan(0);
    expect(connectingUs).toBeLessThanOrEqual(sentUs - startedUs);
    expect([context.bytesSent, context.bytesReceived]).toEqual([exchange.bytesSent, exchange.bytesReceived]);
  });

  test('keeps neither headers nor body when not asked to', async () => {
    const server = await serve((socket) => socket.write(RESPONSE));
    expect(await ask(server, { keepBody: false })).toMatchObject({ status: 200, responseHead: '', responseBody: undefined, bodyBytes: 2 });
  });

  test('with a body is sent whole, short or long', async () => {
    for (const length of [0, 10, 20_000, 3_000_000]) {
      const server = await serve((socket) => {
        if (server.received.endsWith('!')) socket.write(RESPONSE);
      });
      const body = Buffer.from(`${'x'.repeat(length)}!`);
      const exchange = await ask(server, { method: 'POST', body });
      expect(exchange).toMatchObject({ status: 200, bytesSent: server.received.length });
      expect(server.received.endsWith(`\r\ncontent-length: ${String(length + 1)}\r\n\r\n${body.toString()}`)).toBe(true);
    }
  });

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', 200],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n', 304],
  ])('%s answered by %j has no body and keeps its connection', async (method, response, status) => {
    const server = await serve((socket) => socket.write(response));
    const context = createContext();
    const client = createClient(context);
    const exchange = request(context, `http://127.0.0.1:${String(server.port)}/`, { method });
    expect(await send(client, exchange)).toMatchObject({ status, error: undefined, bodyBytes: 0 });
    expect(await send(client, exchange)).toMatchObject({ status, error: undefined, connectingUs: 0 });
    expect(server.accepted).toBe(1);
  });

  test('skips informational responses', async () => {
    const server = await serve((socket) => socket.write(`HTTP/1.1 103 Early\r\nlink: a\r\n\r\n${RESPONSE}`));
    expect(bodyOf(await ask(server))).toBe('hi');
  });

  test('reads a response that comes byte by byte', async () => {
    const text = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n2;a=b\r\nhi\r\n0\r\nz: 1\r\n\r\n';
    const server = await serve((socket) => {
      dribble(socket, text);
    });
    const exchange = await ask(server, { keepHeaders: true });
    expect(exchange).toMatchObject({ status: 200, bytesReceived: text.length });
    expect(fieldsOf(exchange.responseHead)).toEqual(['transfer-encoding', 'chunked', 'x', 'y']);
    expect(bodyOf(exchange)).toBe('hi');
    expect(exchange.endedUs).toBeGreaterThan(exchange.firstByteUs);
  });

  test('reads a body of megabytes', async () => {
    const body = 'abcdefgh'.repeat(500_000);
    const server = await serve((socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${String(body.length)}\r\n\r\n${body}`));
    const exchange = await ask(server);
    expect(exchange.bodyBytes).toBe(body.length);
    expect(bodyOf(exchange) === body).toBe(true);
  });

  test('reads a body until the server closes', async () => {
    const server = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nhi'));
    const exchange = await ask(server);
    expect(exchange).toMatchObject({ status: 200, error: undefined });
    expect(bodyOf(exchange)).toBe('hi');
  });

  test('goes to a name and to an IPv6 address', async () => {
    const server = await serve((socket) => socket.write(RESPONSE));
    const six = await serve((socket) => socket.write(RESPONSE), undefined, '::1');
    const context = createContext();
    const client = createClient(context);
    expect(await send(client, request(context, `http://localhost:${String(server.port)}/`))).toMatchObject({ status: 200 });
    expect(await send(client, request(context, `http://[::1]:${String(six.port)}/`))).toMatchObject({ status: 200 });
    expect(six.received).toContain(`host: [::1]:${String(six.port)}\r\n`);
  });
});

describe('a connection', () => {
  /** Sends two requests one after the other, the second when `isReady`. */
  async function askTwice(server: RawServer, isReady: (context: HttpContext) => boolean = () => true): Promise<Exchange[]> {
    const context = createContext();
    const client = createClient(context);
    const url = `http://127.0.0.1:${String(server.port)}/`;
    const first = await send(client, request(context, url));
    await waitUntil('the second request may go', () => isReady(context));
    return [first, await send(client, request(context, url))];
  }

  test('is used again, and then takes no time to connect', async () => {
    const server = await serve((socket) => socket.write(RESPONSE));
    const [, second] = await askTwice(server);
    expect(server.accepted).toBe(1);
    expect(second).toMatchObject({ status: 200, connectingUs: 0 });
    expect(second?.sentUs).toBe(second?.startedUs);
  });

  test.each([
    ['the response says close', CLOSING],
    ['the version is HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi'],
    ['it would expire within a second', 'HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nhi'],
    ['more bytes came than belong to the response', `${RESPONSE}HTTP/1.1 200 OK\r\n`],
    ['a whole second response came', RESPONSE + RESPONSE],
    ['length and chunks were both given', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
  ])('is not used again when %s', async (_, response) => {
    const server = await serve((socket) => socket.write(response));
    const exchanges = await askTwice(server);
    expect(exchanges.map(({ status, error }) => ({ status, error }))).toEqual([
      { status: 200, error: undefined },
      { status: 200, error: undefined },
    ]);
    expect(exchanges.map(bodyOf)).toEqual(['hi', 'hi']);
    expect(server.accepted).toBe(2);
  });

  test('is used again within the time announced', async () => {
    const server = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\nkeep-alive: timeout=60\r\ncontent-length: 2\r\n\r\nhi'));
    await askTwice(server);
    expect(server.accepted).toBe(1);
  });

  test('closed by the server while idle is replaced without an error', async () => {
    const server = await serve((socket) => socket.end(RESPONSE));
    const [, second] = await askTwice(server, (context) => context.openSockets === 0);
    expect(second).toMatchObject({ status: 200, error: undefined });
    expect(server.accepted).toBe(2);
  });

  test('reset by the server while idle is replaced without an error', async () => {
    const server = await serve((socket) => socket.write(RESPONSE, () => setImmediate(() => socket.resetAndDestroy())));
    const [first, second] = await askTwice(server, (context) => context.openSockets === 0);
    expect([first?.error, second?.error]).toEqual([undefined, undefined]);
    expect(server.accepted).toBe(2);
  });

  test('on which the server speaks unasked is closed', async () => {
    const server = await serve((socket) => socket.write(RESPONSE, () => setImmediate(() => socket.write('HTTP/1.1 408 Too Slow\r\n\r\n'))));
    const [, second] = await askTwice(server, (context) => context.openSockets === 0);
    expect(second).toMatchObject({ status: 200, error: undefined });
    expect(server.accepted).toBe(2);
  });

  test('whose response overtook the request body is not used again', async () => {
    const server = await serve((socket) => {
      socket.pause();
      if (socket.bytesWritten === 0) socket.write(RESPONSE);
    });
    const context = createContext();
    const client = createClient(context);
    const body = Buffer.alloc(32 * 1024 * 1024);
    const url = `http://127.0.0.1:${String(server.port)}/`;
    const first = await send(client, request(context, url, { method: 'POST', body }));
    expect(first).toMatchObject({ status: 200, error: undefined });
    expect(first.bytesSent).toBeLessThan(body.length);
    expect(await send(client, request(context, url))).toMatchObject({ status: 200, error: undefined });
    expect(server.accepted).toBe(2);
  });

  test('is kept per origin', async () => {
    const [a, b] = [await serve((socket) => socket.write(RESPONSE)), await serve((socket) => socket.write(RESPONSE))];
    const context = createContext();
    const client = createClient(context);
    for (let i = 0; i < 3; i++) {
      for (const { port } of [a, b]) await send(client, request(context, `http://127.0.0.1:${String(port)}/`));
    }
    expect([a.accepted, b.accepted]).toEqual([1, 1]);
  });

  test('belongs to one of at most 32 origins of a VU', async () => {
    const servers = await Promise.all(Array.from({ length: 34 }, () => serve((socket) => socket.write(RESPONSE))));
    const context = createContext();
    const client = createClient(context);
    for (const { port } of servers) await send(client, request(context, `http://127.0.0.1:${String(port)}/`));
    await waitUntil('the oldest are closed', () => context.openSockets === 32);
    expect(servers.map(({ sockets }) => sockets.size).slice(2)).toEqual(Array.from({ length: 32 }, () => 1));
  });

  test('shares its read buffer with others and still reads only its own bytes', async () => {
    const server = await serve((socket, text) => {
      const id = /GET \/(\S+)/.exec(text)?.[1] ?? '';
      const body = `${id}:`.repeat(2000);
      socket.write(`HTTP/1.1 200 OK\r\nx: ${id}\r\ncontent-length: ${String(body.length)}\r\n\r\n`);
      socket.write(body);
    });
    const context = createContext();
    const each = async (vu: number): Promise<void> => {
      const client = createClient(context);
      for (let i = 0; i < 20; i++) {
        const id = `${String(vu)}-${String(i)}`;
        const exchange = await send(client, request(context, `http://127.0.0.1:${String(server.port)}/${id}`, { keepHeaders: true }));
        expect(fieldsOf(exchange.responseHead).slice(0, 2)).toEqual(['x', id]);
        expect(bodyOf(exchange) === `${id}:`.repeat(2000)).toBe(true);
      }
    };
    await Promise.all(Array.from({ length: 50 }, (_, vu) => each(vu)));
    expect(server.accepted).toBe(50);
    expect(context.openSockets).toBe(50);
  });
});

describe('a request that fails', () => {
  test.each([
    ['before any byte', ''],
    ['within the head', 'HTTP/1.1 200 OK\r\ncontent'],
    ['within the body', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi'],
    ['within a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhi'],
  ])('for a close %s ends as connect-reset and is not tried again', async (_, text) => {
    const server = await serve((socket) => socket.end(text));
    expect(await ask(server)).toMatchObject({ error: 'connect-reset', bytesReceived: text.length, responseBody: undefined });
    expect(server.accepted).toBe(1);
    expect(server.received.split('GET').length).toBe(2);
  });

  test('for a reset ends as connect-reset, keeping the status that had come', async () => {
    const server = await serve((socket) => {
      socket.write('HTTP/1.1 500 Oh\r\ncontent-length: 5\r\n\r\nhi', () => setImmediate(() => socket.resetAndDestroy()));
    });
    expect(await ask(server)).toMatchObject({ error: 'connect-reset', status: 500, bodyBytes: 2 });
  });

  test('for want of an answer ends as timeout, not early and hardly late, and its connection goes', async () => {
    const server = await serve(() => undefined);
    const context = createContext();
    const client = createClient(context);
    const exchange = await send(client, request(context, `http://127.0.0.1:${String(server.port)}/`, { timeoutMs: 60 }));
    expect(exchange).toMatchObject({ error: 'timeout', status: 0, firstByteUs: 0 });
    expect(exchange.bytesSent).toBe(exchange.head.length);
    expect(exchange.endedUs - exchange.startedUs).toBeGreaterThanOrEqual(60_000);
    expect(exchange.endedUs - exchange.startedUs).toBeLessThan(250_000);
    await waitUntil('the connection is closed', () => context.openSockets === 0 && server.sockets.size === 0);
  });

  test('takes its deadline along: the next request on the connection has only its own', async () => {
    const held: Socket[] = [];
    const server = await serve((socket, text) => {
      if (text.startsWith('GET /held')) held.push(socket);
      else if (text.startsWith('GET /quick')) socket.write(RESPONSE);
    });
    const context = createContext();
    const url = `http://127.0.0.1:${String(server.port)}`;
    const [client, other] = [createClient(context), createClient(context)];
    await send(client, request(context, `${url}/quick`, { timeoutMs: 50 }));
    const answered = send(client, request(context, `${url}/held`));
    expect(await send(other, request(context, `${url}/never`, { timeoutMs: 120 }))).toMatchObject({ error: 'timeout' });
    for (const socket of held) socket.write(RESPONSE);
    expect(await answered).toMatchObject({ status: 200, error: undefined, connectingUs: 0 });
  });

  test('for a body that never ends is timed out although bytes keep coming', async () => {
    const server = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      dribble(socket, 'x'.repeat(1_000_000));
    });
    expect(await ask(server, { timeoutMs: 50 })).toMatchObject({ error: 'timeout', status: 200 });
  });

  test('leaves its client fit for the next one', async () => {
    const server = await serve((socket, _, connection) => {
      if (connection > 1) socket.write(RESPONSE);
    });
    const context = createContext();
    const client = createClient(context);
    const exchange = request(context, `http://127.0.0.1:${String(server.port)}/`, { timeoutMs: 30 });
    expect(await send(client, exchange)).toMatchObject({ error: 'timeout' });
    exchange.timeoutMs = 5000;
    expect(await send(client, exchange)).toMatchObject({ error: undefined, status: 200 });
  });

  test('for want of a listener ends as connect-refused', async () => {
    const context = createContext();
    const client = createClient(context);
    const port = await freePort();
    for (const host of ['127.0.0.1', 'localhost']) {
      const exchange = await send(client, request(context, `http://${host}:${String(port)}/`));
      expect(exchange).toMatchObject({ error: 'connect-refused', sentUs: 0, bytesSent: 0, status: 0 });
    }
  });

  test('for a name that does not exist ends as dns', async () => {
    const context = createContext();
    expect(await send(createClient(context), request(context, 'http://no-such-host.invalid/'))).toMatchObject({ error: 'dns' });
  });

  test.each([
    ['an illegal response', 'HTTP/1.1 200 OK\ncontent-length: 2\r\n\r\nhi'],
    ['a switch of protocols', 'HTTP/1.1 101 Switching\r\n\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(70)}`],
  ])('for %s ends as protocol, and its connection goes', async (_, text) => {
    const server = await serve((socket) => socket.write(text));
    expect(await ask(server)).toMatchObject({ error: 'protocol', status: 0 });
    await waitUntil('the connection is closed', () => server.sockets.size === 0);
  });

  test('for a kept body beyond the limit ends as body-too-large; one only counted does not', async () => {
    const server = await serve((socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n${'x'.repeat(2000)}`));
    const context = createContext({ bodyBytesMax: 1999 });
    const client = createClient(context);
    const url = `http://127.0.0.1:${String(server.port)}/`;
    expect(await send(client, request(context, url))).toMatchObject({ error: 'body-too-large', status: 200 });
    expect(await send(client, request(context, url, { keepBody: false }))).toMatchObject({ error: undefined, bodyBytes: 2000 });
  });

  test('for the allow-list never opens a connection', async () => {
    const server = await serve((socket) => socket.write(RESPONSE));
    const context = createContext({ isAllowed: (host, port) => host === '127.0.0.1' && port !== server.port });
    const exchange = await send(createClient(context), request(context, `http://127.0.0.1:${String(server.port)}/`));
    expect(exchange).toMatchObject({ error: 'not-allowed', sentUs: 0, bytesSent: 0 });
    expect(exchange.endedUs).toBeGreaterThanOrEqual(exchange.startedUs);
    expect([context.openSockets, server.accepted]).toEqual([0, 0]);
  });
});

describe('ending', () => {
  test('abort ends the request in flight before it returns, and the next one gets a new connection', async () => {
    const server = await serve((socket, _, connection) => {
      if (connection > 1) socket.write(RESPONSE);
    });
    const context = createContext();
    const client = createClient(context);
    const ended: (string | undefined)[] = [];
    const exchange = request(context, `http://127.0.0.1:${String(server.port)}/`);
    client.send(exchange, ({ error }) => ended.push(error));
    await waitUntil('the request arrived', () => server.received !== '');
    client.abort();
    expect(ended).toEqual(['aborted']);
    client.abort();
    expect(await send(client, exchange)).toMatchObject({ status: 200, error: undefined });
    expect(ended).toEqual(['aborted']);
  });

  test('abort ends a request that is still connecting or was not allowed', async () => {
    const server = await serve((socket) => socket.write(RESPONSE));
    const context = createContext({ isAllowed: (host) => host === '127.0.0.1' });
    const client = createClient(context);
    const ended: (string | undefined)[] = [];
    for (const host of ['127.0.0.1', 'elsewhere']) {
      client.send(request(context, `http://${host}:${String(server.port)}/`), ({ error }) => ended.push(error));
      client.abort();
    }
    await waitUntil('the socket is gone', () => context.openSockets === 0);
    expect(ended).toEqual(['aborted', 'aborted']);
  });

  test('close aborts, closes every connection, and refuses what comes later', async () => {
    const server = await serve((socket, text) => {
      if (text.startsWith('GET /a')) socket.write(RESPONSE);
    });
    const context = createContext();
    const client = createClient(context);
    const url = `http://127.0.0.1:${String(server.port)}`;
    await send(client, request(context, `${url}/a`));
    const ended: (string | undefined)[] = [];
    client.send(request(context, `${url}/b`), ({ error }) => ended.push(error));
    client.close();
    expect(ended).toEqual(['aborted']);
    await waitUntil('every connection is closed', () => context.openSockets === 0 && server.sockets.size === 0);
    expect(await send(client, request(context, `${url}/a`))).toMatchObject({ error: 'aborted', sentUs: 0 });
  });

  test('a callback may send at once, close, or abort', async () => {
    const server = await serve((socket) => socket.write(RESPONSE));
    const context = createContext();
    const client = createClient(context);
    const exchange = request(context, `http://127.0.0.1:${String(server.port)}/`);
    let left = 100;
    await new Promise<void>((resolve) => {
      const onDone = (): void => {
        client.abort();
        if (--left > 0) client.send(exchange, onDone);
        else {
          client.close();
          resolve();
        }
      };
      client.send(exchange, onDone);
    });
    expect(server.accepted).toBe(1);
    await waitUntil('the connection is closed', () => context.openSockets === 0);
  });
});

describe('TLS', () => {
  const tls = { cert: CERTIFICATE, key: KEY };

  test('works with a trusted certificate, keeps its connection and tells the handshake apart', async () => {
    const names: (string | false)[] = [];
    const server = await serve((socket) => {
      if ('servername' in socket) names.push(socket.servername as string | false);
      socket.write(RESPONSE);
    }, tls);
    const context = createContext({ tls: { ca: CERTIFICATE } });
    const client = createClient(context);
    const exchange = request(context, `https://localhost:${String(server.port)}/`, { method: 'POST', body: Buffer.from('hello') });
    const first = { ...(await send(client, exchange)) };
    expect(first).toMatchObject({ error: undefined, status: 200 });
    expect(bodyOf(first)).toBe('hi');
    expect(first.connectingUs).toBeGreaterThan(0);
    expect(first.tlsUs).toBeGreaterThan(0);
    expect(first.sentUs - first.startedUs).toBeGreaterThanOrEqual(first.connectingUs + first.tlsUs);
    expect(await send(client, exchange)).toMatchObject({ status: 200, connectingUs: 0, tlsUs: 0, bytesSent: first.bytesSent });
    expect(await send(client, request(context, `https://127.0.0.1:${String(server.port)}/`))).toMatchObject({ status: 200 });
    expect(server.accepted).toBe(2);
    expect(names).toEqual(['localhost', 'localhost', false]);
  });

  test('refuses a certificate that nobody vouches for, unless told to take any', async () => {
    const server = await serve((socket) => socket.write(RESPONSE), tls);
    const strict = createContext();
    const lax = createContext({ tls: { insecure: true } });
    const url = `https://127.0.0.1:${String(server.port)}/`;
    expect(await send(createClient(strict), request(strict, url))).toMatchObject({ error: 'tls', status: 0, sentUs: 0 });
    expect(await send(createClient(lax), request(lax, url))).toMatchObject({ error: undefined, status: 200 });
    await waitUntil('the refused connection is closed', () => strict.openSockets === 0);
  });

  test('carries megabytes both ways', async () => {
    const body = Buffer.from('0123456789'.repeat(300_000));
    const server = await serve((socket) => {
      if (!server.received.endsWith('\r\n\r\n') && server.received.length > body.length) {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${String(body.length)}\r\n\r\n`);
        socket.write(body);
      }
    }, tls);
    const context = createContext({ tls: { insecure: true } });
    const exchange = request(context, `https://127.0.0.1:${String(server.port)}/`, { method: 'POST', body });
    await send(createClient(context), exchange);
    expect(exchange).toMatchObject({ error: undefined, bodyBytes: body.length, bytesSent: server.received.length });
    expect(exchange.responseBody?.equals(body)).toBe(true);
  });

  test('against a server that speaks none, or closes, ends as tls; one that is silent ends as timeout', async () => {
    const plain = await serve((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const closing = await serve((socket) => socket.end());
    const silent = await serve(() => undefined);
    const context = createContext({ tls: { insecure: true } });
    const client = createClient(context);
    for (const { port } of [plain, closing]) {
      expect(await send(client, request(context, `https://127.0.0.1:${String(port)}/`))).toMatchObject({ error: 'tls' });
    }
    const late = await send(client, request(context, `https://127.0.0.1:${String(silent.port)}/`, { timeoutMs: 50 }));
    expect(late).toMatchObject({ error: 'timeout', sentUs: 0 });
    await waitUntil('all are closed', () => context.openSockets === 0);
  });

  test('closed by the server while idle is replaced without an error', async () => {
    const server = await serve((socket) => socket.end(RESPONSE), tls);
    const context = createContext({ tls: { insecure: true } });
    const client = createClient(context);
    for (let i = 0; i < 2; i++) {
      const exchange = await send(client, request(context, `https://127.0.0.1:${String(server.port)}/`));
      expect(exchange).toMatchObject({ error: undefined, status: 200 });
      await waitUntil('the close was noticed', () => context.openSockets === 0);
    }
  });
});
