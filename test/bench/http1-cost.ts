/** CPU per request of the HTTP/1.1 load path beside wrk, autocannon and a bare socket, in interleaved rounds on one core against nginx on
 *  another. Ratios to wrk are what counts: absolute numbers follow the machine and its neighbours.
 *
 *    npx tsx test/bench/http1-cost.ts [rounds] [seconds]
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type OnReadOpts } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import autocannon from 'autocannon';
import { buildHead, createHttpContext, newExchange, type Exchange } from '../../agent/protocol/index.ts';
import { BODY_BYTES_MAX, HEAD_BYTES_MAX, systemClock } from '../../shared/base/index.ts';
import { isInstalled, LOAD_CORE, median, settle } from './machine.ts';
import { startNginx } from './nginx.ts';

const CONNECTIONS = 64;
const SELF = fileURLToPath(import.meta.url);
const run = promisify(execFile);

interface Cost {
  readonly requests: number;
  readonly cpuUs: number;
}

const loads: Record<string, (url: string, seconds: number) => Promise<number>> = {
  muster: loadWithMuster,
  'bare socket': loadWithBareSockets,
  autocannon: loadWithAutocannon,
};

const [role = '', ...rest] = process.argv.slice(2);
const load = loads[role];
if (load === undefined) await compare(Number(role || 5), Number(rest[0] ?? 3));
else await bePeer(load, rest[0] ?? '', Number(rest[1]));

async function compare(rounds: number, seconds: number): Promise<void> {
  const obstacle = await settle('nginx');
  if (obstacle !== undefined) {
    process.stdout.write(`skipped: ${obstacle}\n`);
    return;
  }
  const peers = Object.keys(loads);
  if (await isInstalled('wrk')) peers.unshift('wrk');
  else process.stdout.write('wrk is not installed: no ratios\n');
  const server = await startNginx();
  try {
    const costs = new Map<string, number[]>(peers.map((peer) => [peer, []]));
    for (let round = 1; round <= rounds; round++) {
      for (const peer of peers) {
        const { requests, cpuUs } = peer === 'wrk' ? await measureWrk(server.url, seconds) : await measurePeer(peer, server.url, seconds);
        costs.get(peer)?.push(cpuUs / requests);
        const perSecond = (requests / seconds).toFixed(0);
        process.stdout.write(`round ${String(round)}  ${peer.padEnd(12)} ${(cpuUs / requests).toFixed(2)} µs/request, ${perSecond}/s\n`);
      }
    }
    const wrk = costs.get('wrk');
    for (const [peer, each] of costs) {
      const ratio = wrk === undefined ? '' : `  ${(median(each) / median(wrk)).toFixed(2)} x wrk`;
      process.stdout.write(`median   ${peer.padEnd(12)} ${median(each).toFixed(2)} µs/request${ratio}\n`);
    }
  } finally {
    await server.stop();
  }
}

/** Runs a load in this process and prints what it cost: the load alone, without loading the program. */
async function bePeer(load: (url: string, seconds: number) => Promise<number>, url: string, seconds: number): Promise<void> {
  const before = process.cpuUsage();
  const requests = await load(url, seconds);
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(JSON.stringify({ requests, cpuUs: user + system } satisfies Cost));
}

async function measurePeer(peer: string, url: string, seconds: number): Promise<Cost> {
  const { stdout } = await run('taskset', ['-c', LOAD_CORE, process.execPath, '--import', 'tsx', SELF, peer, url, String(seconds)]);
  return JSON.parse(stdout) as Cost;
}

/** The shell's own `time` reads the child's resource usage. */
async function measureWrk(url: string, seconds: number): Promise<Cost> {
  const command = `TIMEFORMAT='cpu %3U %3S'; time taskset -c ${LOAD_CORE} wrk -t1 -c${String(CONNECTIONS)} -d${String(seconds)}s ${url}`;
  const { stdout, stderr } = await run('bash', ['-c', command]);
  const requests = /(\d+) requests in/.exec(stdout);
  const cpu = /cpu ([\d.]+) ([\d.]+)/.exec(stderr);
  if (requests === null || cpu === null) throw new Error(`wrk said: ${stdout}${stderr}`);
  return { requests: Number(requests[1]), cpuUs: (Number(cpu[1]) + Number(cpu[2])) * 1e6 };
}

async function loadWithMuster(url: string, seconds: number): Promise<number> {
  const context = createHttpContext({
    clock: systemClock,
    bodyBytesMax: BODY_BYTES_MAX,
    headBytesMax: HEAD_BYTES_MAX,
    isAllowed: () => true,
    tls: {},
  });
  const target = context.parseUrl(url);
  const head = target && buildHead('GET', target.path, target.origin, [], undefined);
  if (target === undefined || head === undefined) throw new Error(`cannot request ${url}`);
  const endUs = systemClock.nowUs() + seconds * 1e6;
  let requests = 0;
  const clients = Array.from({ length: CONNECTIONS }, () => context.createClient());
  await Promise.all(
    clients.map(
      (client) =>
        new Promise<void>((resolve, reject) => {
          const onDone = (exchange: Exchange): void => {
            if (exchange.error !== undefined || exchange.status !== 200) {
              reject(new Error(`request ended with ${exchange.error ?? String(exchange.status)}`));
              return;
            }
            requests++;
            if (exchange.endedUs < endUs) client.send(exchange, onDone);
            else resolve();
          };
          client.send({ ...newExchange(), origin: target.origin, head, timeoutMs: 10_000 }, onDone);
        }),
    ),
  );
  for (const client of clients) client.close();
  await context.close();
  return requests;
}

/** The floor: write, be told that something came, write again. Reads no response, keeps no time. */
async function loadWithBareSockets(url: string, seconds: number): Promise<number> {
  const { hostname, port, host } = new URL(url);
  const head = `GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
  const buffer = Buffer.alloc(64 * 1024);
  let requests = 0;
  let isOver = false;
  const timer = setTimeout(() => (isOver = true), seconds * 1000);
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const callback = (): boolean => {
        requests++;
        if (isOver) socket.destroy();
        else socket.write(head, 'latin1');
        return true;
      };
      const onread: OnReadOpts = { buffer, callback };
      const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
      socket.once('connect', () => socket.write(head, 'latin1'));
      await once(socket, 'close');
    }),
  );
  clearTimeout(timer);
  return requests;
}

async function loadWithAutocannon(url: string, seconds: number): Promise<number> {
  const { requests } = await autocannon({ url, connections: CONNECTIONS, duration: seconds });
  return requests.total;
}
