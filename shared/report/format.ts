import { formatDurationUs } from '../base/index.ts';

/** Width of a metric's name with its dots; the longest names of ours fit. */
const NAME_COLUMNS = 28;

/** A name set with dots, so that the eye finds its value. */
export function dotted(name: string): string {
  return name.padEnd(NAME_COLUMNS, '.');
}

/** Milliseconds for people. `0` has no unit to lose. */
export function formatMs(ms: number): string {
  return ms === 0 ? '0s' : formatDurationUs(ms * 1_000);
}

/** A value of a metric's unit: milliseconds as a time, anything else as a number with its unit. */
export function formatIn(unit: string, value: number): string {
  return unit === 'ms' ? formatMs(value) : `${formatCount(value)}${oneLine(unit)}`;
}

export function formatPercent(fraction: number): string {
  // Rounding must not turn "almost none" into none, nor "almost all" into all.
  const percent = fraction * 100;
  if (percent > 0 && percent < 0.005) return '<0.01%';
  if (percent < 100 && percent > 99.995) return '>99.99%';
  return `${percent.toFixed(2)}%`;
}

export function formatCount(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toFixed(2)));
}

/** Names come from scenario files and targets: control characters in them must not move the cursor. */
export function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}
