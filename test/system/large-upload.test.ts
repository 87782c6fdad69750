import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectBalanced, Shell, summaryOf } from '../support/shell.ts';

let server: Server;
let shell: Shell;
/** SHA-256 of every body, with the length that was announced. */
const bodies: { readonly hash: string; readonly length: number }[] = [];

beforeAll(async () => {
  shell = new Shell();
  server = createServer((request, response) => {
    const hash = createHash('sha256');
    request.on('data', (bytes: Buffer) => hash.update(bytes));
    request.on('end', () => {
      bodies.push({ hash: hash.digest('hex'), length: Number(request.headers['content-length']) });
      response.end('ok');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  await shell.close();
  server.close();
});

test('a file too large for the workload reaches every agent, and the target whole, also as part of a form', async () => {
  const bytes = randomBytes(21_000_000);
  await writeFile(join(shell.dir, 'large.bin'), bytes);
  const flow = [
    { put: '/file', bodyFile: 'large.bin' },
    { post: '/form', multipart: { title: 'of ${iteration}', video: { file: 'large.bin' } } },
  ];
  const file = await shell.file({
    target: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    scenarios: { upload: { executor: 'shared-iterations', vus: 4, iterations: 8, flow } },
  });
  const ended = await shell.muster('run', file, '--agents', '2', '--json', '--quiet');
  const summary = summaryOf(ended);
  expectBalanced(summary);
  expect([ended.code, summary.ledger.completed, summary.run.agents.reported]).toEqual([0, 8, 2]);
  const whole = createHash('sha256').update(bytes).digest('hex');
  expect(bodies).toHaveLength(16);
  expect(bodies.filter(({ hash, length }) => hash === whole && length === bytes.length)).toHaveLength(8);
  expect(bodies.filter(({ length }) => length > bytes.length && length < bytes.length + 1000)).toHaveLength(8);
  expect(summary.metrics['data_sent']).toMatchObject({ type: 'counter' });
});
