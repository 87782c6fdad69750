#!/usr/bin/env node
/** The sample target: `node dist/examples/target/main.js [port] [host]`. Port 0 takes a free one; the first line on stdout is the URL. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createStorefront } from './storefront.ts';

const port = Number(process.argv[2] ?? process.env['PORT'] ?? 8080);
const host = process.argv[3] ?? process.env['HOST'] ?? '127.0.0.1';

const server = createServer({ keepAliveTimeout: 60_000 }, createStorefront());
server.on('error', (error) => {
  process.stderr.write(`sample target: ${error.message}\n`);
  process.exit(1);
});
server.listen(port, host, () => {
  const { port: taken } = server.address() as AddressInfo;
  process.stdout.write(`http://${host}:${taken}\n`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
  });
}
