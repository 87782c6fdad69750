import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createStorefront } from '../../examples/target/storefront.ts';
import { systemClock } from '../../shared/base/index.ts';
import { BytewiseSocket } from './bytewise.ts';
import { latencyUs, type Latency } from './latency.ts';

/** What a path does with a request that has arrived and is counted. Plain JSON: it travels to a target in another process. */
export interface Behaviour {
  /** From the arrival to the answer, at least. None when left out. */
  readonly latency?: Latency;
  readonly status?: number;
  /** Requests nth, 2·nth, 3·nth, … of the path get this status. */
  readonly failEvery?: { readonly nth: number; readonly status: number };
  /** The first so many requests of the path get this status. */
  readonly failFirst?: { readonly count: number; readonly status: number };
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly framing?: 'length' | 'chunked' | 'until-close';
  /** `close`: the connection ends without an answer; `reset`: the same with a TCP reset; `cut`: it ends in the middle of the body;
   *  `never`: it stays open and silent. */
  readonly ending?: 'whole' | 'close' | 'reset' | 'cut' | 'never';
}

export interface TargetOptions {
  readonly port?: number;
  /** By path without query; `*` for every other path. Paths without a behaviour are the sample shop's. */
  readonly behaviours?: Readonly<Record<string, Behaviour>>;
  /** `serve` as usual, `bytewise` sends every answer one byte at a time, `ignore` accepts connections and never reads from them. */
  readonly connections?: 'serve' | 'bytewise' | 'ignore';
}

export interface Arrival {
  readonly path: string;
  readonly method: string;
  /** When the head had been read: microseconds since the Unix epoch, on the same clock as `systemClock`. */
  readonly atUs: number;
  /** From there until the answer was handed to the kernel, the target's own view of how long it took; `undefined` without an answer. */
  readonly serviceUs: number | undefined;
  readonly status: number | undefined;
  /** 0 for the first connection, 1 for the second, … */
  readonly connection: number;
}

/** All that the target saw since it started or was last reset. */
export interface TargetLog {
  readonly total: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly arrivals: readonly Arrival[];
  readonly connectionsOpened: number;
  /** Moments at which the target's own event loop was late, in their order: what a test may blame on the machine. */
  readonly stalls: readonly Stall[];
  /** The longest that it was late, however short. */
  readonly loopDelayMaxUs: number;
}

/** An event loop was late. Instants are microseconds since the Unix epoch. */
export interface Stall {
  /** It was last seen in time. */
  readonly fromUs: number;
  readonly toUs: number;
  readonly lateUs: number;
}

/** How often the event loop is asked whether it is late. */
const LOOP_DELAY_EVERY_MS = 5;
/** Shorter ones are what a timer of whole milliseconds is off. */
const STALL_MIN_US = 1_500;
/** Past this many only the longest is known. */
const STALLS_MAX = 100_000;

/** Past this many, requests are counted and no longer listed. */
const ARRIVALS_MAX = 1_000_000;

interface LoggedArrival extends Arrival {
  serviceUs: number | undefined;
  status: number | undefined;
}

/** A programmable HTTP server on loopback that keeps a log of every request: the other side's truth about what was sent. */
export class Target {
  private readonly server: Server;
  private readonly listener: TcpServer;
  private readonly sockets = new Set<Socket>();
  private readonly connectionNumbers = new WeakMap<Duplex, number>();
  private readonly storefront = createStorefront();
  private readonly behaviours: Map<string, Behaviour>;
  private counts = new Map<string, number>();
  private arrivals: LoggedArrival[] = [];
  /** Requests seen since the start or the last reset. */
  total = 0;
  private connectionsOpened = 0;
  private frozenFromUs = 0;
  private frozenToUs = 0;
  private nextFreeze: { readonly afterUs: number; readonly forUs: number } | undefined;
  private stalls: Stall[] = [];
  private loopDelayMaxUs = 0;
  private probedUs = systemClock.nowUs();
  private readonly probe = setInterval(() => {
    this.onProbe();
  }, LOOP_DELAY_EVERY_MS).unref();

  private constructor(options: TargetOptions) {
    this.behaviours = new Map(Object.entries(options.behaviours ?? {}));
    this.server = createServer({ keepAliveTimeout: 600_000, requestTimeout: 0, headersTimeout: 0 }, (request, response) => {
      this.onRequest(request, response);
    });
    const connections = options.connections ?? 'serve';
    this.listener = createTcpServer({ pauseOnConnect: connections === 'ignore', noDelay: true }, (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
      // A client that goes away is no news to a target.
      socket.on('error', () => {});
      const connection = connections === 'bytewise' ? new BytewiseSocket(socket) : socket;
      this.connectionNumbers.set(connection, this.connectionsOpened++);
      if (connections !== 'ignore') this.server.emit('connection', connection);
    });
  }

  static async start(options: TargetOptions = {}): Promise<Target> {
    const target = new Target(options);
    await new Promise<void>((resolve, reject) => {
      target.listener.once('error', reject);
      target.listener.listen(options.port ?? 0, '127.0.0.1', 4_096, resolve);
    });
    return target;
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** From the next request on, `path` (or `*`) behaves so. */
  behave(path: string, behaviour: Behaviour): void {
    this.behaviours.set(path, behaviour);
  }

  /** Nothing is answered between the two instants (microseconds since the Unix epoch); what falls due there is answered at the end. */
  freeze(fromUs: number, toUs: number): void {
    this.frozenFromUs = fromUs;
    this.frozenToUs = toUs;
  }

  /** The same, counted from the arrival of the next request: `afterUs` later it freezes, `forUs` later it thaws. */
  freezeAfterFirst(afterUs: number, forUs: number): void {
    this.nextFreeze = { afterUs, forUs };
  }

  /** A copy: later requests do not change it. */
  log(): TargetLog {
    return {
      total: this.total,
      counts: Object.fromEntries(this.counts),
      arrivals: this.arrivals.map((arrival) => ({ ...arrival })),
      connectionsOpened: this.connectionsOpened,
      stalls: [...this.stalls],
      loopDelayMaxUs: this.loopDelayMaxUs,
    };
  }

  count(path: string): number {
    return this.counts.get(path) ?? 0;
  }

  /** Forgets what it saw; behaviours and connections stay, and numbers for `latency` and `failEvery` begin again. */
  reset(): void {
    this.total = 0;
    this.counts = new Map();
    this.arrivals = [];
    this.connectionsOpened = 0;
    this.stalls = [];
    this.loopDelayMaxUs = 0;
  }

  async stop(): Promise<void> {
    clearInterval(this.probe);
    const closed = new Promise((resolve) => this.listener.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await closed;
  }

  private onProbe(): void {
    const fromUs = this.probedUs;
    const toUs = systemClock.nowUs();
    const lateUs = toUs - fromUs - LOOP_DELAY_EVERY_MS * 1_000;
    this.probedUs = toUs;
    this.loopDelayMaxUs = Math.max(this.loopDelayMaxUs, lateUs);
    if (lateUs > STALL_MIN_US && this.stalls.length < STALLS_MAX) this.stalls.push({ fromUs, toUs, lateUs });
  }

  private onRequest(request: IncomingMessage, response: ServerResponse): void {
    const atUs = systemClock.nowUs();
    if (this.nextFreeze !== undefined) {
      const { afterUs, forUs } = this.nextFreeze;
      this.nextFreeze = undefined;
      this.freeze(atUs + afterUs, atUs + afterUs + forUs);
    }
    const path = (request.url ?? '/').replace(/[?#].*$/, '');
    const number = this.counts.get(path) ?? 0;
    this.counts.set(path, number + 1);
    this.total++;
    const arrival: LoggedArrival = {
      path,
      method: request.method ?? '',
      atUs,
      serviceUs: undefined,
      status: undefined,
      connection: this.connectionNumbers.get(request.socket) ?? -1,
    };
    if (this.arrivals.length < ARRIVALS_MAX) this.arrivals.push(arrival);
    response.once('finish', () => {
      arrival.serviceUs = systemClock.nowUs() - atUs;
      arrival.status = response.statusCode;
    });

    const behaviour = this.behaviours.get(path) ?? this.behaviours.get('*');
    if (behaviour === undefined) {
      this.whenDue(atUs, () => this.storefront(request, response));
      return;
    }
    request.resume();
    request.once('end', () => {
      const dueUs = behaviour.latency === undefined ? atUs : atUs + latencyUs(behaviour.latency, number);
      this.whenDue(dueUs, () => respond(behaviour, number, request, response));
    });
  }

  /** Node's timers know whole milliseconds and may be early, so the last one is waited for turn by turn: late by a turn, never early. */
  private whenDue(dueUs: number, act: () => void): void {
    const nowUs = systemClock.nowUs();
    const isFrozen = nowUs >= this.frozenFromUs && nowUs < this.frozenToUs;
    const leftUs = Math.max(dueUs, isFrozen ? this.frozenToUs : 0) - nowUs;
    const again = (): void => this.whenDue(dueUs, act);
    if (leftUs <= 0) act();
    else if (leftUs < 1_000) setImmediate(again);
    else setTimeout(again, Math.floor(leftUs / 1_000)).unref();
  }
}

function respond(behaviour: Behaviour, number: number, request: IncomingMessage, response: ServerResponse): void {
  const { failEvery, failFirst, body = 'ok', framing = 'length', ending = 'whole' } = behaviour;
  if (ending === 'never' || request.socket.destroyed) return;
  if (ending === 'close') {
    request.socket.end();
    return;
  }
  if (ending === 'reset') {
    request.socket.resetAndDestroy();
    return;
  }
  const isFailed = failEvery !== undefined && (number + 1) % failEvery.nth === 0;
  response.statusCode = isFailed ? failEvery.status : (behaviour.status ?? 200);
  if (failFirst !== undefined && number < failFirst.count) response.statusCode = failFirst.status;
  for (const [name, value] of Object.entries(behaviour.headers ?? {})) response.setHeader(name, value);
  if (framing === 'length') response.setHeader('content-length', Buffer.byteLength(body));
  if (framing === 'until-close') {
    response.setHeader('connection', 'close');
    response.useChunkedEncodingByDefault = false;
  }
  const half = body.slice(0, Math.ceil(body.length / 2));
  if (ending === 'cut') {
    response.write(half);
    request.socket.end();
    return;
  }
  if (framing === 'chunked') response.write(half);
  response.end(framing === 'chunked' ? body.slice(half.length) : body);
}
