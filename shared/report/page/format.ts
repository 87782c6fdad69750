/** A duration in microseconds with three significant digits: `153 µs`, `7.61 ms`, `2.5 s`. */
export function formatUs(us: number): string {
  if (us < 1_000) return `${trim(us)} µs`;
  if (us < 1_000_000) return `${trim(us / 1_000)} ms`;
  if (us < 60_000_000) return `${trim(us / 1_000_000)} s`;
  return formatClock(us / 1_000_000);
}

/** A value of a trend; those of our own metrics are times, others keep thousandths of their unit. */
export function formatterOf(unit: string): (value: number) => string {
  return unit === 'ms' ? formatUs : (value) => `${formatNumber(value / 1_000)}${unit === '' ? '' : ` ${unit}`}`;
}

export function formatNumber(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 1e9) return `${trim(value / 1e9)} G`;
  if (magnitude >= 1e6) return `${trim(value / 1e6)} M`;
  if (magnitude >= 1e4) return `${trim(value / 1e3)} k`;
  return trim(value);
}

export function formatBytes(value: number): string {
  return `${formatNumber(value)}B`.replace(/(\d)B/, '$1 B');
}

/** A place along the run: `0:07`, `12:30`, `1:02:30`; below a minute in seconds. */
export function formatClock(seconds: number): string {
  const sign = seconds < 0 ? '−' : '';
  const whole = Math.abs(seconds);
  if (whole < 60) return `${sign}${trim(whole)} s`;
  const rounded = Math.round(whole);
  const [h, m, s] = [Math.floor(rounded / 3_600), Math.floor((rounded % 3_600) / 60), rounded % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return h > 0 ? `${sign}${h}:${two(m)}:${two(s)}` : `${sign}${m}:${two(s)}`;
}

function trim(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
