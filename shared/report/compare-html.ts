import type { MeasureComparison, StepComparison } from '../stats/index.ts';
import { renderCurves } from './compare-curves.ts';
import type { CompareReport } from './compare-report.ts';
import { changedText, headline, measureRow, methodText, sidesText, stepLabel, VERDICT_SIGNS } from './compare-words.ts';
import { escapeHtml } from './escape-html.ts';

/** A comparison as one page that needs nothing else: no script, no network, light and dark, fit for print. */
export function renderCompareHtml(report: CompareReport): string {
  const { verdict, warnings, comparison, curves, baseline, candidate } = report;
  const groups = [comparison.total, ...comparison.steps];
  const sections = groups.map((group, i) => {
    const pair = curves[i];
    const body = `${pair === undefined ? '' : renderCurves(pair)}${tableHtml(group)}`;
    if (i === 0) return `<section><h2>${escapeHtml(stepLabel(group.step))}</h2>${body}</section>`;
    const told = changedText(group);
    const isOpen = told === '' ? '' : ' open';
    return `<details${isOpen}><summary>${escapeHtml(stepLabel(group.step))} <em>${escapeHtml(told)}</em></summary>${body}</details>`;
  });
  const files = (name: string, runs: CompareReport['baseline']): string =>
    `<dt>${name}</dt>${runs.map(({ path, run }) => `<dd>${escapeHtml(path)}${run === undefined ? '' : ` · ${escapeHtml(run.name)} · ${escapeHtml(run.startedAt)} · ${run.grade}`}</dd>`).join('')}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(`muster compare: ${verdict}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1 class="${verdictClass(verdict)}">${VERDICT_SIGNS[verdict]} ${escapeHtml(headline(report))}</h1>
<p>${escapeHtml(sidesText(report))}</p>
${warnings.map((warning) => `<p class="warning">⚠ ${escapeHtml(warning)}</p>`).join('\n')}
${sections.join('\n')}
<dl>${files('Baseline', baseline)}${files('Candidate', candidate)}</dl>
<footer>${escapeHtml(methodText(report))}</footer>
</body>
</html>
`;
}

function tableHtml({ requests, measures }: StepComparison): string {
  const head = ['', `Baseline (${requests.baseline})`, `Candidate (${requests.candidate})`, 'Change', 'Interval', 'Verdict'];
  return `<table><thead><tr>${head.map((title) => `<th scope="col">${title}</th>`).join('')}</tr></thead><tbody>${measures.map(rowHtml).join('')}</tbody></table>`;
}

function rowHtml(one: MeasureComparison): string {
  const { label, numbers, verdict, told, remark } = measureRow(one);
  const cells = numbers.map((text) => `<td>${escapeHtml(text)}</td>`).join('');
  const small = remark === '' ? '' : `<small>${escapeHtml(remark)}</small>`;
  return `<tr><th scope="row">${label}</th>${cells}<td class="${verdictClass(verdict)}">${told}${small}</td></tr>`;
}

function verdictClass(verdict: string): string {
  return verdict.replaceAll(' ', '-');
}

const STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --back: #fff; --faint: #d0d7de; --base: #57606a; --cand: #0969da; --bad: #cf222e; --good: #1a7f37; --warn: #9a6700 }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --back: #0d1117; --faint: #30363d; --base: #9ea7b3; --cand: #58a6ff; --bad: #ff7b72; --good: #56d364; --warn: #e3b341 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--faint); text-align: right }
th:first-child, th:last-child, td:last-child { text-align: left }
.regression { color: var(--bad) } .improvement { color: var(--good) } .not-enough-data, .warning { color: var(--warn) }
summary { cursor: pointer; font-weight: 600; padding: .3rem 0 } dt { font-weight: 600 } footer, small { opacity: .75 }
svg { width: 100%; height: auto; display: block } svg text { fill: var(--text); font-size: 11px }
.grid { stroke: var(--faint) } .base { stroke: var(--base) } .cand { stroke: var(--cand); stroke-dasharray: 6 3 }
.base, .cand { fill: none; stroke-width: 2 }
@media print { body { margin: 0; max-width: none } details { break-inside: avoid } }
`;
