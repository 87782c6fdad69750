/** The owner's own rule of where this agent may send. No coordinator can override it. */
export type AllowList = (host: string, port: number) => boolean;

/** Entries are `host`, `host:port` or `*.example.com`; an empty list allows every host. */
export function createAllowList(entries: readonly string[]): AllowList {
  if (entries.length === 0) return () => true;
  const rules = entries.map(readEntry);
  return (host, port) => rules.some((rule) => rule(host.toLowerCase(), port));
}

function readEntry(entry: string): AllowList {
  const match = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry.trim().toLowerCase());
  const host = match?.[1] ?? '';
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  const fits = host.startsWith('*.') ? (name: string) => name.endsWith(host.slice(1)) : (name: string) => name === host;
  return (name, at) => fits(name) && (port === undefined || port === at);
}
