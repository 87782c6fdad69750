import { PERCENTILES, type SeriesSummary, type Summary } from './summary.ts';

/** Columns of numbers, in the order of the file; a kind of metric fills its own and leaves the others empty. */
const NUMBERS = [
  ...['count', 'min', 'mean', 'max', 'stdDev'].map((name) => [name, name] as const),
  ...PERCENTILES.map((name) => [`p${name}`, name] as const),
  ...['overflow', 'rate', 'passes', 'fails', 'value'].map((name) => [name, name] as const),
];

/** One row per series with all of its statistics, one column per tag (`tag.name`); RFC 4180, first row titles. Times are milliseconds. */
export function renderCsv({ series }: Summary): string {
  const tags = [...new Set(series.flatMap((one) => Object.keys(one.tags)))].sort();
  const head = ['metric', 'type', 'unit', ...tags.map((name) => `tag.${name}`), ...NUMBERS.map(([title]) => title)];
  const rows = series.map((one) => [
    one.metric,
    one.type,
    'unit' in one ? (one.unit ?? '') : '',
    ...tags.map((name) => one.tags[name] ?? ''),
    ...NUMBERS.map(([, name]) => numberText(one, name)),
  ]);
  return [head, ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

function numberText(one: SeriesSummary, name: string): string {
  const numbers: Readonly<Record<string, unknown>> = { ...one, ...(one.type === 'trend' ? one.percentiles : {}) };
  const value = numbers[name];
  return typeof value === 'number' ? String(value) : '';
}

function field(text: string): string {
  // A spreadsheet must not take a name from a target for a formula.
  const plain = /^[=+@\t\r]|^-(?![\d.])/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
