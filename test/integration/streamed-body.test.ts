import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { StreamedBody, type HttpClient, type HttpContext, type StoredFile } from '../../agent/protocol/index.ts';
import { ask, contextWith, type ContextSettings } from '../support/http-client.ts';
import { startRawServer } from '../support/raw-server.ts';
import { waitUntil } from '../support/wait-until.ts';

const MIB = 1024 * 1024;

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A file of random bytes, as an agent holds it. */
async function store(length: number): Promise<StoredFile & { readonly handle: FileHandle; readonly hash: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-body-'));
  const handle = await open(join(folder, 'file'), 'wx+');
  closers.push(async () => {
    await handle.close().catch(() => undefined);
    await rm(folder, { recursive: true });
  });
  const hash = createHash('sha256');
  for (let left = length; left > 0; left -= MIB) {
    const piece = randomBytes(Math.min(left, MIB));
    hash.update(piece);
    await handle.writeFile(piece);
  }
  return { descriptor: handle.fd, length, handle, hash: hash.digest('hex') };
}

/** A server of either version that answers with the SHA-256 of what it was sent. */
async function startHasher(version: '1.1' | '2'): Promise<string> {
  const server: Server = version === '2' ? createHttp2Server() : createServer();
  server.on('request', (request: Readable, response: Writable) => {
    const hash = createHash('sha256');
    request.on('data', (bytes: Buffer) => hash.update(bytes));
    request.on('end', () => response.end(hash.digest('hex')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => void server.close());
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;
}

function openContext(settings: ContextSettings = {}): { readonly context: HttpContext; readonly client: HttpClient } {
  const context = contextWith(settings);
  const client = context.createClient();
  closers.push(async () => {
    client.close();
    await context.close();
  });
  return { context, client };
}

const upload = { method: 'POST', timeoutMs: 20_000 };

describe.each(['1.1', '2'] as const)('a streamed body over HTTP/%s', (version) => {
  test('arrives byte for byte, files and text in their order, as often as it is sent', async () => {
    const [one, two] = [await store(300_001), await store(65_536)];
    const hash = createHash('sha256').update('head').update(await readAll(one)).update('').update(await readAll(two)).update('tail'); // prettier-ignore
    const body = new StreamedBody([Buffer.from('head'), one, Buffer.alloc(0), two, Buffer.from('tail')]);
    const url = await startHasher(version);
    const { context, client } = openContext({ version });
    const answers = [await ask(context, client, url, { ...upload, body }), await ask(context, client, url, { ...upload, body })];
    const expected = hash.digest('hex');
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 200, error: undefined });
      expect(answer.responseBody?.toString()).toBe(expected);
      expect(answer.sendingUs).toBeGreaterThan(0);
      expect(answer.bytesSent).toBeGreaterThanOrEqual(body.length);
    }
    expect(context.openSockets).toBe(1);
  });

  test('whose file cannot be read to its end fails as file-unreadable', async () => {
    const file = await store(100_000);
    await file.handle.truncate(70_000);
    const url = await startHasher(version);
    const { context, client } = openContext({ version });
    const failed = await ask(context, client, url, { ...upload, body: new StreamedBody([file]) });
    expect(failed).toMatchObject({ status: 0, error: 'file-unreadable' });
    expect(failed.bytesSent).toBeLessThan(100_000);
  });

  test('that the peer does not read waits for it, until the timeout, and was being sent all the while', async () => {
    const file = await store(64 * MIB);
    const { context, client } = openContext({ version });
    const deaf = await startRawServer((socket) => void socket.pause());
    closers.push(() => deaf.close());
    const failed = await ask(context, client, `http://127.0.0.1:${String(deaf.port)}/`, {
      ...upload,
      timeoutMs: 300,
      body: new StreamedBody([file]),
    });
    expect(failed).toMatchObject({ status: 0, error: 'timeout', firstByteUs: 0 });
    expect(failed.sendingUs).toBe(failed.endedUs - failed.sentUs);
    expect(failed.bytesSent).toBeLessThan(32 * MIB);
  });
});

describe('a streamed body', () => {
  test('is cut off by an answer that comes before its end, which counts; the connection is not used again', async () => {
    const file = await store(64 * MIB);
    const early = await startRawServer((socket) => {
      socket.pause();
      socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno');
    });
    closers.push(() => early.close());
    const { context, client } = openContext();
    for (const connection of [1, 2]) {
      const answer = await ask(context, client, `http://127.0.0.1:${String(early.port)}/`, { ...upload, body: new StreamedBody([file]) });
      expect(answer).toMatchObject({ status: 413, error: undefined });
      expect(answer.bytesSent).toBeLessThan(32 * MIB);
      expect(early.accepted).toBe(connection);
    }
  });

  test('is over when the connection breaks in its middle, or the request is aborted', async () => {
    const file = await store(64 * MIB);
    let received = 0;
    const breaking = await startRawServer((socket, text) => {
      received += text.length;
      if (received > MIB) socket.resetAndDestroy();
    });
    closers.push(() => breaking.close());
    const { context, client } = openContext();
    const body = new StreamedBody([file]);
    const broken = await ask(context, client, `http://127.0.0.1:${String(breaking.port)}/`, { ...upload, body });
    expect(broken).toMatchObject({ status: 0, error: 'connect-reset' });
    expect(broken.sendingUs).toBe(broken.endedUs - broken.sentUs);
    const deaf = await startRawServer((socket) => void socket.pause());
    closers.push(() => deaf.close());
    const asked = ask(context, client, `http://127.0.0.1:${String(deaf.port)}/`, { ...upload, body });
    await waitUntil('it has begun', () => deaf.received.length > 0);
    client.abort();
    expect(await asked).toMatchObject({ status: 0, error: 'aborted' });
  });

  test('of 64 MiB, sent by eight VUs at once, is not held in memory', async () => {
    const file = await store(64 * MIB);
    const sink = await startSink();
    const { context } = openContext();
    const body = new StreamedBody([file]);
    const clients = Array.from({ length: 8 }, () => context.createClient());
    closers.push(() => {
      for (const client of clients) client.close();
    });
    // The first round opens the connections and warms up what any upload needs.
    const small = new StreamedBody([{ descriptor: file.descriptor, length: MIB }]);
    await Promise.all(clients.map((client) => ask(context, client, sink, { ...upload, body: small })));
    const before = process.memoryUsage.rss();
    let peak = before;
    const look = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
    const answers = await Promise.all(clients.map((client) => ask(context, client, sink, { ...upload, timeoutMs: 50_000, body })));
    clearInterval(look);
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, error: undefined, bytesSent: answer.head.length + 64 * MIB });
    expect((peak - before) / MIB).toBeLessThan(40);
  });
});

async function readAll({ handle, length }: { readonly handle: FileHandle; readonly length: number }): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  await handle.read(bytes, 0, length, 0);
  return bytes;
}

/** A server in a process of its own, so that what it holds is not ours: reads everything, answers with nothing. */
async function startSink(): Promise<string> {
  const script = `
    const server = require('node:http').createServer((request, response) => request.resume().on('end', () => response.end()));
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  closers.push(async () => {
    const exited = once(child, 'exit');
    child.kill();
    await exited;
  });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return `http://127.0.0.1:${port.toString().trim()}/`;
}
