import { createPaint } from './paint.ts';
import type { Summary } from './summary.ts';
import { checkLines, errorLines, metricLines, thresholdLines } from './text-measured.ts';
import { warmUpLines } from './warm-up.ts';
import { agentLines, lagLines, ledgerLines, resultLines, validityLines } from './text-proof.ts';

/** The closing summary, for people, at most 100 columns where names allow: measured values in k6's layout first, then the proof that
 *  they are complete, and last, where the eye lands, what it all comes to. */
export function renderSummary(summary: Summary, options: { readonly color: boolean }): string {
  const paint = createPaint(options.color);
  const sections: readonly (readonly [title: string, lines: readonly string[]])[] = [
    ['CHECKS', checkLines(summary, paint)],
    ['METRICS', metricLines(summary)],
    ['WARM-UP', warmUpLines(summary)],
    ['ERRORS', errorLines(summary, paint)],
    ['AGENTS', agentLines(summary, paint)],
    ['SCHEDULE', lagLines(summary)],
    ['LEDGER', ledgerLines(summary, paint)],
    ['THRESHOLDS', thresholdLines(summary, paint)],
    ['VALIDITY', validityLines(summary, paint)],
  ];
  const blocks = sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [paint.strong(title), ...lines.map((line) => `  ${line}`)].join('\n'));
  return `\n${[...blocks, resultLines(summary, paint).join('\n')].join('\n\n')}\n`;
}
