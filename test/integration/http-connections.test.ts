import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createAllowList } from '../../agent/allow-list.ts';
import type { HttpClient, HttpContext } from '../../agent/protocol/index.ts';
import { ask, contextWith, type ContextSettings } from '../support/http-client.ts';
import { freePort } from '../support/free-port.ts';
import { startRawServer, type RawServer } from '../support/raw-server.ts';
import { waitUntil } from '../support/wait-until.ts';

const RESPONSE = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';
let cert = '';
let key = '';

beforeAll(async () => {
  cert = await readFile(new URL('../support/tls/localhost.cert.pem', import.meta.url), 'utf8');
  key = await readFile(new URL('../support/tls/localhost.key.pem', import.meta.url), 'utf8');
});

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(...args: Parameters<typeof startRawServer>): Promise<RawServer> {
  const server = await startRawServer(...args);
  closers.push(() => server.close());
  return server;
}

const answer = (socket: Socket): void => void socket.write(RESPONSE);

function open(settings: ContextSettings): HttpContext {
  const context = contextWith(settings);
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

function tlsOf(socket: Socket): TLSSocket {
  if (!(socket instanceof TLSSocket)) throw new Error('this server speaks TLS');
  return socket;
}

const at = ({ port }: RawServer, host = '127.0.0.1', scheme = 'http'): string => `${scheme}://${host}:${String(port)}/`;

describe('TLS', () => {
  test('presents the client certificate that the server demands; without one the request ends as tls', async () => {
    const subjects: string[] = [];
    const server = await serve(
      (socket) => {
        subjects.push(String(tlsOf(socket).getPeerCertificate().subject.CN));
        answer(socket);
      },
      { cert, key, ca: cert, requestCert: true, rejectUnauthorized: true },
    );
    const known = open({ tls: { ca: cert, cert, key } });
    const stranger = open({ tls: { ca: cert } });
    expect(await ask(known, clientOf(known), at(server, 'localhost', 'https'))).toMatchObject({ status: 200, error: undefined });
    expect(await ask(stranger, clientOf(stranger), at(server, 'localhost', 'https'))).toMatchObject({ status: 0, error: 'tls' });
    expect(subjects).toEqual(['localhost']);
  });

  test.each([
    ['TLSv1.2', true],
    ['TLSv1.3', true],
    ['TLSv1.3', false],
  ] as const)('%s: a second connection resumes the session of the first: %s', async (version, resumesSessions) => {
    const reused: boolean[] = [];
    const server = await serve(
      (socket) => {
        reused.push(tlsOf(socket).isSessionReused());
        socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi');
      },
      { cert, key, maxVersion: version },
    );
    const context = open({ tls: { ca: cert, resumesSessions } });
    for (let i = 0; i < 3; i++) {
      expect(await ask(context, clientOf(context), at(server, 'localhost', 'https'))).toMatchObject({ status: 200, error: undefined });
    }
    expect(reused).toEqual([false, resumesSessions, resumesSessions]);
  });

  test('offers http/1.1 by ALPN and asks for the server name it was given, which the certificate must bear', async () => {
    const seen: unknown[] = [];
    const server = await serve(
      (socket) => {
        const { alpnProtocol } = tlsOf(socket);
        const servername = 'servername' in socket ? socket.servername : undefined;
        seen.push([alpnProtocol, servername]);
        answer(socket);
      },
      { cert, key, ALPNProtocols: ['h2', 'http/1.1'] },
    );
    const right = open({ tls: { ca: cert, serverName: 'localhost' } });
    const wrong = open({ tls: { ca: cert, serverName: 'example.org' } });
    expect(await ask(right, clientOf(right), at(server, '127.0.0.1', 'https'))).toMatchObject({ status: 200 });
    expect(await ask(wrong, clientOf(wrong), at(server, '127.0.0.1', 'https'))).toMatchObject({ error: 'tls' });
    expect(seen).toEqual([['http/1.1', 'localhost']]);
  });
});

describe('the connection policy', () => {
  test('per-iteration opens a fresh connection for every iteration and keeps it within one', async () => {
    const server = await serve(answer);
    const context = open({ connections: { kind: 'per-iteration' } });
    const client = clientOf(context);
    for (let iteration = 0; iteration < 3; iteration++) {
      client.beginIteration();
      await ask(context, client, at(server));
      await ask(context, client, at(server));
    }
    expect(server.accepted).toBe(3);
    await waitUntil('the old ones are closed', () => context.openSockets === 1);
  });

  test('shared never opens more than max, serves everybody in turn, and counts the wait as blocked', async () => {
    const asked: Socket[] = [];
    const server = await serve((socket) => asked.push(socket));
    const context = open({ connections: { kind: 'shared', max: 2 } });
    const pending = Array.from({ length: 6 }, () => ask(context, clientOf(context), at(server)));
    for (let served = 0; served < 6; served += 2) {
      await waitUntil('two requests are there', () => asked.length === 2);
      for (const socket of asked.splice(0)) answer(socket);
    }
    const done = await Promise.all(pending);
    expect(done.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(server.accepted).toBe(2);
    expect(done[5]!.sentUs).toBeGreaterThanOrEqual(done[0]!.endedUs);
    expect(context.openSockets).toBe(2);
  });

  test('shared: who waits too long ends as timeout, who is aborted ends at once, and neither keeps a place', async () => {
    const server = await serve(() => undefined);
    const context = open({ connections: { kind: 'shared', max: 1 } });
    const holder = clientOf(context);
    const held = ask(context, holder, at(server));
    await waitUntil('it is taken', () => server.received !== '');
    expect(await ask(context, clientOf(context), at(server), { timeoutMs: 30 })).toMatchObject({ error: 'timeout', sentUs: 0 });
    const impatient = clientOf(context);
    const gone = ask(context, impatient, at(server));
    impatient.abort();
    expect(await gone).toMatchObject({ error: 'aborted', sentUs: 0 });
    const last = clientOf(context);
    const pending = ask(context, last, at(server), { timeoutMs: 40 });
    holder.abort();
    expect(await held).toMatchObject({ error: 'aborted' });
    await pending;
    expect(server.accepted).toBe(2);
  });
});

describe('timeouts', () => {
  test('for connecting ends a handshake that never answers, long before the total', async () => {
    const silent = await serve(() => undefined);
    const context = open({ timeouts: { connectMs: 30, firstByteMs: 0 } });
    const exchange = await ask(context, clientOf(context), at(silent, '127.0.0.1', 'https'));
    expect(exchange).toMatchObject({ error: 'timeout', sentUs: 0 });
    expect(exchange.endedUs - exchange.startedUs).toBeLessThan(1_000_000);
  });

  test('for the first byte ends a silent response, and not one whose body is slow', async () => {
    const server = await serve((socket, text) => {
      if (text.startsWith('GET /slow')) {
        socket.write(RESPONSE.slice(0, -1));
        setTimeout(() => socket.write(RESPONSE.slice(-1)), 120);
      }
    });
    const context = open({ timeouts: { connectMs: 1000, firstByteMs: 60 } });
    expect(await ask(context, clientOf(context), `${at(server)}slow`)).toMatchObject({ status: 200, error: undefined });
    const silent = await ask(context, clientOf(context), at(server));
    expect(silent).toMatchObject({ error: 'timeout', firstByteUs: 0 });
    expect(silent.endedUs - silent.sentUs).toBeLessThan(1_000_000);
  });
});

describe('the way to a host', () => {
  test('goes where hosts says, while the host header stays; the most exact entry counts', async () => {
    const [exact, whole, pattern] = [await serve(answer), await serve(answer), await serve(answer)];
    const to = ({ port }: RawServer): { host: string; port: number } => ({ host: '127.0.0.1', port });
    const context = open({
      hosts: {
        'shop.test:81': to(exact),
        'shop.test': to(whole),
        '*.test': to(pattern),
        'plain.org': { host: '127.0.0.1', port: undefined },
      },
    });
    const client = clientOf(context);
    const urls = ['http://shop.test:81/', 'http://shop.test/', 'http://a.b.test/', at(exact, 'plain.org')];
    for (const url of urls) expect(await ask(context, client, url)).toMatchObject({ status: 200 });
    expect([exact.accepted, whole.accepted, pattern.accepted]).toEqual([2, 1, 1]);
    expect(whole.received).toContain('\r\nhost: shop.test\r\n');
  });

  test('is refused when the owner of the agent allows the name but not where it leads', async () => {
    const server = await serve(answer);
    const hosts = { 'shop.test': { host: '127.0.0.1', port: server.port } };
    const strict = open({ hosts, isAllowed: createAllowList(['shop.test']) });
    const lax = open({ hosts, isAllowed: createAllowList(['shop.test', '127.0.0.1']) });
    expect(await ask(strict, clientOf(strict), 'http://shop.test/')).toMatchObject({ error: 'not-allowed' });
    expect(await ask(lax, clientOf(lax), 'http://shop.test/')).toMatchObject({ status: 200 });
  });

  test('begins at the source addresses in turn', async () => {
    const from: (string | undefined)[] = [];
    const server = await serve((socket) => {
      from.push(socket.remoteAddress);
      answer(socket);
    });
    const context = open({ sourceAddresses: ['127.0.0.2', '127.0.0.3'] });
    for (let i = 0; i < 4; i++) await ask(context, clientOf(context), at(server));
    expect(from).toEqual(['127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.3']);
  });

  test('is a unix socket when one is given', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'muster-unix-'));
    closers.push(() => rm(folder, { recursive: true }));
    const socketPath = join(folder, 'api.sock');
    const hosts: (string | undefined)[] = [];
    const server = createHttpServer((request, response) => {
      hosts.push(request.headers.host);
      response.end('hi');
    });
    server.listen(socketPath);
    await once(server, 'listening');
    closers.push(() => void server.close());
    const context = open({ socketPath });
    expect(await ask(context, clientOf(context), 'http://api.test/')).toMatchObject({ status: 200, bodyBytes: 2 });
    expect(hosts).toEqual(['api.test']);
    const nowhere = open({ socketPath: join(folder, 'none.sock') });
    expect(await ask(nowhere, clientOf(nowhere), 'http://api.test/')).toMatchObject({ error: 'connect', status: 0 });
  });
});

describe('a proxy', () => {
  /** Carries tunnels, and answers whatever else it is asked. */
  function startProxy(): Promise<RawServer> {
    return serve((socket, text) => {
      const tunnel = /^CONNECT 127\.0\.0\.1:(\d+) HTTP\/1\.1\r\n/.exec(text);
      if (tunnel === null) {
        if (/^[A-Z]+ http:/.test(text)) answer(socket);
        else if (text.startsWith('CONNECT')) socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
        return;
      }
      const inner = connect(Number(tunnel[1]), '127.0.0.1', () => {
        socket.removeAllListeners('data');
        socket.on('data', (piece: string) => inner.write(piece, 'latin1'));
        inner.on('data', (piece) => socket.write(piece));
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      });
      inner.on('error', () => socket.destroy());
      inner.on('close', () => socket.end());
      socket.on('close', () => inner.destroy());
    });
  }

  test('is asked for whole http URLs, with its own credentials, except for hosts that need none', async () => {
    const proxy = await startProxy();
    const direct = await serve(answer);
    const http = `http://ada:l%40ve@127.0.0.1:${String(proxy.port)}`;
    const context = open({ proxy: { http, https: undefined, none: ['127.0.0.1'], fromEnvironment: false } });
    const client = clientOf(context);
    const exchange = await ask(context, client, 'http://shop.test/a?b');
    expect(exchange).toMatchObject({ status: 200, bytesSent: proxy.received.length });
    const credentials = Buffer.from('ada:l@ve').toString('base64');
    expect(proxy.received).toBe(
      `GET http://shop.test/a?b HTTP/1.1\r\nproxy-authorization: Basic ${credentials}\r\nhost: shop.test\r\n\r\n`,
    );
    expect(await ask(context, client, at(direct))).toMatchObject({ status: 200 });
    expect([direct.accepted, proxy.accepted]).toEqual([1, 1]);
  });

  test('opens a tunnel for https, through which the server is authenticated and the connection kept', async () => {
    const proxy = await startProxy();
    const server = await serve(answer, { cert, key });
    const https = `http://127.0.0.1:${String(proxy.port)}`;
    const context = open({ tls: { ca: cert }, proxy: { http: undefined, https, none: [], fromEnvironment: false } });
    const client = clientOf(context);
    const first = await ask(context, client, at(server, '127.0.0.1', 'https'));
    expect(first).toMatchObject({ status: 200, error: undefined });
    expect(first.connectingUs).toBeGreaterThan(0);
    expect(first.tlsUs).toBeGreaterThan(0);
    expect(await ask(context, client, at(server, '127.0.0.1', 'https'))).toMatchObject({ status: 200, connectingUs: 0, tlsUs: 0 });
    expect([proxy.accepted, server.accepted]).toEqual([1, 1]);
    client.close();
    await waitUntil('all sockets are closed', () => context.openSockets === 0);
  });

  test('that refuses, or is not there, ends the request as connect or connect-refused', async () => {
    const proxy = await startProxy();
    for (const [port, error] of [
      [proxy.port, 'connect'],
      [await freePort(), 'connect-refused'],
    ] as const) {
      const https = `http://127.0.0.1:${String(port)}`;
      const context = open({ proxy: { http: undefined, https, none: [], fromEnvironment: false } });
      expect(await ask(context, clientOf(context), 'https://shop.test/')).toMatchObject({ error, status: 0 });
      await waitUntil('all sockets are closed', () => context.openSockets === 0);
    }
  });
});

describe('a kept body', () => {
  const text = Buffer.from('passed muster '.repeat(1000));
  const serveEncoded = (coding: string, bytes: Buffer): Promise<RawServer> =>
    serve((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\ncontent-length: ${String(bytes.length)}\r\n\r\n`);
      socket.write(bytes);
    });

  test.each([
    ['gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['GZIP, br', brotliCompressSync(gzipSync(text))],
    ['identity', text],
    ['unheard-of', text],
  ])('coded as %s is decoded', async (coding, bytes) => {
    const context = open({});
    const exchange = await ask(context, clientOf(context), at(await serveEncoded(coding, bytes)));
    expect(exchange).toMatchObject({ status: 200, error: undefined, bodyBytes: bytes.length });
    expect(exchange.responseBody?.equals(text)).toBe(true);
  });

  test('that decodes to more than the limit ends as body-too-large, a broken one as protocol; one only counted is not decoded', async () => {
    const bomb = await serveEncoded('gzip', gzipSync(Buffer.alloc(1_000_000)));
    const broken = await serveEncoded('gzip', text);
    const context = open({ bodyBytesMax: 100_000 });
    expect(await ask(context, clientOf(context), at(bomb))).toMatchObject({ error: 'body-too-large', responseBody: undefined });
    expect(await ask(context, clientOf(context), at(broken))).toMatchObject({ error: 'protocol', responseBody: undefined });
    expect(await ask(context, clientOf(context), at(bomb), { keepBody: false })).toMatchObject({ error: undefined, status: 200 });
  });
});

test('a body that the peer reads late was being sent until then', async () => {
  const body = Buffer.alloc(8_000_000, 'x');
  const server = await serve((socket) => {
    if (server.received.length < 100_000) {
      socket.pause();
      setTimeout(() => socket.resume(), 50);
    } else if (server.received.length > body.length) answer(socket);
  });
  const context = open({});
  const exchange = await ask(context, clientOf(context), at(server), { method: 'POST', body });
  expect(exchange).toMatchObject({ status: 200, error: undefined });
  expect(exchange.sendingUs).toBeGreaterThan(30_000);
  expect(exchange.sendingUs).toBeLessThanOrEqual(exchange.endedUs - exchange.sentUs);
});
