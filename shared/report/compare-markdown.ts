import type { StepComparison } from '../stats/index.ts';
import type { CompareReport } from './compare-report.ts';
import { changedText, headline, measureRow, methodText, sidesText, stepLabel, VERDICT_SIGNS } from './compare-words.ts';

/** A comparison for the comment of a pull request: verdict on top, the total as a table, steps folded away. */
export function renderCompareMarkdown(report: CompareReport): string {
  const { comparison, warnings, verdict } = report;
  const steps = comparison.steps.map((step) => {
    const changed = changedText(step);
    const told = changed === '' ? '' : `: ${changed}`;
    return `<details><summary>${escaped(stepLabel(step.step))}${escaped(told)}</summary>\n\n${table(step)}\n\n</details>`;
  });
  const parts = [
    `### ${VERDICT_SIGNS[verdict]} ${escaped(headline(report))}`,
    escaped(sidesText(report)),
    ...warnings.map((warning) => `> ⚠ ${escaped(warning)}`),
    table(comparison.total),
    ...steps,
    `<sub>${escaped(methodText(report))}</sub>`,
  ];
  return `${parts.join('\n\n')}\n`;
}

function table({ requests, measures }: StepComparison): string {
  const head = `| | baseline (${requests.baseline} requests) | candidate (${requests.candidate}) | change | interval | verdict |`;
  const rows = measures.map(measureRow).map(({ label, numbers, verdict, told, remark }) => {
    const cells = [label, ...numbers, `${verdict === 'regression' ? told.replace(verdict, `**${verdict}**`) : told}${remark}`];
    return `| ${cells.join(' | ')} |`;
  });
  return [head, '| --- | ---: | ---: | ---: | ---: | --- |', ...rows].join('\n');
}

/** Names come from scenario files and folders: none of them may end a cell, begin a tag or link anywhere. */
function escaped(text: string): string {
  return text.replace(/[\u0000-\u001f]/g, ' ').replace(/[\\`*_{}[\]<>|#@!]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
