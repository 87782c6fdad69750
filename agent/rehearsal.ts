import { once } from 'node:events';
import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { Clock, Rehearsal } from '../shared/base/index.ts';
import { HTTP_DEFAULTS, TLS_DEFAULTS, type Capture, type Check, type Load, type Plan, type Workload } from '../shared/plan/index.ts';
import { encodeBatch } from '../shared/wire/index.ts';
import { Engine } from './engine.ts';
import type { LoadedScript } from './flow/script-module.ts';
import { REHEARSAL_IDENTITY } from './rehearsal-identity.ts';

/** Code that runs for the first time runs some ten times slower, and the compiler then competes for the core: an agent that did nothing
 *  yet fires the first arrivals of its first run milliseconds late, and needs 8 ms to seal its first interval.
 *  So it rehearses: short closed and open loads on a server of its own on loopback, whose results go nowhere. More than one round,
 *  because what was compiled for the first load only is thrown away and compiled again when the second one looks different. A short
 *  rehearsal is one round: no code runs for the first time under load, but little of it is compiled. */
const ROUNDS = {
  on: {
    // First, so that compiled code has met both kinds of sockets when the rounds that count begin: had plain ones been all, the first load
    // over TLS would throw it away. Enough of it for first arrivals to be punctual; more makes a saturated load over TLS no quicker.
    https: [
      ['plain', counted(160)],
      ['plain', open(150_000)],
      ['step', open(100_000)],
    ],
    http: [
      ['plain', closed(200_000)],
      ['plain', open(300_000)],
      ['step', closed(200_000)],
      ['function', closed(400_000)],
      ['plain', closed(200_000)],
      ['plain', open(500_000)],
      ['step', closed(200_000)],
      ['plain', closed(200_000)],
      ['plain', open(1_500_000)],
    ],
  },
  short: { https: [], http: [['plain', open(100_000)]] },
  off: { https: [], http: [] },
} as const satisfies Readonly<Record<Rehearsal, Readonly<Record<Scheme, Rounds>>>>;

type Scheme = 'https' | 'http';
type Rounds = readonly (readonly [Act, Load])[];

/** What an iteration does: a bare request, a step whose answer is looked at, or a function. */
type Act = 'plain' | 'step' | 'function';

/** Short, so that sealing is rehearsed too. */
const INTERVAL_MS = 10;
const TIMEOUT_MS = 1_000;
/** The shapes that servers answer in, so that none of them is a surprise to compiled code. */
const ANSWERS: readonly string[] = [
  'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nrehearsed',
  'HTTP/1.1 200 OK\r\nServer: rehearsal\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 9\r\n' +
    'Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\nETag: "0-0"\r\nAccept-Ranges: bytes\r\n' +
    // A cookie that the next request brings back, and one that the list of public suffixes is asked about.
    'Set-Cookie: a=1; Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT; Max-Age=60\r\nSet-Cookie: b=2; Domain=rehearsal.example.com\r\n\r\nrehearsed',
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: a=; Path=/; Max-Age=0\r\ntransfer-encoding: chunked\r\n\r\n9\r\nrehearsed\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n{"items":[{"id":"a"}],"n":1.5}\n',
  'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n',
];
const LAST_ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nrehearsed';
/** A connection lasts this many answers. */
const KEPT_ANSWERS = 200;

/** A thread of its own, so that the compiler sees the sockets of the agent only, not those of a server. Plain text, because a worker of
 *  TypeScript source has no loader of its own. Clients leave without a word when a round is over: hence the empty error handler. */
const SERVER = `
const net = require('node:net');
const tls = require('node:tls');
const { parentPort, workerData: { answers, lastAnswer, keptAnswers, identity } } = require('node:worker_threads');
const server = identity === undefined ? net.createServer(serve) : tls.createServer(identity, serve);
function serve(socket) {
  let answered = 0;
  socket.on('data', () => {
    if (++answered === keptAnswers) socket.end(lastAnswer, 'latin1');
    else socket.write(answers[answered % answers.length], 'latin1');
  });
  socket.on('error', () => {});
}
server.on('tlsClientError', () => {});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

/** Kept for the life of the process: code that was compiled for the shapes of objects is thrown away with the last object of that shape. */
const rehearsed: Engine[] = [];

/** Once per process. Returns how many requests were answered. */
export async function rehearse(rehearsal: Rehearsal, clock: Clock): Promise<Readonly<Record<Scheme, number>>> {
  const rounds = ROUNDS[rehearsal];
  return { https: await playAll('https', rounds.https, clock), http: await playAll('http', rounds.http, clock) };
}

async function playAll(scheme: Scheme, rounds: Rounds, clock: Clock): Promise<number> {
  if (rounds.length === 0) return 0;
  const identity = scheme === 'https' ? REHEARSAL_IDENTITY : undefined;
  const workerData = { answers: ANSWERS, lastAnswer: LAST_ANSWER, keptAnswers: KEPT_ANSWERS, identity };
  const server = new Worker(SERVER, { eval: true, workerData });
  // Results are written while requests are: the sockets below both then meet strings and bytes, those read on the spot and those not.
  const plane = new Socket().on('data', () => undefined).on('error', () => undefined);
  try {
    const [port] = (await once(server, 'message')) as [number];
    plane.connect(port, '127.0.0.1');
    let answered = 0;
    for (const [act, load] of rounds) answered += await play(act, load, scheme, port, plane, clock);
    return answered;
  } finally {
    plane.destroy();
    await server.terminate();
  }
}

const CHECKS: readonly Check[] = [{ name: 'rehearsal', subject: { kind: 'status' }, test: { op: '==', value: 200 } }];
const CAPTURES: readonly Capture[] = [{ name: 'rehearsal', from: { kind: 'json', path: ['items', 0, 'id'] } }];
const SCRIPT: LoadedScript = {
  flows: new Map([
    [
      'rehearsal',
      async (vu) => {
        const response = await vu.http.get('/');
        vu.check('rehearsal', response.status === 200 && response.json('$.items[0].id') !== undefined);
      },
    ],
  ]),
  cleanUps: new Map(),
  setup: undefined,
  teardown: undefined,
  origin: undefined,
};

function closed(durationUs: number): Load {
  return { kind: 'constant-vus', vus: 8, durationUs };
}

/** Takes as long as it takes. */
function counted(iterations: number): Load {
  return { kind: 'shared-iterations', vus: 8, iterations, maxDurationUs: 10_000_000 };
}

function open(durationUs: number): Load {
  return {
    kind: 'constant-arrival-rate',
    arrivals: 'uniform',
    timeUnitUs: 1e6,
    segments: [{ durationUs, startRate: 4_000, endRate: 4_000 }],
    preAllocatedVus: 8,
    maxVus: 32,
  };
}

/** Returns how many requests were answered. */
async function play(act: Act, load: Load, scheme: Scheme, port: number, plane: Socket, clock: Clock): Promise<number> {
  const plan: Plan = {
    name: 'rehearsal',
    seed: 0,
    intervalMs: INTERVAL_MS,
    scenarios: [{ name: 'rehearsal', startUs: 0, gracefulStopUs: 0, load }],
  };
  let sequence = 0;
  let answered = 0;
  const answers = new Set<number>();
  const engine = await Engine.prepare({
    agentId: 'rehearsal',
    plan,
    epochs: [{ number: 0, fromUs: 0, owners: ['rehearsal'] }],
    workload: workload(act, `${scheme}://127.0.0.1:${port}`),
    script: SCRIPT,
    clock,
    isAllowed: (_host, asked) => asked === port,
    onSealed: (sealed) => {
      for (const { number, metric, tags } of sealed.defines) if (metric === 'http_reqs' && tags['status'] !== '0') answers.add(number);
      for (const { series, count } of sealed.counters) if (answers.has(series)) answered += count;
      plane.write(encodeBatch({ key: { agent: 'rehearsal', incarnation: '', sequence: sequence++ }, ...sealed }));
    },
    outboxLength: () => 0,
  });
  rehearsed.push(engine);
  await engine.run(clock.nowUs());
  return answered;
}

function workload(act: Act, target: string): Workload {
  const step = {
    kind: 'request',
    name: 'rehearsal',
    method: 'GET',
    url: [`${target}/`],
    headers: [],
    body: undefined,
    upload: undefined,
    auth: undefined,
    redirects: 0,
    timeoutMs: TIMEOUT_MS,
    checks: act === 'plain' ? [] : CHECKS,
    captures: act === 'plain' ? [] : CAPTURES,
  } as const;
  return {
    flows: { rehearsal: act === 'function' ? { kind: 'script', scenario: 'rehearsal' } : { kind: 'steps', steps: [step] } },
    rows: {},
    script: undefined,
    env: {},
    target,
    http: { ...HTTP_DEFAULTS, cookies: 'per-vu', tls: { ...TLS_DEFAULTS, insecure: true } },
    files: {},
    defaults: { timeoutMs: TIMEOUT_MS, headers: [] },
  };
}
