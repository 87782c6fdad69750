import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';

export interface Nginx {
  readonly url: string;
  /** A small JSON document: two products of a shop. */
  readonly jsonUrl: string;
  /** The same as `url`, over TLS with a certificate of nobody. */
  readonly httpsUrl: string;
  stop(): Promise<void>;
}

const TLS = join(import.meta.dirname, '..', 'support', 'tls');
const JSON_BODY = JSON.stringify({
  items: [
    { id: 'p-1', name: 'Lamp', price: 29.9 },
    { id: 'p-2', name: 'Desk', price: 129 },
  ],
});

/** When fewer than a sixteenth of its connections are free, nginx closes idle ones, also in the face of a request. */
const NGINX_HEADROOM = 1.1;

/** One nginx worker on a free loopback port that answers everything with the same few bytes and never closes one of so many connections. */
export async function startNginx(connections = 1024): Promise<Nginx> {
  const prefix = await mkdtemp(join(tmpdir(), 'muster-bench-'));
  const [port, tlsPort] = [await freePort(), await freePort()];
  await writeFile(
    join(prefix, 'nginx.conf'),
    `daemon off; master_process off; pid nginx.pid; error_log stderr;
     events { worker_connections ${String(Math.ceil(connections * NGINX_HEADROOM))}; }
     http {
       access_log off; keepalive_requests 1000000000;
       ssl_certificate ${join(TLS, 'localhost.cert.pem')}; ssl_certificate_key ${join(TLS, 'localhost.key.pem')};
       server {
         listen 127.0.0.1:${String(port)}; listen 127.0.0.1:${String(tlsPort)} ssl;
         location / { default_type text/plain; return 200 "passed muster\\n"; }
         location /json { default_type application/json; return 200 '${JSON_BODY}'; }
       }
     }`,
  );
  const nginx = spawn('nginx', ['-p', prefix, '-c', 'nginx.conf'], { stdio: ['ignore', 'ignore', 'inherit'] });
  await accepts(port, nginx);
  return {
    url: `http://127.0.0.1:${String(port)}/`,
    jsonUrl: `http://127.0.0.1:${String(port)}/json`,
    httpsUrl: `https://127.0.0.1:${String(tlsPort)}/`,
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
