import { readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { fieldsOf, type HttpClient, type HttpContext } from '../../agent/protocol/index.ts';
import { ask, contextWith, type ContextSettings } from '../support/http-client.ts';
import { startHttp2Server, type Http2Server } from '../support/http2-server.ts';
import { freePort } from '../support/free-port.ts';
import { startRawServer, type RawServer } from '../support/raw-server.ts';
import { waitUntil } from '../support/wait-until.ts';

let tls = { cert: '', key: '' };

beforeAll(async () => {
  const read = (name: string): Promise<string> => readFile(new URL(`../support/tls/localhost.${name}.pem`, import.meta.url), 'utf8');
  tls = { cert: await read('cert'), key: await read('key') };
});

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(...args: Parameters<typeof startHttp2Server>): Promise<Http2Server> {
  const server = await startHttp2Server(...args);
  closers.push(() => server.close());
  return server;
}

async function serveRaw(...args: Parameters<typeof startRawServer>): Promise<RawServer> {
  const server = await startRawServer(...args);
  closers.push(() => server.close());
  return server;
}

function open(settings: ContextSettings = {}): HttpContext {
  const context = contextWith({ version: '2', tls: { insecure: true }, ...settings });
  closers.push(() => context.close());
  return context;
}

function clientOf(context: HttpContext): HttpClient {
  const client = context.createClient();
  closers.push(() => {
    client.close();
  });
  return client;
}

const answer = (stream: ServerHttp2Stream, body = 'hi'): void => {
  stream.respond({ ':status': 200, 'content-type': 'text/plain', 'x-one': ['a', 'b'] });
  stream.end(body);
};

describe('HTTP/2', () => {
  test('with prior knowledge gives status, headers, body and phases, on one connection for all requests of a VU', async () => {
    const server = await serve((stream) => {
      answer(stream);
    });
    const context = open();
    const client = clientOf(context);
    const first = await ask(context, client, server.url, { keepHeaders: true, headers: [['accept', 'text/plain']] });
    expect(first).toMatchObject({ status: 200, error: undefined, bodyBytes: 2 });
    expect(first.responseBody?.toString()).toBe('hi');
    expect(fieldsOf(first.responseHead)).toEqual(expect.arrayContaining(['content-type', 'text/plain', 'x-one', 'a', 'x-one', 'b']));
    expect(first.connectingUs).toBeGreaterThan(0);
    expect(first.startedUs <= first.sentUs && first.sentUs < first.firstByteUs && first.firstByteUs <= first.endedUs).toBe(true);
    const second = await ask(context, client, server.url);
    expect(second).toMatchObject({ status: 200, error: undefined, connectingUs: 0 });
    expect([server.sessions.length, server.arrived]).toEqual([1, 2]);
    // The bytes of the connection, preface and settings included, are told once and to somebody.
    expect(first.bytesSent + second.bytesSent).toBe(context.bytesSent);
    expect(context.bytesSent).toBeGreaterThan(24 + 2 * 9);
    expect(context.bytesReceived).toBeGreaterThan(2 * (9 + 2));
  });

  test('turns the head into its own fields: authority from host, names in lower case, nothing of one connection', async () => {
    const seen: Record<string, unknown>[] = [];
    const server = await serve((stream, headers) => {
      seen.push(Object.fromEntries(Object.entries(headers)));
      answer(stream);
    });
    const context = open();
    const headers: [string, string][] = [['Host', 'shop.test'], ['Connection', 'close'], ['TE', 'gzip'], ['X-Case', 'Kept'], ['x-case', 'Too']]; // prettier-ignore
    await ask(context, clientOf(context), `${server.url}a?b=c`, { headers });
    expect(seen).toEqual([{ ':method': 'GET', ':scheme': 'http', ':authority': 'shop.test', ':path': '/a?b=c', 'x-case': 'Kept, Too' }]);
  });

  test('over TLS is agreed on by ALPN, and its handshake is a phase of the first request', async () => {
    const server = await serve(
      (stream) => {
        answer(stream);
      },
      { tls },
    );
    const context = open();
    const client = clientOf(context);
    const first = await ask(context, client, server.url);
    expect(first).toMatchObject({ status: 200, error: undefined });
    expect(first.tlsUs).toBeGreaterThan(0);
    expect(await ask(context, client, server.url)).toMatchObject({ status: 200, tlsUs: 0 });
  });

  test('that the server does not speak is an error: protocol without TLS, and with it where ALPN is ignored', async () => {
    const plain = await serveRaw((socket) => void socket.write('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n'));
    const secure = await serveRaw(() => undefined, tls);
    const context = open();
    expect(await ask(context, clientOf(context), `http://127.0.0.1:${String(plain.port)}/`)).toMatchObject({
      status: 0,
      error: 'protocol',
    });
    expect(await ask(context, clientOf(context), `https://127.0.0.1:${String(secure.port)}/`)).toMatchObject({
      status: 0,
      error: 'protocol',
    });
  });

  test('nobody listening is connect-refused, and what the agent may not reach is not-allowed', async () => {
    const url = `http://127.0.0.1:${String(await freePort())}/`;
    const context = open();
    expect(await ask(context, clientOf(context), url)).toMatchObject({ error: 'connect-refused', sentUs: 0 });
    const closed = open({ isAllowed: () => false });
    expect(await ask(closed, clientOf(closed), url)).toMatchObject({ error: 'not-allowed', sentUs: 0 });
  });

  test('decodes a kept body, counts one that is not kept, and refuses to keep one over the limit', async () => {
    const body = Buffer.alloc(300_000, 'x');
    const server = await serve((stream, headers) => {
      const isZipped = headers[':path'] === '/gzip';
      stream.respond({ ':status': 200, ...(isZipped ? { 'content-encoding': 'gzip' } : {}) });
      stream.end(isZipped ? gzipSync('zipped') : body);
    });
    const context = open({ bodyBytesMax: 200_000 });
    const client = clientOf(context);
    expect((await ask(context, client, `${server.url}gzip`)).responseBody?.toString()).toBe('zipped');
    const counted = await ask(context, client, server.url, { keepBody: false });
    expect(counted).toMatchObject({ error: undefined, bodyBytes: body.length, responseBody: undefined });
    expect(counted.bytesReceived).toBeGreaterThan(body.length);
    expect(await ask(context, client, server.url)).toMatchObject({ status: 200, error: 'body-too-large', responseBody: undefined });
    // The stream was given up, not the connection.
    expect(await ask(context, client, `${server.url}gzip`)).toMatchObject({ status: 200, error: undefined });
    expect(server.sessions).toHaveLength(1);
  });

  test('a response to HEAD has no body, whatever length it tells', async () => {
    const server = await serve((stream) => {
      stream.respond({ ':status': 200, 'content-length': '12345678' }, { endStream: true });
    });
    const context = open({ bodyBytesMax: 100 });
    expect(await ask(context, clientOf(context), server.url, { method: 'HEAD' })).toMatchObject({
      status: 200,
      error: undefined,
      bodyBytes: 0,
    });
  });

  test('goes through a proxy by CONNECT, also without TLS', async () => {
    const server = await serve((stream) => {
      answer(stream);
    });
    const asked: string[] = [];
    const proxy = await serveRaw((socket, text, connection) => {
      if (asked.length >= connection) return;
      asked.push(text.slice(0, text.indexOf('\r\n')));
      socket.removeAllListeners('data');
      const onward = connectTcp(server.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.pipe(socket);
        onward.on('error', () => undefined);
        socket.on('data', (bytes: string) => onward.write(bytes, 'latin1'));
      });
    });
    const context = open({ proxy: { http: `http://127.0.0.1:${String(proxy.port)}`, https: undefined, none: [], fromEnvironment: false } });
    expect(await ask(context, clientOf(context), server.url)).toMatchObject({ status: 200, error: undefined });
    expect(asked).toEqual([`CONNECT 127.0.0.1:${String(server.port)} HTTP/1.1`]);
  });
});

describe('version auto', () => {
  const auto = { version: 'auto' } as const;

  test('speaks HTTP/2 where the server takes it, and asks once for all VUs', async () => {
    const server = await serve(
      (stream) => {
        answer(stream);
      },
      { tls },
    );
    const context = open(auto);
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(context, clientOf(context), server.url)));
    for (const each of answers) expect(each).toMatchObject({ status: 200, error: undefined });
    for (const { startedUs, sentUs, connectingUs, tlsUs } of answers) expect(sentUs - startedUs).toBeGreaterThan(connectingUs + tlsUs);
    expect(server.arrived).toBe(5);
  });

  test('speaks HTTP/1.1 to a server that knows only that, and without TLS', async () => {
    const reply = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';
    const secure = await serveRaw((socket) => void socket.write(reply), { ...tls, ALPNProtocols: ['http/1.1'] });
    const plain = await serveRaw((socket) => void socket.write(reply));
    const context = open(auto);
    const client = clientOf(context);
    for (const url of [`https://127.0.0.1:${String(secure.port)}/`, `http://127.0.0.1:${String(plain.port)}/`]) {
      for (let i = 0; i < 2; i++) expect(await ask(context, client, url)).toMatchObject({ status: 200, error: undefined, bodyBytes: 2 });
    }
    // One to ask, one for the requests.
    expect([secure.accepted, plain.accepted]).toEqual([2, 1]);
  });

  test('a server that cannot be asked fails those who wait, and the next one asks anew', async () => {
    const port = await freePort();
    const context = open(auto);
    const url = `https://127.0.0.1:${String(port)}/`;
    const failed = await Promise.all([ask(context, clientOf(context), url), ask(context, clientOf(context), url)]);
    expect(failed.map(({ error }) => error)).toEqual(['connect-refused', 'connect-refused']);
    expect(await ask(context, clientOf(context), url)).toMatchObject({ error: 'connect-refused' });
  });

  test('the wait to know counts against timeout and ends with abort', async () => {
    const silent = await serveRaw(() => undefined);
    const context = open(auto);
    const url = `https://127.0.0.1:${String(silent.port)}/`;
    expect(await ask(context, clientOf(context), url, { timeoutMs: 50 })).toMatchObject({ error: 'timeout', sentUs: 0 });
    const client = clientOf(context);
    const asked = ask(context, client, url);
    await waitUntil('it has connected again', () => silent.accepted === 2);
    client.abort();
    expect(await asked).toMatchObject({ error: 'aborted' });
    await waitUntil('nobody asks any more', () => context.openSockets === 0);
  });
});

describe('streams', () => {
  test('are never more at once than the server allows; who waits for one is blocked', async () => {
    const waiting: ServerHttp2Stream[] = [];
    const server = await serve(
      (stream, _, number) => {
        waiting.push(stream);
        if (number % 3 === 0) for (const one of waiting.splice(0)) answer(one);
      },
      { settings: { maxConcurrentStreams: 3 } },
    );
    const context = open({ connections: { kind: 'shared', max: 1 } });
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(context, clientOf(context), server.url)));
    for (const each of answers) expect(each).toMatchObject({ status: 200, error: undefined });
    expect([server.sessions.length, server.arrived, server.openMax]).toEqual([1, 12, 3]);
    const firstAnsweredUs = Math.min(...answers.map(({ endedUs }) => endedUs));
    // All but the first three went out only after somebody had been answered.
    expect(answers.filter(({ sentUs }) => sentUs >= firstAnsweredUs)).toHaveLength(9);
  });

  test('fill up to max connections where one is not enough, and the wait for them has an end', async () => {
    const server = await serve(() => undefined, { settings: { maxConcurrentStreams: 1 } });
    const context = open({ connections: { kind: 'shared', max: 2 } });
    const answers = await Promise.all(Array.from({ length: 4 }, () => ask(context, clientOf(context), server.url, { timeoutMs: 300 })));
    expect(answers.map(({ error }) => error)).toEqual(['timeout', 'timeout', 'timeout', 'timeout']);
    expect(server.sessions).toHaveLength(2);
    expect(server.openMax).toBeLessThanOrEqual(2);
  });

  test('a hundred at once on one connection are a hundred answers, and none is reset', async () => {
    const codes: (number | undefined)[] = [];
    const server = await serve((stream, headers) => {
      stream.on('close', () => codes.push(stream.rstCode));
      answer(stream, headers[':path']);
    });
    const context = open({ connections: { kind: 'shared', max: 1 } });
    const bodies = await Promise.all(
      Array.from({ length: 100 }, async (_, i) =>
        (await ask(context, clientOf(context), `${server.url}${String(i)}`)).responseBody?.toString(),
      ),
    );
    expect(bodies).toEqual(Array.from({ length: 100 }, (_, i) => `/${String(i)}`));
    expect([server.sessions.length, server.arrived]).toEqual([1, 100]);
    await waitUntil('the server has closed them', () => codes.length === 100);
    expect(new Set(codes)).toEqual(new Set([constants.NGHTTP2_NO_ERROR]));
  });

  test.each([
    ['NO_ERROR', constants.NGHTTP2_NO_ERROR, 'connect-reset'],
    ['CANCEL', constants.NGHTTP2_CANCEL, 'connect-reset'],
    ['REFUSED_STREAM', constants.NGHTTP2_REFUSED_STREAM, 'connect-reset'],
    ['INTERNAL_ERROR', constants.NGHTTP2_INTERNAL_ERROR, 'connect-reset'],
    ['ENHANCE_YOUR_CALM', constants.NGHTTP2_ENHANCE_YOUR_CALM, 'connect-reset'],
    ['PROTOCOL_ERROR', constants.NGHTTP2_PROTOCOL_ERROR, 'protocol'],
    ['HTTP_1_1_REQUIRED', constants.NGHTTP2_HTTP_1_1_REQUIRED, 'protocol'],
  ])(
    'that the server resets with %s are errors, before the answer and in the middle of its body, and the connection stays',
    async (_, code, error) => {
      const server = await serve((stream, headers) => {
        if (headers[':path'] === '/ok') answer(stream);
        else stream.close(code);
      });
      const context = open();
      const client = clientOf(context);
      expect(await ask(context, client, server.url)).toMatchObject({ status: 0, error });
      expect(await ask(context, client, `${server.url}ok`)).toMatchObject({ status: 200, error: undefined });
      expect(server.sessions).toHaveLength(1);
      // Node's own server ends a stream before it resets it, so that this one speaks in frames: 4 bytes of a body of 100.
      const framing = await serveRaw((socket) => {
        if (framing.received.includes('SM') && !isAnswered) {
          isAnswered = true;
          socket.write(
            Buffer.concat([
              frame(4, 0),
              frame(1, 1, '880f0d03313030'),
              frame(0, 1, '736f6d65'),
              frame(3, 1, `0000000${code.toString(16)}`),
            ]),
          );
        }
      });
      let isAnswered = false;
      expect(await ask(context, clientOf(context), `http://127.0.0.1:${String(framing.port)}/`)).toMatchObject({
        status: 200,
        bodyBytes: 4,
        error,
      });
    },
  );

  test('end with the request: an abort and a timeout cancel theirs, and the connection stays', async () => {
    const codes: (number | undefined)[] = [];
    const server = await serve((stream, headers) => {
      if (headers[':path'] === '/ok') answer(stream);
      else stream.on('close', () => codes.push(stream.rstCode));
    });
    const context = open();
    const client = clientOf(context);
    const asked = ask(context, client, server.url);
    await waitUntil('the request has arrived', () => server.arrived === 1);
    client.abort();
    expect(await asked).toMatchObject({ status: 0, error: 'aborted' });
    expect(await ask(context, client, server.url, { timeoutMs: 50 })).toMatchObject({ status: 0, error: 'timeout', firstByteUs: 0 });
    expect(await ask(context, client, `${server.url}ok`)).toMatchObject({ status: 200, error: undefined });
    await waitUntil('both were cancelled', () => codes.length === 2);
    expect([codes, server.sessions.length]).toEqual([[constants.NGHTTP2_CANCEL, constants.NGHTTP2_CANCEL], 1]);
  });
});

describe('a connection', () => {
  test('that the server says goodbye to answers what it has, and the next request opens another', async () => {
    const held: ServerHttp2Stream[] = [];
    const server = await serve((stream, _, number) => {
      if (number > 1) {
        answer(stream);
        return;
      }
      held.push(stream);
      stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
    });
    const context = open({ connections: { kind: 'shared', max: 1 } });
    const first = ask(context, clientOf(context), server.url);
    await waitUntil('the first has arrived', () => held.length === 1);
    // Asked until one goes to a new connection: the goodbye may still be on its way.
    const second = await ask(context, clientOf(context), server.url);
    for (const stream of held) answer(stream);
    expect(await first).toMatchObject({ status: 200, error: undefined });
    const third = await ask(context, clientOf(context), server.url);
    expect([second.error, third.error]).toEqual([undefined, undefined]);
    expect(server.sessions).toHaveLength(2);
    await waitUntil('the old one is closed', () => context.openSockets === 1);
  });

  test('that the server says goodbye to loses nothing: what it did not take is sent on another, and is one request', async () => {
    const server = await serve((stream, _, number) => {
      // Streams after this one, some of them here already, are refused.
      if (number % 40 === 0) stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
      setImmediate(() => {
        if (!stream.destroyed) answer(stream);
      });
    });
    const context = open({ connections: { kind: 'shared', max: 2 } });
    const errors: unknown[] = [];
    const vu = async (): Promise<void> => {
      const client = clientOf(context);
      for (let i = 0; i < 100; i++) errors.push((await ask(context, client, server.url)).error);
    };
    await Promise.all(Array.from({ length: 8 }, vu));
    expect(errors).toEqual(Array.from({ length: 800 }, () => undefined));
    expect(server.sessions.length).toBeGreaterThan(10);
  });

  test('whose goodbye does not reach a request sends it again, body and all; a refusal without a goodbye is an answer', async () => {
    const bodies: string[] = [];
    const server = await serve((stream, headers, number) => {
      if (headers[':path'] === '/refused') stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else if (number <= 2 || headers[':path'] === '/never') {
        stream.session?.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
      } else {
        stream.setEncoding('utf8').on('data', (text: string) => bodies.push(text));
        stream.on('end', () => {
          answer(stream);
        });
      }
    });
    const context = open();
    const posted = { method: 'POST', body: Buffer.from('once') };
    expect(await ask(context, clientOf(context), server.url, posted)).toMatchObject({ status: 200, error: undefined });
    expect([bodies, server.arrived]).toEqual([['once'], 3]);
    expect(await ask(context, clientOf(context), `${server.url}refused`)).toMatchObject({ status: 0, error: 'connect-reset' });
    expect(server.arrived).toBe(4);
    expect(await ask(context, clientOf(context), `${server.url}never`)).toMatchObject({ status: 0, error: 'connect-reset' });
    expect(server.arrived).toBe(4 + 6);
  });

  test('that the server leaves with an error, or breaks, fails what is on it, and only that', async () => {
    const server = await serve((stream, headers, number) => {
      if (headers[':path'] === '/ok') answer(stream);
      else if (headers[':path'] === '/break') stream.session?.destroy();
      else if (number === 3) stream.session?.goaway(constants.NGHTTP2_PROTOCOL_ERROR);
    });
    const context = open({ connections: { kind: 'shared', max: 1 } });
    expect(await ask(context, clientOf(context), `${server.url}ok`)).toMatchObject({ error: undefined });
    const failed = await Promise.all([ask(context, clientOf(context), server.url), ask(context, clientOf(context), server.url)]);
    expect(failed.map(({ error }) => error)).toEqual(['protocol', 'protocol']);
    expect(await ask(context, clientOf(context), `${server.url}break`)).toMatchObject({ error: 'connect-reset' });
    expect(await ask(context, clientOf(context), `${server.url}ok`)).toMatchObject({ status: 200, error: undefined });
    expect(server.sessions).toHaveLength(3);
  });

  test('on which nobody answers a ping after a timeout is given up, so that the next request finds a new one', async () => {
    const server = await serve((stream) => {
      answer(stream);
    });
    const relay = await startRelay(server.port);
    const context = open();
    const client = clientOf(context);
    const url = `http://127.0.0.1:${String(relay.port)}/`;
    expect(await ask(context, client, url)).toMatchObject({ error: undefined });
    relay.cut();
    expect(await ask(context, client, url, { timeoutMs: 50 })).toMatchObject({ error: 'timeout' });
    await waitUntil('it is given up', () => context.openSockets === 0);
    expect(await ask(context, client, url)).toMatchObject({ status: 200, error: undefined });
  });

  test('per iteration is a new one each, and close ends all of them', async () => {
    const server = await serve((stream) => {
      answer(stream);
    });
    const context = open({ connections: { kind: 'per-iteration' } });
    const client = clientOf(context);
    for (let i = 0; i < 3; i++) {
      client.beginIteration();
      await ask(context, client, server.url);
      await ask(context, client, server.url);
    }
    expect([server.sessions.length, server.arrived]).toEqual([3, 6]);
    client.close();
    await waitUntil('all are closed', () => context.openSockets === 0);
    expect(await ask(context, client, server.url)).toMatchObject({ error: 'aborted' });
  });

  test('connect and first byte have timeouts of their own', async () => {
    const silent = await serveRaw(() => undefined);
    const connecting = open({ timeouts: { connectMs: 50, firstByteMs: 0 } });
    expect(await ask(connecting, clientOf(connecting), `https://127.0.0.1:${String(silent.port)}/`)).toMatchObject({
      error: 'timeout',
      sentUs: 0,
    });
    const server = await serve((stream, headers) => {
      if (headers[':path'] !== '/slow') return;
      stream.respond({ ':status': 200 });
      setTimeout(() => stream.end('slow'), 150);
    });
    const waiting = open({ timeouts: { connectMs: 0, firstByteMs: 80 } });
    const client = clientOf(waiting);
    expect(await ask(waiting, client, server.url)).toMatchObject({ error: 'timeout', firstByteUs: 0 });
    // Once the first byte is there, only the whole request has a deadline.
    expect(await ask(waiting, client, `${server.url}slow`)).toMatchObject({ status: 200, error: undefined });
  });
});

describe('a request body', () => {
  test('that the server reads late was being sent until then', async () => {
    const body = Buffer.alloc(8_000_000, 'x');
    let received = 0;
    const server = await serve((stream) => {
      setTimeout(() => {
        stream.on('data', (bytes: Buffer) => (received += bytes.length));
        stream.on('end', () => {
          answer(stream);
        });
      }, 50);
    });
    const context = open();
    const exchange = await ask(context, clientOf(context), server.url, { method: 'POST', body });
    expect(exchange).toMatchObject({ status: 200, error: undefined });
    expect(received).toBe(body.length);
    expect(exchange.sendingUs).toBeGreaterThan(30_000);
    expect(exchange.bytesSent).toBeGreaterThan(body.length);
  });

  test('that is not wanted any more is not sent on: the answer counts, and the connection stays', async () => {
    const server = await serve((stream, headers) => {
      if (headers[':path'] === '/ok') {
        answer(stream);
        return;
      }
      stream.respond({ ':status': 413 });
      stream.end('too much');
    });
    const context = open();
    const client = clientOf(context);
    const refused = await ask(context, client, server.url, { method: 'POST', body: Buffer.alloc(50_000_000) });
    expect(refused).toMatchObject({ status: 413, error: undefined });
    expect(refused.bytesSent).toBeLessThan(40_000_000);
    expect(await ask(context, client, `${server.url}ok`)).toMatchObject({ status: 200, error: undefined });
    expect(server.sessions).toHaveLength(1);
  });
});

/** A frame of HTTP/2 with its payload in hexadecimal; of those used here only HEADERS has a flag, END_HEADERS. */
function frame(type: number, stream: number, payload = ''): Buffer {
  const bytes = Buffer.from(payload, 'hex');
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = type === 1 ? 4 : 0;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
}

/** Passes bytes on to `port` until it is cut: from then on the connections that stand are dead, and new ones are not. */
async function startRelay(port: number): Promise<RawServer & { readonly cut: () => void }> {
  const standing = new Set<() => void>();
  const onward = new Map<number, ReturnType<typeof connectTcp>>();
  const relay = await serveRaw((socket, text, connection) => {
    const known = onward.get(connection);
    if (known !== undefined) {
      known.write(text, 'latin1');
      return;
    }
    const there = connectTcp(port, '127.0.0.1');
    onward.set(connection, there);
    there.on('error', () => undefined);
    there.pipe(socket);
    there.write(text, 'latin1');
    standing.add(() => {
      there.unpipe(socket);
      there.pause();
    });
    closers.push(() => {
      there.destroy();
    });
  });
  return Object.assign(relay, {
    cut: () => {
      for (const stop of standing) stop();
      standing.clear();
    },
  });
}
