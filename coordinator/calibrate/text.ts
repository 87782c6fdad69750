import type { CalibrationResult, Lateness } from './calibrate.ts';
import { LAG_P99_LIMIT_MS } from './calibrate.ts';
import type { Comparison, Figure } from './judge.ts';
import { PATTERNS } from './patterns.ts';

/** The result for people: measured beside true, pattern by pattern, then what was found. */
export function renderCalibration(result: CalibrationResult, machine: string, saved: string | undefined): string {
  return [
    `MACHINE\n  ${machine}, ${result.agents} agents`,
    `MEASURED AGAINST TRUE (ms; ${result.seconds} s${result.attempts > 1 ? `, attempt ${result.attempts}` : ''})`,
    ...patternNames(result).map((name) => renderPattern(name, result.comparisons)),
    `PACING\n  schedule_lag measured by agents....: ${lateness(result.pacing.measured)}\n  seen by the server (with the way)..: ${lateness(result.pacing.seen)}`,
    `START\n  agents began within ${result.startSpread.measuredMs.toFixed(3)} ms of each other by their own clocks, ${result.startSpread.seenMs.toFixed(3)} ms by the server's`,
    ...renderRate(result),
    ...(result.findings.length === 0 ? [] : [`FINDINGS\n${result.findings.map(({ text }) => `  ✗ ${text}`).join('\n')}`]),
    verdictLine(result, saved),
  ]
    .join('\n\n')
    .concat('\n');
}

function patternNames({ comparisons }: CalibrationResult): string[] {
  return [...new Set(comparisons.map(({ pattern }) => pattern))];
}

function renderPattern(name: string, comparisons: readonly Comparison[]): string {
  const own = comparisons.filter(({ pattern }) => pattern === name);
  const counts = own.find(({ metric }) => metric === 'count')?.figures ?? [];
  const times = own.filter(({ metric }) => metric !== 'count');
  const meaning = PATTERNS.find((pattern) => pattern.name === name)?.meaning ?? 'over all of these';
  const names = times[0]?.figures.map((figure) => figure.name) ?? [];
  const lines = times.flatMap(({ metric, figures }) => [
    row(`${metric} true`, figures.map((figure) => figure.trueValue.toFixed(3))),
    row(`${' '.repeat(metric.length)} measured`, figures.map(measuredCell)),
  ]); // prettier-ignore
  return [`  ${name}: ${meaning}`, row(`requests ${counts.map(countCell).join(', ')}`, []), row('', names), ...lines].join('\n');
}

function row(label: string, cells: readonly string[]): string {
  return `    ${label.padEnd(33)}${cells.map((cell) => cell.padStart(11)).join('')}`.trimEnd();
}

function measuredCell({ measured, verdict }: Figure): string {
  return `${verdict === 'agrees' ? '' : '✗ '}${measured?.toFixed(3) ?? 'none'}`;
}

function countCell({ name, measured, trueValue, verdict }: Figure): string {
  if (verdict === 'agrees') return `${name} ${trueValue}`;
  return `✗ ${name} ${measured ?? 'none'} instead of ${trueValue}`;
}

function lateness({ p50Ms, p99Ms, maxMs }: Lateness): string {
  return `p50 ${p50Ms.toFixed(3)}  p99 ${p99Ms.toFixed(3)}  max ${maxMs.toFixed(3)} ms`;
}

function renderRate({ rate, agents }: CalibrationResult): string[] {
  if (rate === undefined) return [];
  const tried = rate.steps.map((step) => `${step.ratePerSecond}/s ${step.lagP99Ms.toFixed(2)} ms${step.isKept ? '' : ' ✗'}`).join(', ');
  const found =
    rate.ratePerSecond === undefined
      ? `none that was tried had schedule_lag p99 below ${LAG_P99_LIMIT_MS} ms: this machine is not quiet`
      : `${rate.ratePerSecond}/s by ${agents} agents with schedule_lag p99 below ${LAG_P99_LIMIT_MS} ms`;
  return [`HIGHEST RATE\n  ${found}\n  tried: ${tried}`];
}

function verdictLine({ verdict, findings, rate }: CalibrationResult, saved: string | undefined): string {
  if (verdict === 'failed') return `✗ FAILED  the measurement does not agree with the truth in ${findings.length} places`;
  const where = saved === undefined ? 'nothing saved' : `calibration saved to ${saved}`;
  return `✓ PASSED  measured is true · ${rate?.ratePerSecond === undefined ? 'no rate found, nothing saved' : where}`;
}
