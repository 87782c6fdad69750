import type { LookupFunction } from 'node:net';
import { createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls';
import type { Clock } from '../../../shared/base/index.ts';
import type { HostOverride, HttpSettings } from '../../../shared/plan/index.ts';
import type { Origin } from '../exchange.ts';
import { DnsCache, isName } from './dns-cache.ts';
import { chooseProxy, type Proxy, type ProxyChoice } from './proxy.ts';

/** Sessions kept for resumption, one per origin; past it the oldest is forgotten and its origin's next handshake is a full one. */
const SESSIONS_MAX = 1024;

/** Where a connection really goes, as `net.connect` takes it. */
export type Destination =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly lookup?: LookupFunction; readonly localAddress?: string };

/** How an origin is reached: hosts overrides, DNS, source addresses, unix socket, proxy, and everything TLS wants to know.
 *  Asked once per connection, never per request. */
export class Dialer {
  private readonly settings: HttpSettings;
  private readonly dns: DnsCache;
  private readonly proxyFor: ProxyChoice;
  private readonly isHostAllowed: (host: string, port: number) => boolean;
  private readonly sessions = new Map<Origin, Buffer>();
  private context: SecureContext | undefined;
  private dialled = 0;

  constructor(settings: HttpSettings, clock: Clock, isHostAllowed: (host: string, port: number) => boolean) {
    this.settings = settings;
    this.dns = new DnsCache(settings.dns, clock);
    this.proxyFor = chooseProxy(settings.proxy, process.env);
    this.isHostAllowed = isHostAllowed;
  }

  /** The agent's owner allows both what is asked for and where the bytes would really go. */
  isAllowed(origin: Origin): boolean {
    if (!this.isHostAllowed(origin.host, origin.port)) return false;
    const { socketPath } = this.settings;
    if (socketPath !== undefined) return this.isHostAllowed(`unix:${socketPath}`, 0);
    const { host, port } = this.proxy(origin) ?? this.overridden(origin);
    return (host === origin.host && port === origin.port) || this.isHostAllowed(host, port);
  }

  proxy(origin: Origin): Proxy | undefined {
    return this.settings.socketPath === undefined ? this.proxyFor(origin) : undefined;
  }

  destination(origin: Origin): Destination {
    const { socketPath, sourceAddresses } = this.settings;
    if (socketPath !== undefined) return { path: socketPath };
    const { host, port } = this.proxy(origin) ?? this.overridden(origin);
    const localAddress = sourceAddresses[this.dialled++ % sourceAddresses.length];
    return {
      host,
      port,
      ...(isName(host) ? { lookup: this.dns.lookup } : {}),
      ...(localAddress === undefined ? {} : { localAddress }),
    };
  }

  /** Whether connecting begins with a name look-up. */
  looksUp(origin: Origin): boolean {
    return this.settings.socketPath === undefined && isName((this.proxy(origin) ?? this.overridden(origin)).host);
  }

  tls(origin: Origin, protocols: readonly string[]): ConnectionOptions {
    const { tls } = this.settings;
    const name = tls.serverName ?? origin.host;
    const session = this.sessions.get(origin);
    return {
      secureContext: this.secureContext(),
      rejectUnauthorized: !tls.insecure,
      ALPNProtocols: [...protocols],
      // A name indication must be a name (RFC 6066, 3); an address is still compared with the certificate's.
      ...(isName(name) ? { servername: name } : {}),
      ...(session === undefined ? {} : { session }),
    };
  }

  rememberSession(origin: Origin, session: Buffer): void {
    if (!this.settings.tls.resumesSessions) return;
    const [oldest] = this.sessions.keys();
    if (this.sessions.size >= SESSIONS_MAX && oldest !== undefined) this.sessions.delete(oldest);
    this.sessions.set(origin, session);
  }

  /** A resumption that failed must not be tried for ever. */
  forgetSession(origin: Origin): void {
    this.sessions.delete(origin);
  }

  /** Made on first use: reading the root certificates takes some ten milliseconds that a plain target need not pay. */
  private secureContext(): SecureContext {
    const { ca, cert, key, passphrase } = this.settings.tls;
    return (this.context ??= createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(passphrase === undefined ? {} : { passphrase }),
    }));
  }

  private overridden(origin: Origin): { readonly host: string; readonly port: number } {
    const { hosts } = this.settings;
    const host = origin.host.toLowerCase();
    const found = hosts[`${host}:${String(origin.port)}`] ?? hosts[host] ?? this.wildcard(host);
    return found === undefined ? origin : { host: found.host, port: found.port ?? origin.port };
  }

  /** The longest pattern that fits. */
  private wildcard(host: string): HostOverride | undefined {
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const found = this.settings.hosts[`*${host.slice(dot)}`];
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
