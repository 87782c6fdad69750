import type { ProxySettings } from '../../../shared/plan/index.ts';
import type { Origin } from '../exchange.ts';

/** A proxy as connections use it. */
export interface Proxy {
  readonly host: string;
  readonly port: number;
  /** Value of `proxy-authorization`, or `undefined`. */
  readonly authorization: string | undefined;
}

/** Which proxy stands between an agent and an origin; `undefined` for none. */
export type ProxyChoice = (origin: Origin) => Proxy | undefined;

export function chooseProxy(settings: ProxySettings, environment: Readonly<Record<string, string | undefined>>): ProxyChoice {
  const given = (name: string): string | undefined =>
    settings.fromEnvironment ? (environment[name.toLowerCase()] ?? environment[name]) : undefined;
  const http = parseProxy(settings.http ?? given('HTTP_PROXY'));
  const https = parseProxy(settings.https ?? given('HTTPS_PROXY'));
  const none = [...settings.none, ...(given('NO_PROXY') ?? '').split(',')].map((entry) => entry.trim().toLowerCase()).filter(Boolean);
  if (http === undefined && https === undefined) return () => undefined;
  return (origin) => (none.some((entry) => isDirect(entry, origin)) ? undefined : origin.isTls ? https : http);
}

function parseProxy(text: string | undefined): Proxy | undefined {
  if (text === undefined || text === '') return undefined;
  // curl's habit: a proxy without a scheme is an http proxy.
  const { hostname, port, username, password } = new URL(text.includes('://') ? text : `http://${text}`);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port: port === '' ? 80 : Number(port),
    authorization: credentials === ':' ? undefined : `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`,
  };
}

function isDirect(entry: string, origin: Origin): boolean {
  if (entry === '*') return true;
  const host = origin.host.toLowerCase();
  const bare = entry.replace(/^\*?\./, '');
  return entry === `${host}:${String(origin.port)}` || host === bare || host.endsWith(`.${bare}`);
}
