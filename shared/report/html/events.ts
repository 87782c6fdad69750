import type { Manifest } from '../bundle.ts';
import type { Mark, Span } from './page-data.ts';

/** One event of the run as a report shows it, whoever wrote it: kinds that are not known here keep their own name. */
export interface ShownEvent {
  readonly number: number;
  /** From the zero of the run; negative before it. `undefined` where the event does not say. */
  readonly atSeconds: number | undefined;
  readonly label: string;
  readonly detail: string;
  readonly tone: 'plain' | 'bad' | 'notable';
}

const KNOWN: Readonly<Record<string, { readonly label: string; readonly tone: ShownEvent['tone'] }>> = {
  submitted: { label: 'Submitted', tone: 'plain' },
  assigned: { label: 'Plan handed to the agents', tone: 'plain' },
  started: { label: 'Start announced', tone: 'plain' },
  epoch: { label: 'Shares changed', tone: 'notable' },
  'agent-lost': { label: 'Agent lost', tone: 'bad' },
  'agent-back': { label: 'Agent back', tone: 'notable' },
  'coordinator-restarted': { label: 'Coordinator restarted', tone: 'bad' },
  scaled: { label: 'Rate changed', tone: 'notable' },
  paused: { label: 'Paused', tone: 'notable' },
  resumed: { label: 'Resumed', tone: 'notable' },
  stopping: { label: 'Stopped', tone: 'notable' },
  chore: { label: 'Chore', tone: 'plain' },
  finished: { label: 'Finished', tone: 'plain' },
};

const DETAIL_CHARACTERS_MAX = 300;

/** The events of the manifest in the order of time, numbered for charts and table alike. */
export function shownEvents({ events, run }: Manifest): ShownEvent[] {
  const zeroMs = Date.parse(run.startedAt);
  return events
    .filter((event): event is Readonly<Record<string, unknown>> => typeof event === 'object' && event !== null)
    .map((event) => {
      const kind = typeof event['kind'] === 'string' ? event['kind'] : 'event';
      const known = Object.hasOwn(KNOWN, kind) ? KNOWN[kind] : undefined;
      const atMs = event['atMs'];
      const atSeconds = typeof atMs === 'number' && Number.isFinite(zeroMs) ? (atMs - zeroMs) / 1_000 : undefined;
      const label = known?.label ?? kind.charAt(0).toUpperCase() + kind.slice(1).replaceAll('-', ' ');
      return { atSeconds, label, detail: detailText(event['detail']), tone: known?.tone ?? 'notable' };
    })
    .sort((a, b) => (a.atSeconds ?? 0) - (b.atSeconds ?? 0))
    .map((event, i) => ({ number: i + 1, ...event }));
}

/** Events that a chart marks: what happened while the load ran and could have changed it. */
export function marksOf(events: readonly ShownEvent[], endSeconds: number): Mark[] {
  return events.flatMap(({ number, atSeconds, label, tone }) =>
    tone === 'plain' || atSeconds === undefined || atSeconds < 0 || atSeconds > endSeconds
      ? []
      : [{ number, atSeconds, label, isBad: tone === 'bad' }],
  );
}

/** The warm-ups that the plan in the manifest has. */
export function warmUpsOf({ plan }: Manifest): Span[] {
  const { scenarios } = (typeof plan === 'object' && plan !== null ? plan : {}) as { readonly scenarios?: unknown };
  return (Array.isArray(scenarios) ? (scenarios as unknown[]) : []).flatMap((one) => {
    const { name, startUs, warmupUs } = (typeof one === 'object' && one !== null ? one : {}) as Readonly<Record<string, unknown>>;
    if (typeof startUs !== 'number' || typeof warmupUs !== 'number') return [];
    return [{ label: String(name), fromSeconds: startUs / 1_000_000, toSeconds: (startUs + warmupUs) / 1_000_000 }];
  });
}

/** `agent a-1, reason connection lost`: whatever the detail holds, flat and short. */
function detailText(detail: unknown): string {
  if (typeof detail !== 'object' || detail === null) return detail === undefined || detail === null ? '' : shortText(detail);
  const parts = Object.entries(detail).flatMap(([name, value]) => {
    if (value === '' || value === undefined || value === null) return [];
    const isRunInstant = typeof value === 'number' && name.endsWith('Us') && name !== 'zeroUs';
    return [`${words(name.replace(/Us$/, ''))} ${isRunInstant ? `${(value / 1_000_000).toFixed(3)} s` : shortText(value)}`];
  });
  return parts.join(', ').slice(0, DETAIL_CHARACTERS_MAX);
}

function shortText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(' ');
  return JSON.stringify(value)
    .replace(/["{}[\]]/g, '')
    .replaceAll(',', ', ');
}

function words(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`);
}
