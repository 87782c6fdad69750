import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';

export interface Nginx {
  readonly url: string;
  stop(): Promise<void>;
}

/** One nginx worker on a free loopback port that answers everything with the same few bytes and never closes a connection. */
export async function startNginx(connections = 1024): Promise<Nginx> {
  const prefix = await mkdtemp(join(tmpdir(), 'muster-bench-'));
  const port = await freePort();
  await writeFile(
    join(prefix, 'nginx.conf'),
    `daemon off; master_process off; pid nginx.pid; error_log stderr;
     events { worker_connections ${String(connections)}; }
     http {
       access_log off; keepalive_requests 1000000000;
       server { listen 127.0.0.1:${String(port)}; location / { default_type text/plain; return 200 "passed muster\\n"; } }
     }`,
  );
  const nginx = spawn('nginx', ['-p', prefix, '-c', 'nginx.conf'], { stdio: ['ignore', 'ignore', 'inherit'] });
  await accepts(port, nginx);
  return {
    url: `http://127.0.0.1:${String(port)}/`,
    stop: async () => {
      if (nginx.exitCode === null) {
        nginx.kill();
        await once(nginx, 'exit');
      }
      await rm(prefix, { recursive: true });
    },
  };
}

/** Resolves when something accepts connections on `port`; throws when the server ended instead. */
async function accepts(port: number, server: ChildProcess): Promise<void> {
  const ended = once(server, 'exit');
  for (;;) {
    if (server.exitCode !== null) throw new Error('nginx did not start');
    const socket = connect({ host: '127.0.0.1', port });
    const outcome = await Promise.race([
      once(socket, 'connect').then(
        () => 'accepted' as const,
        () => 'refused' as const,
      ),
      ended,
    ]);
    socket.destroy();
    if (outcome === 'accepted') return;
  }
}
