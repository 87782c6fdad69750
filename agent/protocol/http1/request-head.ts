import type { Origin } from '../exchange.ts';

/** A whole HTTP/1.1 request head, blank line included. `host` and `content-length` are added unless given. `undefined` when method,
 *  path, a name or a value holds what would change the meaning of the message (line breaks above all) or cannot be written as latin1.
 *  `bodyBytes` is `undefined` for a request without body; POST, PUT and PATCH then announce an empty one, as servers demand. */
export function buildHead(
  method: string,
  path: string,
  origin: Origin,
  headers: readonly (readonly [name: string, value: string])[],
  bodyBytes: number | undefined,
): string | undefined {
  if (!TOKEN.test(method) || path === '' || !VISIBLE_ASCII.test(path)) return undefined;
  let fields = '';
  let hasHost = false;
  let hasLength = false;
  for (const [name, value] of headers) {
    if (!TOKEN.test(name) || ILLEGAL_IN_VALUE.test(value)) return undefined;
    if (name.length === 4 && name.toLowerCase() === 'host') hasHost = true;
    else if (name.length === 14 && name.toLowerCase() === 'content-length') hasLength = true;
    fields += `${name}: ${value}\r\n`;
  }
  const host = hasHost ? '' : `host: ${origin.authority}\r\n`;
  const length = bodyBytes ?? (method === 'POST' || method === 'PUT' || method === 'PATCH' ? 0 : undefined);
  if (length !== undefined && !hasLength) fields += `content-length: ${String(length)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\n${host}${fields}\r\n`;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;
const ILLEGAL_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
