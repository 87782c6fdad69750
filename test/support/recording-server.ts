import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Ends it. Without a call the client waits. */
  answer(status: number, body?: string, headers?: Readonly<Record<string, string>>): void;
}

/** An HTTP server on loopback that keeps every request whole and answers as the test says. */
export class RecordingServer {
  readonly requests: ReceivedRequest[] = [];
  connections = 0;
  private readonly server: Server;

  private constructor(onRequest: (request: ReceivedRequest, number: number) => void) {
    this.server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const received: ReceivedRequest = {
          method: request.method ?? '',
          url: request.url ?? '',
          headers: request.headers,
          body: Buffer.concat(pieces).toString('utf8'),
          answer: (status, body = '', headers = {}) => response.writeHead(status, headers).end(body),
        };
        onRequest(received, this.requests.push(received) - 1);
      });
    });
    this.server.on('connection', () => this.connections++);
  }

  static async start(onRequest: (request: ReceivedRequest, number: number) => void): Promise<RecordingServer> {
    const recording = new RecordingServer(onRequest);
    await new Promise<void>((resolve) => recording.server.listen(0, '127.0.0.1', resolve));
    return recording;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}
