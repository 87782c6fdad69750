import type { Summary } from './summary.ts';

/** `summary.json` as text: indented, with a final line break, the same bytes for the same summary. */
export function renderJson(summary: Summary): string {
  return `${JSON.stringify(summary, null, 2)}\n`;
}
