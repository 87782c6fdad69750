import * as zlib from 'node:zlib';
import type { RequestError } from '../../shared/stats/index.ts';
import type { Exchange } from './exchange.ts';

type Inflate = (bytes: Buffer, options: { readonly maxOutputLength: number }) => Buffer;

/** By content coding. Zstandard came with later versions of Node. */
const INFLATERS: Readonly<Record<string, Inflate | undefined>> = {
  gzip: (bytes, options) => zlib.gunzipSync(bytes, options),
  'x-gzip': (bytes, options) => zlib.gunzipSync(bytes, options),
  deflate: inflate,
  br: (bytes, options) => zlib.brotliDecompressSync(bytes, options),
  zstd: 'zstdDecompressSync' in zlib ? (zlib.zstdDecompressSync as Inflate) : undefined,
  identity: (bytes) => bytes,
};

/** More codings than this, one in the other, are an attack. */
const CODINGS_MAX = 4;

/** Undoes the content codings of a kept body. It blocks the loop for as long as that takes, which is why only bodies that somebody will
 *  look at are decoded, and never to more than `bodyBytesMax`. A coding that we do not know leaves the body as it came. */
export function decodeBody(exchange: Exchange, contentEncoding: string, bodyBytesMax: number): RequestError | undefined {
  let body = exchange.responseBody;
  if (body === undefined || body.length === 0) return undefined;
  const codings = contentEncoding.split(',').map((coding) => coding.trim());
  if (codings.length > CODINGS_MAX) return 'protocol';
  try {
    // They were put on in the order of the list.
    for (const coding of codings.reverse()) {
      const inflater = INFLATERS[coding];
      if (inflater === undefined) break;
      body = inflater(body, { maxOutputLength: bodyBytesMax });
    }
  } catch (thrown) {
    exchange.responseBody = undefined;
    return thrown instanceof RangeError ? 'body-too-large' : 'protocol';
  }
  exchange.responseBody = body;
  return undefined;
}

/** `deflate` means zlib (RFC 9110, 8.4.1.2), but some servers send the bare format, and browsers take both. */
function inflate(bytes: Buffer, options: { readonly maxOutputLength: number }): Buffer {
  const isZlib = ((bytes[0] ?? 0) & 0x0f) === 8 && (((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)) % 31 === 0;
  return isZlib ? zlib.inflateSync(bytes, options) : zlib.inflateRawSync(bytes, options);
}
