/** How agents speak HTTP: the `http` section of a scenario file with nothing left to decide. Plain JSON, as the flow is. */
export interface HttpSettings {
  readonly version: HttpVersion;
  readonly connections: ConnectionPolicy;
  /** Redirects that one request may follow; the answer after the last one is what checks see. Steps carry their own number. */
  readonly redirects: number;
  readonly cookies: CookiePolicy;
  readonly tls: TlsSettings;
  readonly timeouts: HttpTimeouts;
  readonly dns: DnsSettings;
  /** By host, `host:port` or `*.example.com`, all in lower case: where to connect instead. Host header and server name stay as they were. */
  readonly hosts: Readonly<Record<string, HostOverride>>;
  /** Local addresses, used in turn. Empty: the system chooses. */
  readonly sourceAddresses: readonly string[];
  /** Every connection goes to this unix socket, whatever the URL's host. */
  readonly socketPath: string | undefined;
  readonly proxy: ProxySettings;
}

/** `2` without TLS means prior knowledge (RFC 9113, 3.3); `auto` asks https origins by ALPN and speaks 1.1 to the others. */
export type HttpVersion = '1.1' | '2' | 'auto';

/** `per-vu`: one connection per origin and VU, kept. `per-iteration`: the same, closed when an iteration begins.
 *  `shared`: at most `max` per origin and agent, used by all its VUs. */
export type ConnectionPolicy = { readonly kind: 'per-vu' | 'per-iteration' } | { readonly kind: 'shared'; readonly max: number };

/** How long a VU keeps the cookies that responses set: until its next iteration begins, as long as it lives, or not at all. */
export type CookiePolicy = 'per-iteration' | 'per-vu' | 'off';

export interface TlsSettings {
  /** Takes any certificate. */
  readonly insecure: boolean;
  /** PEM certificates to trust instead of the built-in ones. */
  readonly ca: string | undefined;
  /** Client certificate chain and its key, both PEM. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly passphrase: string | undefined;
  /** Name to ask for and to expect in the certificate, instead of the URL's host. */
  readonly serverName: string | undefined;
  /** Later connections of an agent resume the session of an earlier one to the same origin. */
  readonly resumesSessions: boolean;
}

/** Milliseconds; 0 for none beside the request's own timeout, which covers everything. */
export interface HttpTimeouts {
  /** From the wish for a connection until it can carry a request, name look-up and TLS included. */
  readonly connectMs: number;
  /** From the request's first byte to the response's. */
  readonly firstByteMs: number;
}

export interface DnsSettings {
  /** How long an answer is used, milliseconds. 0: every connection asks. */
  readonly ttlMs: number;
  /** Which of several addresses a connection takes. */
  readonly pick: 'round-robin' | 'first';
}

export interface HostOverride {
  readonly host: string;
  /** `undefined`: the URL's. */
  readonly port: number | undefined;
}

export interface ProxySettings {
  /** For http URLs: requests name the whole URL. An http URL, or `undefined` for none. */
  readonly http: string | undefined;
  /** For https URLs: a tunnel made by CONNECT. */
  readonly https: string | undefined;
  /** Hosts that are reached directly: `host`, `host:port`, `.example.com`, or `*` for all. */
  readonly none: readonly string[];
  /** The agent's HTTP_PROXY, HTTPS_PROXY and NO_PROXY stand in for what is not said here. */
  readonly fromEnvironment: boolean;
}

export const TLS_DEFAULTS: TlsSettings = {
  insecure: false,
  ca: undefined,
  cert: undefined,
  key: undefined,
  passphrase: undefined,
  serverName: undefined,
  resumesSessions: true,
};

export const HTTP_DEFAULTS: HttpSettings = {
  version: '1.1',
  connections: { kind: 'per-vu' },
  redirects: 10,
  cookies: 'per-iteration',
  tls: TLS_DEFAULTS,
  timeouts: { connectMs: 0, firstByteMs: 0 },
  dns: { ttlMs: 300_000, pick: 'round-robin' },
  hosts: {},
  sourceAddresses: [],
  socketPath: undefined,
  proxy: { http: undefined, https: undefined, none: [], fromEnvironment: false },
};
