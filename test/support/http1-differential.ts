import { Agent, request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import {
  buildHead,
  createHttpContext,
  fieldsOf,
  HeadMemo,
  newExchange,
  type Exchange,
  type HttpClient,
  type HttpContext,
} from '../../agent/protocol/index.ts';
import { BODY_BYTES_MAX, HEAD_BYTES_MAX, systemClock } from '../../shared/base/index.ts';
import { intendedDifference } from './http1-intended-differences.ts';
import { servedExchange, type ServedExchange } from './http1-exchanges.ts';
import { startRawServer } from './raw-server.ts';

/** What a client made of an exchange. `illegal`: no HTTP; `cut`: the connection ended too early; `hung`: neither, for too long. */
export type Outcome =
  | { readonly kind: 'response'; readonly status: number; readonly headers: readonly string[]; readonly body: string }
  | { readonly kind: 'illegal' | 'cut' | 'hung'; readonly detail: string };

export interface Difference {
  readonly exchange: ServedExchange;
  readonly ours: Outcome;
  readonly nodes: Outcome;
}

export interface DifferentialResult {
  readonly exchanges: number;
  /** Of ours and Node's alike. */
  readonly outcomes: Readonly<Record<Outcome['kind'], number>>;
  /** How often each intended difference was met. */
  readonly intended: Readonly<Record<string, number>>;
  /** The first ones only. */
  readonly unintended: readonly Difference[];
  readonly unintendedCount: number;
  readonly hung: number;
}

const HUNG_MS = 20_000;
const UNINTENDED_SHOWN_MAX = 20;
/** Exchanges under way at once, each with both clients. */
const LANES = 24;

/** Serves exchanges `[from, from + count)` of `seed` to our client and to Node's, and compares what each made of them. */
export async function compareClients(seed: number, from: number, count: number): Promise<DifferentialResult> {
  const server = await startRawServer((socket, text) => {
    for (const [, index] of text.matchAll(/^[A-Z]+ \/(\d+) HTTP\/1\.1\r$/gm)) serve(socket, servedExchange(seed, Number(index)));
  });
  const context = createHttpContext({
    clock: systemClock,
    bodyBytesMax: BODY_BYTES_MAX,
    headBytesMax: HEAD_BYTES_MAX,
    isAllowed: () => true,
    tls: {},
  });
  const outcomes = { response: 0, illegal: 0, cut: 0, hung: 0 };
  const intended: Record<string, number> = {};
  const unintended: Difference[] = [];
  let unintendedCount = 0;
  let hung = 0;
  let next = from;
  const lane = async (): Promise<void> => {
    const ours = new OurClient(context, server.port);
    const nodes = new NodeClient(server.port);
    while (next < from + count) {
      const exchange = servedExchange(seed, next++);
      const [our, node] = await Promise.all([ours.ask(exchange), nodes.ask(exchange)]);
      if (our.kind === 'hung' || node.kind === 'hung') hung++;
      if (isSame(our, node)) {
        outcomes[our.kind]++;
        continue;
      }
      const name = intendedDifference(exchange, our, node);
      if (name !== undefined) {
        intended[name] = (intended[name] ?? 0) + 1;
        continue;
      }
      unintendedCount++;
      if (unintended.length < UNINTENDED_SHOWN_MAX) unintended.push({ exchange, ours: our, nodes: node });
    }
    ours.close();
    nodes.close();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await context.close();
  await server.close();
  return { exchanges: count, outcomes, intended, unintended, unintendedCount, hung };
}

/** Every piece in a turn of its own, so that a reader sees them torn as they were meant to be. */
function serve(socket: Socket, exchange: ServedExchange): void {
  if (exchange.ending === 'reset') {
    socket.resetAndDestroy();
    return;
  }
  const pieces = [...exchange.cuts, exchange.message.length].map((cut, i) => exchange.message.slice(exchange.cuts[i - 1] ?? 0, cut));
  const writeNext = (): void => {
    if (socket.destroyed) return;
    const piece = pieces.shift();
    if (piece === undefined) {
      if (exchange.ending === 'end') socket.end();
      return;
    }
    if (piece !== '') socket.write(piece, 'latin1');
    setImmediate(writeNext);
  };
  writeNext();
}

function isSame(ours: Outcome, nodes: Outcome): boolean {
  if (ours.kind !== 'response' || nodes.kind !== 'response') return ours.kind === nodes.kind && ours.kind !== 'hung';
  if (ours.status !== nodes.status || ours.body !== nodes.body || ours.headers.length !== nodes.headers.length) return false;
  return ours.headers.every((text, i) => text === nodes.headers[i]);
}

/** One kept client for the exchanges that leave their connection fit for the next, a fresh one for every other. */
class OurClient {
  private readonly context: HttpContext;
  private readonly base: string;
  private readonly kept: HttpClient;
  /** As the requests of one step have it. */
  private readonly headMemo = new HeadMemo();

  constructor(context: HttpContext, port: number) {
    this.context = context;
    this.base = `http://127.0.0.1:${String(port)}`;
    this.kept = context.createClient();
  }

  ask({ index, method, ending }: ServedExchange): Promise<Outcome> {
    const target = this.context.parseUrl(`${this.base}/${String(index)}`)!;
    const head = buildHead(method, target.path, target.origin, [], undefined)!;
    const asked = { origin: target.origin, head, isHead: method === 'HEAD', timeoutMs: HUNG_MS, keepHeaders: true, keepBody: true };
    const exchange = { ...newExchange(), ...asked, headMemo: this.headMemo };
    const client = ending === 'keep' ? this.kept : this.context.createClient();
    return new Promise((resolve) => {
      client.send(exchange, (done) => {
        if (client !== this.kept) client.close();
        resolve(ourOutcome(done));
      });
    });
  }

  close(): void {
    this.kept.close();
  }
}

function ourOutcome({ status, error, responseHead, responseBody }: Exchange): Outcome {
  if (error === undefined)
    return { kind: 'response', status, headers: fieldsOf(responseHead), body: responseBody?.toString('latin1') ?? '' };
  return {
    kind: error === 'protocol' || error === 'body-too-large' ? 'illegal' : error === 'connect-reset' ? 'cut' : 'hung',
    detail: error,
  };
}

class NodeClient {
  private readonly port: number;
  private readonly kept = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(port: number) {
    this.port = port;
  }

  ask({ index, method, ending }: ServedExchange): Promise<Outcome> {
    return new Promise((resolve) => {
      const asked = request({
        host: '127.0.0.1',
        port: this.port,
        path: `/${String(index)}`,
        method,
        agent: ending === 'keep' ? this.kept : false,
        maxHeaderSize: HEAD_BYTES_MAX,
        timeout: HUNG_MS,
      });
      const fail = (error: Error): void => resolve(nodeFailure(error));
      asked.on('timeout', () => asked.destroy(new Error('hung')));
      asked.on('error', fail);
      // A protocol switch that nobody listens for closes the connection without an error.
      asked.on('close', () => resolve({ kind: 'cut', detail: 'closed without a word' }));
      asked.on('response', (response: IncomingMessage) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', fail);
        response.on('end', () => {
          const headers = response.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
          resolve({ kind: 'response', status: response.statusCode ?? 0, headers, body: Buffer.concat(pieces).toString('latin1') });
        });
      });
      asked.end();
    });
  }

  close(): void {
    this.kept.destroy();
  }
}

function nodeFailure(error: Error): Outcome {
  const code = 'code' in error ? String(error.code) : error.message;
  if (code === 'HPE_INVALID_EOF_STATE' || code === 'ECONNRESET') return { kind: 'cut', detail: code };
  return { kind: code.startsWith('HPE_') ? 'illegal' : 'hung', detail: code };
}
