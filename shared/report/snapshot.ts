import { formatDurationUs } from '../base/index.ts';
import type { Verdict } from '../sla/index.ts';
import { oneLine } from './format.ts';

/** What is known of a run while it goes on, made anew about once a second. */
export interface Snapshot {
  readonly runId: string;
  readonly name: string;
  readonly state: 'waiting' | 'preparing' | 'running' | 'draining' | 'finished';
  readonly elapsedUs: number;
  readonly durationUs: number;
  /** A scenario is in its warm-up, which no number but the rates, VUs and drops here counts. */
  readonly isWarmingUp?: boolean;
  readonly plannedPerSecond: number;
  /** Iterations started in the last interval, per second. */
  readonly deliveredPerSecond: number;
  /** Of the last intervals; `undefined` while nothing was measured. */
  readonly responseMs: { readonly p50: number; readonly p95: number; readonly p99: number } | undefined;
  /** Fraction of requests that failed, over the run so far. */
  readonly errorRate: number;
  readonly totalRequests: number;
  readonly totalErrors: number;
  readonly activeVus: number;
  readonly agents: { readonly ready: number; readonly running: number; readonly lost: number; readonly planned: number };
  readonly lagP99Ms: number;
  readonly dropped: number;
  readonly verdicts: readonly { readonly metric: string; readonly expression: string; readonly verdict: Verdict['kind'] }[];
  /** In words, new since the last snapshot. */
  readonly events: readonly string[];
}

const BAR_CELLS = 12;

/** The snapshot as one line of at most `width` columns. What matters least is left out first. */
export function renderProgress(snapshot: Snapshot, width: number): string {
  const { state, agents } = snapshot;
  const failing = snapshot.verdicts.filter(({ verdict }) => verdict === 'fail').length;
  if (state === 'waiting' || state === 'preparing') {
    return fit([state, `agents ${agents.ready}/${agents.planned} ready`, snapshot.name], width);
  }
  const response = snapshot.responseMs;
  const errors = snapshot.totalErrors === 0 ? 'errors 0' : `errors ${snapshot.totalErrors} (${percent(snapshot.errorRate)})`;
  return fit(
    [
      `${bar(snapshot)}${formatDurationUs(snapshot.elapsedUs)}/${formatDurationUs(snapshot.durationUs)}`,
      ...(snapshot.isWarmingUp === true ? ['warming up'] : []),
      snapshot.plannedPerSecond > 0
        ? `${perSecond(snapshot.deliveredPerSecond)} of ${perSecond(snapshot.plannedPerSecond)}/s`
        : `${perSecond(snapshot.deliveredPerSecond)}/s`,
      response === undefined ? 'p50/95/99 -' : `p50/95/99 ${shortMs(response.p50)}/${shortMs(response.p95)}/${shortMs(response.p99)} ms`,
      errors,
      ...(failing === 0 ? [] : [`${failing} threshold${failing === 1 ? '' : 's'} failing`]),
      `agents ${agents.planned - agents.lost}/${agents.planned}${agents.lost > 0 ? ` (${agents.lost} lost)` : ''}`,
      ...(snapshot.dropped === 0 ? [] : [`dropped ${snapshot.dropped}`]),
      `lag p99 ${shortMs(snapshot.lagP99Ms)} ms`,
      `VUs ${snapshot.activeVus}`,
      ...(state === 'running' ? [] : [state]),
    ],
    width,
  );
}

function bar({ elapsedUs, durationUs }: Snapshot): string {
  const done = durationUs > 0 ? Math.min(BAR_CELLS, Math.max(0, Math.floor((elapsedUs / durationUs) * BAR_CELLS))) : 0;
  return `[${'='.repeat(done)}${' '.repeat(BAR_CELLS - done)}] `;
}

/** As many parts as fit, joined; the first is cut when it does not fit by itself. */
function fit(parts: readonly string[], width: number): string {
  const room = Math.max(0, Math.floor(width));
  let line = '';
  for (const part of parts) {
    const clean = oneLine(part);
    const longer = line === '' ? clean : `${line}  ${clean}`;
    if (longer.length > room) return line === '' ? clean.slice(0, room) : line;
    line = longer;
  }
  return line;
}

function perSecond(rate: number): string {
  return rate >= 100 || Number.isInteger(rate) ? rate.toFixed(0) : rate.toFixed(1);
}

function shortMs(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);
}

function percent(fraction: number): string {
  const value = fraction * 100;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(2)}%`;
}
