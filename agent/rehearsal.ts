import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Clock } from '../shared/base/index.ts';
import { HTTP_DEFAULTS, type Load, type Plan, type Workload } from '../shared/plan/index.ts';
import { encodeBatch } from '../shared/wire/index.ts';
import { Engine } from './engine.ts';

/** Code that runs for the first time runs some ten times slower, and the compiler then competes for the core: an agent that did nothing
 *  yet fires the first arrivals of its first run milliseconds late, and needs 8 ms to seal its first interval.
 *  So it rehearses: a short open and a short closed load on a server of its own on loopback, whose results go nowhere. */
const REHEARSALS: readonly Load[] = [
  { kind: 'constant-vus', vus: 8, durationUs: 500_000 },
  {
    kind: 'constant-arrival-rate',
    arrivals: 'uniform',
    timeUnitUs: 1e6,
    segments: [{ durationUs: 250_000, startRate: 4_000, endRate: 4_000 }],
    preAllocatedVus: 8,
    maxVus: 32,
  },
];
/** Short, so that sealing is rehearsed too. */
const INTERVAL_MS = 10;
const TIMEOUT_MS = 1_000;
const RESPONSE = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nrehearsed';

/** Takes about 0.4 seconds, once per process. */
export async function rehearse(clock: Clock): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', () => socket.write(RESPONSE, 'latin1'));
    socket.on('close', () => sockets.delete(socket));
    // Clients leave without a word when the rehearsal is over.
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    for (const load of REHEARSALS) await play(load, server, clock);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
}

async function play(load: Load, server: Server, clock: Clock): Promise<void> {
  const { port } = server.address() as AddressInfo;
  const plan: Plan = {
    name: 'rehearsal',
    seed: 0,
    intervalMs: INTERVAL_MS,
    scenarios: [{ name: 'rehearsal', startUs: 0, gracefulStopUs: 0, load }],
  };
  let sequence = 0;
  const engine = await Engine.prepare({
    agentId: 'rehearsal',
    plan,
    epochs: [{ number: 0, fromUs: 0, owners: ['rehearsal'] }],
    workload: workload(`http://127.0.0.1:${port}/`),
    clock,
    isAllowed: (_host, asked) => asked === port,
    onSealed: (sealed) => {
      encodeBatch({ key: { agent: 'rehearsal', incarnation: '', sequence: sequence++ }, ...sealed });
    },
    outboxLength: () => 0,
  });
  await engine.run(clock.nowUs());
}

function workload(url: string): Workload {
  const step = {
    kind: 'request',
    name: 'rehearsal',
    method: 'GET',
    url: [url],
    headers: [],
    body: undefined,
    upload: undefined,
    auth: undefined,
    redirects: 0,
  } as const;
  return {
    flows: { rehearsal: { kind: 'steps', steps: [{ ...step, timeoutMs: TIMEOUT_MS, checks: [], captures: [] }] } },
    rows: {},
    script: undefined,
    env: {},
    target: '',
    http: HTTP_DEFAULTS,
    files: {},
    defaults: { timeoutMs: TIMEOUT_MS, headers: [] },
  };
}
