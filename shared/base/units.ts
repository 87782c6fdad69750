const DURATION_UNIT_US = { us: 1, µs: 1, ms: 1_000, s: 1_000_000, m: 60_000_000, h: 3_600_000_000, d: 86_400_000_000 } as const;
const DURATION_PART = /(\d+(?:\.\d+)?)(us|µs|ms|s|m|h|d)/gy;

/** Microseconds of `"250ms"`, `"1m30s"`, `"1.5s"`, or of a bare number (milliseconds, as in k6). `undefined` when it is none. */
export function parseDurationUs(text: string | number): number | undefined {
  if (typeof text === 'number') return Number.isFinite(text) && text >= 0 ? Math.round(text * 1000) : undefined;
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  let totalUs = 0;
  let end = 0;
  for (const match of trimmed.matchAll(DURATION_PART)) {
    totalUs += Number(match[1]) * DURATION_UNIT_US[match[2] as keyof typeof DURATION_UNIT_US];
    end = match.index + match[0].length;
  }
  return end === trimmed.length && end > 0 ? Math.round(totalUs) : undefined;
}

/** A duration for people: `250ms`, `1.5s`, `2m05s`, `1h02m`. */
export function formatDurationUs(us: number): string {
  if (us < 1_000) return `${trimZeros(us.toFixed(0))}µs`;
  if (us < 1_000_000) return `${trimZeros((us / 1_000).toFixed(us < 100_000 ? 2 : 1))}ms`;
  if (us < 60_000_000) return `${trimZeros((us / 1_000_000).toFixed(2))}s`;
  const totalSeconds = Math.round(us / 1_000_000);
  if (totalSeconds < 3_600) return `${Math.floor(totalSeconds / 60)}m${pad(totalSeconds % 60)}s`;
  return `${Math.floor(totalSeconds / 3_600)}h${pad(Math.floor((totalSeconds % 3_600) / 60))}m`;
}

const RATE = /^\s*(\d+(?:\.\d+)?)\s*(k)?\s*(?:\/\s*(.+))?$/;

/** `"200"`, `"200/s"`, `"2k/s"`, `"30/m"`, `"5/100ms"`: events and the time unit they are counted over. */
export function parseRate(text: string | number): { readonly events: number; readonly unitUs: number | undefined } | undefined {
  if (typeof text === 'number') return Number.isFinite(text) && text >= 0 ? { events: text, unitUs: undefined } : undefined;
  const match = RATE.exec(text);
  if (match === null) return undefined;
  const events = Number(match[1]) * (match[2] === 'k' ? 1_000 : 1);
  if (match[3] === undefined) return { events, unitUs: undefined };
  const unit = match[3].trim();
  const unitUs = parseDurationUs(/^[a-zµ]/.test(unit) ? `1${unit}` : unit);
  return unitUs === undefined || unitUs === 0 ? undefined : { events, unitUs };
}

const BYTE_UNIT = { B: 1, kB: 1_000, KB: 1_000, KiB: 1_024, MB: 1_000_000, MiB: 1_048_576, GB: 1e9, GiB: 1_073_741_824 } as const;

/** Bytes of `"64KiB"`, `"10MB"` or a bare number. `undefined` when it is none. */
export function parseBytes(text: string | number): number | undefined {
  if (typeof text === 'number') return Number.isInteger(text) && text >= 0 ? text : undefined;
  const match = /^\s*(\d+(?:\.\d+)?)\s*(B|kB|KB|KiB|MB|MiB|GB|GiB)?\s*$/.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * BYTE_UNIT[(match[2] ?? 'B') as keyof typeof BYTE_UNIT]);
}

/** Bytes for people, decimal units as k6 prints them: `1.2 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
