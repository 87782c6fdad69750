import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface Http2Server {
  readonly port: number;
  readonly url: string;
  /** Streams that arrived so far. */
  readonly arrived: number;
  /** Most streams open at once so far. */
  readonly openMax: number;
  /** Every session so far, oldest first. */
  readonly sessions: readonly ServerHttp2Session[];
  close(): Promise<void>;
}

export type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, number: number) => void;

interface Options {
  /** Over TLS when given; with `allowHTTP1` it also offers HTTP/1.1 and answers that with 200. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly allowHTTP1?: boolean };
  readonly settings?: Settings;
}

/** Node's own HTTP/2 server on loopback: without TLS for clients with prior knowledge. Streams are numbered from 1. */
export async function startHttp2Server(onStream: OnStream, { tls, settings = {} }: Options = {}): Promise<Http2Server> {
  const server = tls === undefined ? createServer({ settings }) : createSecureServer({ ...tls, settings });
  const sessions: ServerHttp2Session[] = [];
  let [arrived, open, openMax] = [0, 0, 0];
  server.on('session', (session) => {
    sessions.push(session);
    // Clients under test break sessions on purpose.
    session.on('error', () => undefined);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    arrived++;
    open++;
    openMax = Math.max(openMax, open);
    stream.on('close', () => open--);
    stream.on('error', () => undefined);
    onStream(stream, headers, arrived);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(port)}/`,
    get arrived() {
      return arrived;
    },
    get openMax() {
      return openMax;
    },
    sessions,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}
