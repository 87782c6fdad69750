import { randomBytes } from 'node:crypto';
import { answerDigest, followRedirect, withHeader, type Exchange, type HttpContext, type WireRequest } from '../protocol/index.ts';
import type { ReadyDigest } from './auth.ts';
import type { Values } from './template.ts';

/** The request that must follow an answer before anybody looks at it: where a redirect leads, or the same with a challenge answered.
 *  `hops` were sent beyond the first; `undefined` when the answer is the last one. */
export function nextHop(
  { redirects, digest }: { readonly redirects: number; readonly digest: ReadyDigest | undefined },
  exchange: Exchange,
  hops: number,
  values: Values,
  http: HttpContext,
): WireRequest | undefined {
  if (exchange.challenge !== '') return digest === undefined ? undefined : answerChallenge(digest, exchange, values);

  return hops >= redirects ? undefined : followRedirect(exchange, http);
}

/** Once per request: a second challenge says that the answer was wrong. */
function answerChallenge(digest: ReadyDigest, exchange: Exchange, values: Values): WireRequest | undefined {
  if (/\r\nauthorization:/i.test(exchange.head)) return undefined;
  const [method = '', uri = ''] = exchange.head.slice(0, exchange.head.indexOf('\r\n')).split(' ');
  const authorization = answerDigest(exchange.challenge, {
    user: digest.user.render(values),
    password: digest.password.render(values),
    method,
    uri,
    clientNonce: randomBytes(16).toString('hex'),
  });
  return authorization === undefined ? undefined : withHeader(exchange, 'authorization', authorization);
}
