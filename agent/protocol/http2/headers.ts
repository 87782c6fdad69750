import { constants, type OutgoingHttpHeaders } from 'node:http2';
import type { Origin } from '../exchange.ts';

/** Fields that speak of one HTTP/1.1 connection and may not stand in a message of HTTP/2 (RFC 9113, 8.2.2). `host` becomes `:authority`. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** Heads read so far, by their text; past this, all are read again. A step without references has one head for the whole run. */
const HEADS_MAX = 256;
const known = new Map<string, OutgoingHttpHeaders>();

/** The fields of a head that `buildHead` wrote, as HTTP/2 has them. */
export function headersOf(head: string, origin: Origin): OutgoingHttpHeaders {
  // The scheme is the one thing that the head does not say.
  const key = origin.isTls ? head : `http ${head}`;
  let headers = known.get(key);
  if (headers === undefined) {
    headers = read(head, origin);
    if (known.size >= HEADS_MAX) known.clear();
    known.set(key, headers);
  }
  return headers;
}

function read(head: string, origin: Origin): OutgoingHttpHeaders {
  const [requestLine = '', ...lines] = head.split('\r\n');
  const [method = '', path = ''] = requestLine.split(' ');
  const fields = new Map<string, string | string[]>();
  let authority = origin.authority;
  for (const line of lines.slice(0, -2)) {
    const colon = line.indexOf(': ');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 2);
    if (name === 'host') authority = value;
    if (CONNECTION_FIELDS.has(name) || (name === 'te' && value !== 'trailers')) continue;
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : [...(typeof before === 'string' ? [before] : before), value]);
  }
  return {
    [constants.HTTP2_HEADER_METHOD]: method,
    [constants.HTTP2_HEADER_SCHEME]: origin.isTls ? 'https' : 'http',
    [constants.HTTP2_HEADER_AUTHORITY]: authority,
    [constants.HTTP2_HEADER_PATH]: path,
    ...Object.fromEntries(fields),
  };
}
