import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A stretch of network that a test may cut or slow down: what connects to it is connected to `port` on loopback. */
export class TcpProxy {
  private readonly server: Server;
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private isCut = false;
  private delayMs = 0;

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(port: number): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    const proxy = new TcpProxy(server);
    server.on('connection', (socket) => {
      proxy.join(socket, port);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Breaks every connection and lets no new one through. */
  cut(): void {
    this.isCut = true;
    this.breakAll();
  }

  /** Everything that comes from now on, in either direction, is so much later; 0 for no delay. Order is kept. */
  delay(ms: number): void {
    this.delayMs = ms;
  }

  heal(): void {
    this.isCut = false;
    this.delayMs = 0;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.breakAll();
    await closed;
  }

  private breakAll(): void {
    for (const [near, far] of this.pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  private join(near: Socket, port: number): void {
    // Both ends may break at any time, which is what this is for.
    near.on('error', () => undefined);
    if (this.isCut) {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    far.on('error', () => undefined);
    const pair = [near, far] as const;
    this.pairs.add(pair);
    this.carry(near, far);
    this.carry(far, near);
    const part = (): void => {
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.once('close', part);
    far.once('close', part);
  }

  /** A line of its own for each direction: what was slowed down is not overtaken by what is not. */
  private carry(from: Socket, to: Socket): void {
    const line: { readonly atMs: number; readonly chunk: Buffer | 'end' }[] = [];
    let timer: NodeJS.Timeout | undefined;
    const pass = (): void => {
      timer = undefined;
      for (let [first] = line; first !== undefined; [first] = line) {
        const leftMs = first.atMs - performance.now();
        if (leftMs > 0) {
          timer = setTimeout(pass, Math.ceil(leftMs));
          return;
        }
        line.shift();
        if (to.destroyed) continue;
        if (first.chunk === 'end') to.end();
        else to.write(first.chunk);
      }
    };
    const take = (chunk: Buffer | 'end'): void => {
      line.push({ atMs: performance.now() + this.delayMs, chunk });
      if (timer === undefined) pass();
    };
    from.on('data', take);
    from.on('end', () => {
      take('end');
    });
  }
}
