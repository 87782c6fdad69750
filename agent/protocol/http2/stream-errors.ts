import { constants } from 'node:http2';
import type { RequestError } from '../../../shared/stats/index.ts';

/** Codes by which one side says that the other did not speak HTTP/2. All others (refused, cancelled, internal, too fast, …) leave the
 *  request as unanswered as a closed connection does. */
const PROTOCOL_CODES: ReadonlySet<number> = new Set([
  constants.NGHTTP2_PROTOCOL_ERROR,
  constants.NGHTTP2_FLOW_CONTROL_ERROR,
  constants.NGHTTP2_STREAM_CLOSED,
  constants.NGHTTP2_FRAME_SIZE_ERROR,
  constants.NGHTTP2_COMPRESSION_ERROR,
  constants.NGHTTP2_HTTP_1_1_REQUIRED,
]);

/** The name, in the closed list of request errors, for a stream or session that ended with this code (RFC 9113, 7). */
export function nameErrorCode(code: number): RequestError {
  return PROTOCOL_CODES.has(code) ? 'protocol' : 'connect-reset';
}

/** The same for an error that Node.js raised: its own (`ERR_HTTP2_…`) carry the code in their text only, so that `code` tells it. */
export function nameSessionError(error: Error, code: number): RequestError {
  const name = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (name.startsWith('ERR_SSL')) return 'tls';
  // What nghttp2 could not read.
  if (name === 'ERR_HTTP2_ERROR') return 'protocol';
  return nameErrorCode(code);
}
