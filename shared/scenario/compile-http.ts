import { isIP } from 'node:net';
import { parseDurationUs } from '../base/index.ts';
import { HTTP_DEFAULTS, TLS_DEFAULTS, type HostOverride, type HttpSettings, type HttpVersion, type ProxySettings } from '../plan/index.ts';
import { describe } from './describe.ts';
import type { Path, Report } from './problems.ts';
import { httpSchema, type HttpDefinition } from './schema.ts';
import type { Scope } from './scope.ts';
import { resolveNow } from './template.ts';
import type { TlsFiles } from './tls-files.ts';

/** The `http` section with every default filled in. Its shape was reported with the document's. */
export function compileHttp(section: unknown, tlsFiles: TlsFiles, scope: Scope, report: Report): HttpSettings {
  const shape = httpSchema.safeParse(section ?? {});
  if (!shape.success) return HTTP_DEFAULTS;
  const http = shape.data;
  const text = (value: string | undefined, ...path: Path): string | undefined =>
    value === undefined ? undefined : resolveNow(value, scope, (message) => report(['http', ...path], message));
  const { connections, timeouts, dns, tls } = http;
  const settings: HttpSettings = {
    version: compileVersion(http.version),
    connections: typeof connections === 'object' ? { kind: 'shared', max: connections.shared } : { kind: connections ?? 'per-vu' },
    redirects: http.redirects ?? HTTP_DEFAULTS.redirects,
    cookies: http.cookies ?? HTTP_DEFAULTS.cookies,
    timeouts: { connectMs: msOr(timeouts?.connect, 0), firstByteMs: msOr(timeouts?.firstByte, 0) },
    dns: { ttlMs: msOr(dns?.ttl, HTTP_DEFAULTS.dns.ttlMs), pick: dns?.pick ?? HTTP_DEFAULTS.dns.pick },
    hosts: compileHosts(http.hosts, text, report),
    sourceAddresses: (http.sourceAddresses ?? []).flatMap((address, i) => {
      const resolved = text(address, 'sourceAddresses', i);
      if (resolved !== undefined && isIP(resolved) === 0)
        report(['http', 'sourceAddresses', i], `expected an IP address, got ${describe(resolved)}`);
      return resolved === undefined ? [] : [resolved];
    }),
    socketPath: text(http.socketPath, 'socketPath'),
    proxy: compileProxy(http.proxy, text, report),
    tls: {
      ...TLS_DEFAULTS,
      ...tlsFiles,
      insecure: tls?.insecure ?? TLS_DEFAULTS.insecure,
      passphrase: text(tls?.passphrase, 'tls', 'passphrase'),
      serverName: text(tls?.serverName, 'tls', 'serverName'),
      resumesSessions: tls?.resumeSessions ?? TLS_DEFAULTS.resumesSessions,
    },
  };
  if (settings.socketPath !== undefined && (http.proxy !== undefined || http.hosts !== undefined)) {
    report(['http', 'socketPath'], 'every connection goes to the socket: hosts and proxy would never be used');
  }
  return settings;
}

/** YAML reads 1.1 as a number, a module may say either. */
function compileVersion(version: HttpDefinition['version']): HttpVersion {
  switch (version) {
    case undefined:
      return HTTP_DEFAULTS.version;
    case 1.1:
      return '1.1';
    case 2:
      return '2';
    default:
      return version;
  }
}

type Resolve = (value: string | undefined, ...path: Path) => string | undefined;

function msOr(value: string | number | undefined, byDefaultMs: number): number {
  const us = value === undefined ? undefined : parseDurationUs(value);
  return us === undefined ? byDefaultMs : us / 1_000;
}

function compileHosts(hosts: HttpDefinition['hosts'], text: Resolve, report: Report): Record<string, HostOverride> {
  const overrides: Record<string, HostOverride> = {};
  for (const [name, value] of Object.entries(hosts ?? {})) {
    const place = text(value, 'hosts', name);
    if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*(:\d{1,5})?$/i.test(name)) {
      report(['http', 'hosts', name], `expected a host, host:port or *.example.com, got ${describe(name)}`);
    }
    const override = place === undefined ? undefined : parsePlace(place);
    if (override !== undefined) overrides[name.toLowerCase()] = override;
    else if (place !== undefined) report(['http', 'hosts', name], `expected a host, host:port or [IPv6]:port, got ${describe(place)}`);
  }
  return overrides;
}

function parsePlace(text: string): HostOverride | undefined {
  if (isIP(text) === 6) return { host: text, port: undefined };
  const match = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text);
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (match === null || port === 0 || (port ?? 1) > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? '', port };
}

function compileProxy(proxy: HttpDefinition['proxy'], text: Resolve, report: Report): ProxySettings {
  if (proxy === undefined) return HTTP_DEFAULTS.proxy;
  if (proxy === 'environment') return { ...HTTP_DEFAULTS.proxy, fromEnvironment: true };
  const url = (value: string | undefined, ...path: Path): string | undefined => {
    const resolved = text(value, ...path);
    if (resolved === undefined || (URL.canParse(resolved) && new URL(resolved).protocol === 'http:')) return resolved;
    report(['http', ...path], `expected the http URL of a proxy such as http://user:password@10.0.0.9:3128, got ${describe(resolved)}`);
    return undefined;
  };
  if (typeof proxy === 'string') {
    const both = url(proxy, 'proxy');
    return { http: both, https: both, none: [], fromEnvironment: false };
  }
  return {
    http: url(proxy.http, 'proxy', 'http'),
    https: url(proxy.https, 'proxy', 'https'),
    none: (proxy.none ?? []).flatMap((entry, i) => text(entry, 'proxy', 'none', i) ?? []),
    fromEnvironment: false,
  };
}
