import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Clock } from '../../shared/base/index.ts';
import { patternNamed, type Pattern } from './patterns.ts';

/** What the server did with the requests of one pattern, in the order of their answers. Microseconds on the server's clock. */
export interface PatternLog {
  readonly numbers: number[];
  /** When the request had been read. */
  readonly arrivedUs: number[];
  /** Just before its answer was handed to the kernel: whoever sees the answer sees it later. */
  readonly answeredUs: number[];
}

export type ReferenceLog = Readonly<Record<string, PatternLog>>;

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok';
const UNKNOWN = 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n';
/** Path that is answered at once and not listed: for rates that a list would slow down. */
export const AT_ONCE = '/at-once';
/** Requests listed; a longer calibration than this is not asked for. */
const LISTED_MAX = 2_000_000;
/** An agent's request head is some hundred bytes. */
const HEAD_CHARS_MAX = 16_384;

/** An HTTP server on loopback whose latency is known by construction: GET /<pattern>/<n> takes what the pattern says of n. Its own timers
 *  are late by up to a millisecond or so; therefore it writes down what it really did, and that is the truth to compare with. */
export class ReferenceServer {
  private readonly clock: Clock;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private logs: Record<string, PatternLog> = {};
  private listed = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.server = createServer({ noDelay: true }, (socket) => {
      this.serve(socket);
    });
  }

  /** Resolves with the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(0, '127.0.0.1', 4_096, resolve);
    });
    return (this.server.address() as AddressInfo).port;
  }

  /** Hands over the log and begins a new one. */
  takeLog(): ReferenceLog {
    const { logs } = this;
    this.logs = {};
    this.listed = 0;
    return logs;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private serve(socket: Socket): void {
    let unread = '';
    this.sockets.add(socket);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      unread += text;
      for (let end = unread.indexOf('\r\n\r\n'); end >= 0; end = unread.indexOf('\r\n\r\n')) {
        const path = unread.split(' ', 2)[1] ?? '';
        unread = unread.slice(end + 4);
        this.answer(path, socket);
      }
      if (unread.length > HEAD_CHARS_MAX) socket.destroy();
    });
    // A client that goes away is no news.
    socket.on('error', () => undefined);
    socket.once('close', () => this.sockets.delete(socket));
  }

  private answer(path: string, socket: Socket): void {
    if (path === AT_ONCE) {
      socket.write(ANSWER, 'latin1');
      return;
    }
    const arrivedUs = this.clock.nowUs();
    const [, name = '', number = ''] = /^\/([\w-]+)\/(\d+)$/.exec(path) ?? [];
    const pattern = patternNamed(name);
    if (pattern === undefined) {
      socket.write(UNKNOWN, 'latin1');
      return;
    }
    this.answerWhenDue(pattern, Number(number), arrivedUs, socket);
  }

  /** Node's timers may be early by a fraction of a millisecond; then it waits again. Turning the loop meanwhile would be closer, and take
   *  the core from those who are measured. */
  private answerWhenDue(pattern: Pattern, n: number, arrivedUs: number, socket: Socket): void {
    const nowUs = this.clock.nowUs();
    const leftUs = arrivedUs + pattern.latencyUs(n) - nowUs;
    if (leftUs > 0) {
      setTimeout(
        () => {
          this.answerWhenDue(pattern, n, arrivedUs, socket);
        },
        Math.ceil(leftUs / 1_000),
      );
      return;
    }
    this.list(pattern.name, n, arrivedUs, nowUs);
    socket.write(ANSWER, 'latin1');
  }

  private list(name: string, n: number, arrivedUs: number, answeredUs: number): void {
    if (this.listed++ >= LISTED_MAX) return;
    const log = (this.logs[name] ??= { numbers: [], arrivedUs: [], answeredUs: [] });
    log.numbers.push(n);
    log.arrivedUs.push(arrivedUs);
    log.answeredUs.push(answeredUs);
  }
}
