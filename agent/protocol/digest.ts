import { createHash } from 'node:crypto';

export interface DigestRequest {
  readonly user: string;
  readonly password: string;
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly uri: string;
  /** Our own part of the secret; new for every answer. */
  readonly clientNonce: string;
}

/** Node's names of the hashes (RFC 7616, 3.3). */
const HASHES: Readonly<Record<string, string | undefined>> = { md5: 'md5', 'sha-256': 'sha256', 'sha-512-256': 'sha512-256' };

/** Value of `authorization` that answers the first digest challenge of `WWW-Authenticate` we know the algorithm of (RFC 7616);
 *  `undefined` when there is none. Protection `auth` only, or none as in RFC 2069. */
export function answerDigest(challenge: string, request: DigestRequest): string | undefined {
  for (const [, parameters = ''] of challenge.matchAll(/(?:^|,\s*)digest\s+((?:[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s,"]+)\s*,?\s*)+)/gi)) {
    const answer = answerOne(parse(parameters), request);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function answerOne(given: ReadonlyMap<string, string>, { user, password, method, uri, clientNonce }: DigestRequest): string | undefined {
  const algorithm = given.get('algorithm') ?? 'MD5';
  const isSession = /-sess$/i.test(algorithm);
  const hashName = HASHES[algorithm.replace(/-sess$/i, '').toLowerCase()];
  const realm = given.get('realm');
  const nonce = given.get('nonce');
  const offered = given
    .get('qop')
    ?.split(',')
    .map((word) => word.trim().toLowerCase());
  if (hashName === undefined || realm === undefined || nonce === undefined) return undefined;
  if (offered !== undefined && !offered.includes('auth')) return undefined;
  const hash = (...parts: readonly string[]): string => createHash(hashName).update(parts.join(':'), 'utf8').digest('hex');
  const plain = hash(user, realm, password);
  const secret = isSession ? hash(plain, nonce, clientNonce) : plain;
  const asked = hash(method, uri);
  const response = offered === undefined ? hash(secret, nonce, asked) : hash(secret, nonce, NONCE_COUNT, clientNonce, 'auth', asked);
  const opaque = given.get('opaque');
  return [
    `Digest username=${quoted(user)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(uri)}`,
    `response="${response}"`,
    `algorithm=${algorithm}`,
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
    ...(offered === undefined ? [] : ['qop=auth', `nc=${NONCE_COUNT}`, `cnonce=${quoted(clientNonce)}`]),
  ].join(', ');
}

/** Every challenge is answered once. */
const NONCE_COUNT = '00000001';

function parse(parameters: string): ReadonlyMap<string, string> {
  const found = parameters.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g);
  return new Map([...found].map(([, name = '', text, token]) => [name.toLowerCase(), text?.replace(/\\(.)/g, '$1') ?? token ?? '']));
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
