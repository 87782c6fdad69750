import type { Origin } from '../exchange.ts';

/** Where a URL goes and what to ask for there. */
export interface Target {
  readonly origin: Origin;
  /** Request target: path and query, ready to be written into a request line. */
  readonly path: string;
}

/** Past this, the origin known longest is forgotten: VUs that still hold it keep it, others get a new object. */
const ORIGINS_MAX = 1024;

/** Parses URLs and gives every distinct origin one object, so that connections can be found by identity. */
export class Origins {
  private readonly known = new Map<string, Origin>();

  /** `undefined` for what cannot be requested: no http(s) URL, user names or passwords in it, control characters.
   *  The common case costs a search for two slashes and one map look-up. */
  parse(url: string): Target | undefined {
    const pathFrom = authorityEnd(url);
    const origin = this.find(url.slice(0, pathFrom));
    if (origin === undefined) return undefined;
    const path = requestPath(url, pathFrom);
    return path === undefined ? undefined : { origin, path };
  }

  private find(text: string): Origin | undefined {
    const known = this.known.get(text);
    if (known !== undefined) return known;
    const parsed = parseOrigin(text);
    if (parsed === undefined) return undefined;
    // `HTTP://A:80` and `http://a` are one origin.
    const canonical = `${parsed.isTls ? 'https' : 'http'}://${parsed.authority}`;
    const origin = this.known.get(canonical) ?? parsed;
    this.remember(canonical, origin);
    this.remember(text, origin);
    return origin;
  }

  private remember(text: string, origin: Origin): void {
    if (this.known.size >= ORIGINS_MAX && !this.known.has(text)) {
      const [oldest = ''] = this.known.keys();
      this.known.delete(oldest);
    }
    this.known.set(text, origin);
  }
}

const DEFAULT_PORTS = { 'http:': 80, 'https:': 443 } as const;

function parseOrigin(text: string): Origin | undefined {
  if (CONTROL_OR_BLANK.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, hostname, port, host, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') return undefined;
  if (username !== '' || password !== '') return undefined;
  return {
    isTls: protocol === 'https:',
    host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port: port === '' ? DEFAULT_PORTS[protocol] : Number(port),
    authority: host,
  };
}

/** Where the authority ends: at the first `/`, `?` or `#` behind `://`, or with the text. */
function authorityEnd(url: string): number {
  const from = url.indexOf('://') + 3;
  for (let i = from; i < url.length; i++) {
    const code = url.charCodeAt(i);
    if (code === 0x2f || code === 0x3f || code === 0x23) return i;
  }
  return url.length;
}

const CONTROL = /[\x00-\x1f\x7f]/;
const CONTROL_OR_BLANK = /[\x00-\x20\x7f\\]/;
const VISIBLE_ASCII = /^[\x21-\x7e]*$/;

function requestPath(url: string, from: number): string | undefined {
  const fragment = url.indexOf('#', from);
  const text = fragment === -1 ? url.slice(from) : url.slice(from, fragment);
  const path = text.startsWith('/') ? text : `/${text}`;
  if (VISIBLE_ASCII.test(path)) return path;
  if (CONTROL.test(path)) return undefined;
  // Blanks and letters beyond ASCII are percent-encoded as a browser does it. Only those: what is already encoded stays as written.
  const { pathname, search } = new URL(`http://host${path}`);
  return pathname + search;
}
