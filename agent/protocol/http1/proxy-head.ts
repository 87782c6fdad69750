import type { Origin } from '../exchange.ts';
import type { Proxy } from './proxy.ts';

/** A request head as a proxy wants it: the whole URL in the request line (RFC 9112, 3.2.2), and who we are. */
export function throughProxy(head: string, origin: Origin, { authorization }: Proxy): string {
  const pathFrom = head.indexOf(' ') + 1;
  const lineEnd = head.indexOf('\r\n') + 2;
  const line = `${head.slice(0, pathFrom)}http://${origin.authority}${head.slice(pathFrom, lineEnd)}`;
  return `${line}${authorization === undefined ? '' : `proxy-authorization: ${authorization}\r\n`}${head.slice(lineEnd)}`;
}
