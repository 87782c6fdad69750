import { createServer } from 'node:net';

/** A loopback port that nothing listens on now. Another process may still take it first, so whoever listens there must be able to fail. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a listening TCP server has a port');
  return address.port;
}
