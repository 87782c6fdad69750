import type { RequestError } from '../../../shared/stats/index.ts';

/** How far a connection has come. */
export type Stage = 'connecting' | 'handshaking' | 'open' | 'closed';

/** The name, in the closed list of request errors, for an error that ended a connection at this stage. */
export function nameConnectionError(error: Error, stage: Stage): RequestError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  switch (stage) {
    case 'connecting':
      return nameConnectError(code);
    case 'handshaking':
      return 'tls';
    case 'open':
    case 'closed':
      // A server that wants a client certificate says so after the handshake, in TLS 1.3.
      return code.startsWith('ERR_SSL') ? 'tls' : 'connect-reset';
  }
}

function nameConnectError(code: string): RequestError {
  switch (code) {
    case 'ECONNREFUSED':
      return 'connect-refused';
    case 'ECONNRESET':
      return 'connect-reset';
    case 'ETIMEDOUT':
      return 'timeout';
    case 'ENOTFOUND':
      return 'dns';
    default:
      return code.startsWith('EAI_') ? 'dns' : 'connect';
  }
}
