import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

/** A server that speaks whatever bytes a test wants. */
export interface RawServer {
  readonly port: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Connections that stand now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Everything received on all connections, as latin1. */
  readonly received: string;
  close(): Promise<void>;
}

/** Listens on loopback; `onRequest` is called with every piece a client sends and the number of its connection, from 1. */
export async function startRawServer(
  onRequest: (socket: Socket, text: string, connection: number) => void,
  tls?: TlsOptions,
  host = '127.0.0.1',
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  let received = '';
  const accept = (socket: Socket): void => {
    const connection = ++accepted;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      received += text;
      onRequest(socket, text, connection);
    });
    // Clients under test break connections on purpose; 'close' tells all that matters.
    socket.on('error', () => sockets.delete(socket));
    socket.on('close', () => sockets.delete(socket));
  };
  const server: Server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept);
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    sockets,
    get received() {
      return received;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
