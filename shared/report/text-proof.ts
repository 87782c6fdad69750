import { formatBytes, formatDurationUs } from '../base/index.ts';
import { dotted, formatMs, formatPercent, oneLine } from './format.ts';
import type { Paint } from './paint.ts';
import type { Summary } from './summary.ts';
import { runVerdict } from './verdict.ts';

/** Agents listed by name, worst lag first; more are counted. */
const AGENTS_LISTED_MAX = 10;
const NAME_COLUMNS_MIN = 24;

export function agentLines({ run, agents }: Summary, paint: Paint): string[] {
  const { planned, reported, lost } = run.agents;
  const together = run.startSpreadMs === undefined || reported < 2 ? '' : `; started within ${formatMs(run.startSpreadMs)} of each other`;
  const counts = `planned ${planned}, reported ${reported}, lost ${lost}${together}`;
  const listed = [...agents]
    .sort((a, b) => Number(b.isLost) - Number(a.isLost) || b.pacerLagMaxMs - a.pacerLagMaxMs)
    .slice(0, AGENTS_LISTED_MAX);
  const rest = agents.length - listed.length;
  const nameColumns = Math.max(NAME_COLUMNS_MIN, ...listed.map(({ agent }) => oneLine(agent).length));
  return [
    lost > 0 || reported < planned ? paint.warn(counts) : counts,
    ...listed.map(({ agent, isLost, cpuMean, cpuWorst, loopDelayMaxMs, pacerLagMaxMs, rssMaxBytes }) => {
      const name = oneLine(agent).padEnd(nameColumns);
      const cores = `cpu ${cpuMean.toFixed(2)}${cpuWorst > cpuMean ? ` (worst ${cpuWorst.toFixed(2)})` : ''}`;
      const line = `${name} ${cores}, loop max ${formatMs(loopDelayMaxMs)}, pacer max ${formatMs(pacerLagMaxMs)}, ${formatBytes(rssMaxBytes)}`;
      return isLost ? `${paint.bad(line)} LOST` : line;
    }),
    ...(rest > 0 ? [`and ${rest} more agents`] : []),
  ];
}

/** How late the load was, and how much of that was the generator noticing late. */
export function lagLines({ metrics, agents }: Summary): string[] {
  const lag = metrics['schedule_lag'];
  if (lag?.type !== 'trend' || lag.count === 0) return [];
  const { percentiles, max } = lag;
  const worst = agents.reduce((most, { pacerLagP99WorstMs }) => Math.max(most, pacerLagP99WorstMs), 0);
  const lines = [
    `${dotted('intended to actual start')}: med=${formatMs(percentiles['50'])} p(99)=${formatMs(percentiles['99'])} max=${formatMs(max)}`,
  ];
  if (agents.length > 0) lines.push(`${dotted('of it noticed late (pacer)')}: p(99)=${formatMs(worst)} in the worst interval`);
  return lines;
}

/** The three conservation equations, with the numbers in them. */
export function ledgerLines({ ledger }: Summary, paint: Paint): string[] {
  const { planned, started, dropped, undelivered, unknown, completed, interrupted, samples } = ledger;
  const line = (holds: boolean, text: string): string => `${holds ? paint.good('✓') : paint.bad('✗')} ${text}`;
  const sign = (holds: boolean): string => (holds ? '=' : '≠');
  const isPlanWhole = planned === started + dropped + undelivered + unknown;
  const isStartedWhole = started === completed + interrupted;
  const isSamplesWhole = samples.recorded === samples.merged + samples.missing;
  const lines = [
    line(
      isPlanWhole,
      `planned ${planned} ${sign(isPlanWhole)} started ${started} + dropped ${dropped} + undelivered ${undelivered} + unknown ${unknown}`,
    ),
    line(isStartedWhole, `started ${started} ${sign(isStartedWhole)} completed ${completed} + interrupted ${interrupted}`),
    line(
      isSamplesWhole && samples.missing === 0,
      `samples recorded ${samples.recorded} ${sign(isSamplesWhole)} merged ${samples.merged} + missing ${samples.missing}`,
    ),
  ];
  if (samples.duplicate > 0) lines.push(`  ${samples.duplicate} samples arrived twice and were counted once`);
  return lines;
}

export function validityLines({ validity }: Pick<Summary, 'validity'>, paint: Paint): string[] {
  const color = { valid: paint.good, degraded: paint.warn, invalid: paint.bad };
  return [
    color[validity.grade](validity.grade === 'valid' ? 'valid: nothing speaks against these numbers' : validity.grade),
    ...validity.reasons.map(({ code, detail, grade }) => {
      const painted = grade === 'invalid' ? paint.bad(code) : paint.warn(code);
      return `  ${painted}: ${oneLine(detail)}`;
    }),
  ];
}

/** The last lines: which run, and what it all comes to. */
export function resultLines(summary: Summary, paint: Paint): string[] {
  const { run, validity, metrics } = summary;
  const requests = metrics['http_reqs']?.type === 'counter' ? metrics['http_reqs'].count : 0;
  const errors = metrics['http_req_failed']?.type === 'rate' ? metrics['http_req_failed'].rate : 0;
  const { word, thresholds } = runVerdict(summary);
  const painted = { PASSED: paint.good('✓ PASSED'), FAILED: paint.bad('✗ FAILED'), STOPPED: paint.warn('■ STOPPED') }[word];
  return [
    `${oneLine(run.name)} (${oneLine(run.id)}): ${requests} requests in ${formatDurationUs(run.durationSeconds * 1_000_000)}, ${formatPercent(errors)} failed`,
    ...(run.stopped === undefined ? [] : [paint.warn(`stopped early: ${oneLine(run.stopped)}`)]),
    `${painted}  ${thresholds} · result ${validity.grade}`,
  ];
}
