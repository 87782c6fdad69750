import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface BootedServer {
  readonly id: string;
  readonly name: string;
  readonly createdMs: number;
}

/** A small compute service that keeps state: tokens are given out, and servers are BUILD for a while before they are ACTIVE. */
export class ComputeApi {
  /** Servers that exist now, by id. */
  readonly servers = new Map<string, BootedServer>();
  created = 0;
  requests = 0;
  /** How long a server stays in BUILD; `Infinity` for ever. */
  bootMs = 150;
  private tokens = 0;
  private readonly http: Server;

  private constructor() {
    this.http = createServer((request, response) => {
      this.requests++;
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        this.answer(request, Buffer.concat(pieces).toString('utf8'), response);
      });
    });
  }

  static async start(): Promise<ComputeApi> {
    const api = new ComputeApi();
    await new Promise<void>((resolve) => api.http.listen(0, '127.0.0.1', resolve));
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.http.close(resolve));
    this.http.closeAllConnections();
    await closed;
  }

  private answer(request: IncomingMessage, body: string, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://compute.test');
    const asked = `${request.method ?? ''} ${pathname}`;
    if (asked === 'POST /v3/auth/tokens') {
      response.writeHead(201, { 'x-subject-token': `token-${++this.tokens}` }).end('{}');
      return;
    }
    if (!/^token-\d+$/.test(request.headers['x-auth-token']?.toString() ?? '')) {
      json(response, 401, { error: 'authenticate first' });
      return;
    }
    if (asked === 'POST /servers') {
      const { server } = JSON.parse(body) as { readonly server: { readonly name: string } };
      const booted = { id: `s-${++this.created}`, name: server.name, createdMs: performance.now() };
      this.servers.set(booted.id, booted);
      json(response, 202, { server: this.shown(booted) });
    } else if (asked === 'GET /servers') {
      const name = searchParams.get('name');
      const found = [...this.servers.values()].filter((server) => name === null || server.name === name);
      json(response, 200, { servers: found.map((server) => this.shown(server)) });
    } else {
      this.answerForOne(request.method ?? '', pathname.replace(/^\/servers\//, ''), response);
    }
  }

  private answerForOne(method: string, id: string, response: ServerResponse): void {
    const server = this.servers.get(id);
    if (server === undefined) json(response, 404, { error: `no server ${id}` });
    else if (method === 'DELETE') {
      this.servers.delete(id);
      response.writeHead(204).end();
    } else json(response, 200, { server: this.shown(server) });
  }

  private shown({ id, name, createdMs }: BootedServer): object {
    return { id, name, status: performance.now() - createdMs >= this.bootMs ? 'ACTIVE' : 'BUILD' };
  }
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
