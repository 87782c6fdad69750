import type { Socket } from 'node:net';
import type { Origin } from '../exchange.ts';
import type { Proxy } from './proxy.ts';
import { HeadReader } from './head-reader.ts';

/** A proxy's answer to CONNECT; a longer one is illegal. */
const ANSWER_BYTES_MAX = 16 * 1024;

/** Asks the proxy at the other end of `socket` for a tunnel to `origin`, and tells once whether it is open. From then on the socket is the caller's. */
export function openTunnel(socket: Socket, origin: Origin, { authorization }: Proxy, done: (isOpen: boolean) => void): void {
  const reader = new HeadReader(ANSWER_BYTES_MAX);
  reader.begin(false);
  const host = origin.host.includes(':') ? `[${origin.host}]` : origin.host;
  const authority = `${host}:${String(origin.port)}`;
  const take = (bytes: Buffer): void => {
    const end = reader.read(bytes, 0, bytes.length);
    if (!reader.isComplete && !reader.isIllegal) return;
    socket.off('data', take);
    socket.pause();
    const isOpen = reader.isComplete && reader.status >= 200 && reader.status < 300;
    // Behind the answer a TLS server says nothing until we speak: what does come is not its own. One that speaks HTTP/2 may begin.
    if (isOpen && !origin.isTls && end < bytes.length) socket.unshift(bytes.subarray(end));
    done(isOpen && (!origin.isTls || end === bytes.length));
  };
  socket.on('connect', () => {
    const credentials = authorization === undefined ? '' : `proxy-authorization: ${authorization}\r\n`;
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${credentials}\r\n`, 'latin1');
  });
  socket.on('data', take);
}
