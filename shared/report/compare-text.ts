import type { StepComparison } from '../stats/index.ts';
import type { CompareReport } from './compare-report.ts';
import { headline, measureRow, methodText, sidesText, stepLabel, VERDICT_SIGNS } from './compare-words.ts';
import { oneLine } from './format.ts';
import { createPaint, type Paint } from './paint.ts';

/** A comparison for a terminal: one table per step, what needs a look first, and the verdict last, where the eye lands. */
export function renderCompareText(report: CompareReport, options: { readonly color: boolean }): string {
  const paint = createPaint(options.color);
  const { comparison, warnings, verdict } = report;
  const tables = [comparison.total, ...comparison.steps].map((group) => stepTable(group, paint));
  const color = { regression: paint.bad, improvement: paint.good, 'no difference': paint.good, 'not enough data': paint.warn };
  const closing = [
    ...warnings.map((warning) => paint.warn(`warning: ${oneLine(warning)}`)),
    methodText(report),
    color[verdict](`${VERDICT_SIGNS[verdict]} ${headline(report)}`),
  ];
  return `\n${sidesText(report)}\n\n${tables.join('\n\n')}\n\n${closing.join('\n')}\n`;
}

const HEAD = ['', 'BASELINE', 'CANDIDATE', 'CHANGE', 'INTERVAL', 'VERDICT'];

function stepTable({ step, requests, measures }: StepComparison, paint: Paint): string {
  const rows = measures.map(measureRow).map(({ label, numbers, told, remark }) => [label, ...numbers, `${told}${remark}`]);
  const widths = HEAD.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ').trimEnd(); // prettier-ignore
  const title = `${stepLabel(step)}: ${requests.baseline} against ${requests.candidate} requests`;
  const body = measures.map((one, i) => {
    const text = `  ${line(rows[i] ?? [])}`;
    return one.verdict === 'regression' ? paint.bad(text) : one.verdict === 'improvement' ? paint.good(text) : text;
  });
  return [paint.strong(title), `  ${line(HEAD)}`, ...body].join('\n');
}
