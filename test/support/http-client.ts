import { buildHead, createHttpContext, newExchange, type Exchange, type HttpClient, type HttpContext } from '../../agent/protocol/index.ts';
import { BODY_BYTES_MAX, HEAD_BYTES_MAX, systemClock } from '../../shared/base/index.ts';
import type { HttpSettings, TlsSettings } from '../../shared/plan/index.ts';

export interface ContextSettings extends Partial<Omit<HttpSettings, 'tls'>> {
  readonly tls?: Partial<TlsSettings>;
  readonly isAllowed?: (host: string, port: number) => boolean;
  readonly bodyBytesMax?: number;
}

/** An HTTP context of a test, with the settings that matter to it. */
export function contextWith({
  tls = {},
  isAllowed = () => true,
  bodyBytesMax = BODY_BYTES_MAX,
  ...http
}: ContextSettings = {}): HttpContext {
  return createHttpContext({ clock: systemClock, bodyBytesMax, headBytesMax: HEAD_BYTES_MAX, isAllowed, tls, http });
}

export interface Asked extends Partial<Pick<Exchange, 'timeoutMs' | 'keepHeaders' | 'keepBody' | 'body'>> {
  readonly method?: string;
  readonly headers?: readonly (readonly [string, string])[];
}

/** Sends one request and resolves with a copy of what became of it. */
export async function ask(
  context: HttpContext,
  client: HttpClient,
  url: string,
  { method = 'GET', headers = [], ...rest }: Asked = {},
): Promise<Exchange> {
  const target = context.parseUrl(url);
  const head = target && buildHead(method, target.path, target.origin, headers, rest.body?.length);
  if (target === undefined || head === undefined) throw new Error(`cannot request ${url}`);
  const exchange = { ...newExchange(), timeoutMs: 5000, keepBody: true, origin: target.origin, head, isHead: method === 'HEAD', ...rest };
  return new Promise((resolve) => {
    client.send(exchange, (done) => {
      resolve({ ...done });
    });
  });
}
