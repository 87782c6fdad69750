import { formatDurationUs } from '../base/index.ts';
import type { CheckResult } from './check.ts';
import { oneLine } from './format.ts';
import { createPaint } from './paint.ts';
import { conditionText, selectorText, type ThresholdSummary } from './summary.ts';
import { thresholdLines } from './text-measured.ts';
import { validityLines } from './text-proof.ts';
import { escapeXml } from './xml.ts';

/** For people: every threshold, how far the result can be trusted, and one line that says what it comes to. */
export function renderCheckText(result: CheckResult, options: { readonly color: boolean }): string {
  const paint = createPaint(options.color);
  const { thresholds, metrics, validity, exitCode } = result;
  const held = thresholds.filter(({ verdict }) => verdict === 'pass').length;
  const trusted = validity === undefined ? '' : ` · result ${validity.grade}`;
  const sum = `${held} of ${thresholds.length} thresholds held${trusted}`;
  const blocks: readonly (readonly [title: string, lines: readonly string[]])[] = [
    ['THRESHOLDS', thresholdLines({ thresholds, metrics }, paint)],
    ...(validity === undefined ? [] : ([['VALIDITY', validityLines({ validity }, paint)]] as const)),
  ];
  const text = blocks.map(([title, lines]) => [paint.strong(title), ...lines.map((line) => `  ${line}`)].join('\n')).join('\n\n');
  const last = exitCode === 0 ? `${paint.good('✓ PASSED')}  ${sum}` : `${paint.bad('✗ FAILED')}  ${sum}`;
  return `\n${text}\n\n${oneLine(result.name)} (${formatDurationUs(result.durationUs)})\n${last}\n`;
}

/** For programs. `thresholds` has the shape that it has in `summary.json`. */
export function renderCheckJson({ path, name, durationUs, thresholds, validity, exitCode }: CheckResult): string {
  const document = { schemaVersion: 1, path, name, durationSeconds: durationUs / 1_000_000, thresholds, validity, exitCode };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** For continuous integration: JUnit XML with one case per threshold, and one for the validity of the result. */
export function renderCheckJunit(result: CheckResult): string {
  const { name, durationUs, thresholds, validity } = result;
  const cases = thresholds.map((threshold) => junitCase(selectorText(threshold.metric, threshold.tags), threshold));
  if (validity !== undefined) {
    const reasons = validity.reasons.map(({ code, detail }) => `${code}: ${detail}`).join('\n');
    const failure = validity.grade === 'invalid' ? [failureOf('invalid', 'the result is invalid', reasons)] : [];
    cases.push(caseOf('validity', `the result is ${validity.grade === 'degraded' ? 'degraded' : 'valid'}`, failure));
  }
  const failures = cases.filter((one) => one.includes('<failure')).length;
  const seconds = (durationUs / 1_000_000).toFixed(3);
  const counts = `tests="${cases.length}" failures="${failures}" errors="0"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts} time="${seconds}">`,
    `  <testsuite name="${escapeXml(name)}" ${counts} time="${seconds}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function junitCase(selector: string, threshold: ThresholdSummary): string {
  const { verdict, observed } = threshold;
  const title = conditionText(threshold);
  if (verdict === 'pass') return caseOf(selector, title, []);
  const seen = verdict === 'no-data' ? 'there was no data' : `observed ${String(observed)}`;
  return caseOf(selector, title, [failureOf(verdict, `${selector}: ${title}: ${seen}`, seen)]);
}

function caseOf(group: string, title: string, inner: readonly string[]): string {
  const open = `    <testcase classname="${escapeXml(group)}" name="${escapeXml(title)}"`;
  return inner.length === 0 ? `${open}/>` : [`${open}>`, ...inner, '    </testcase>'].join('\n');
}

function failureOf(type: string, message: string, text: string): string {
  return `      <failure type="${escapeXml(type)}" message="${escapeXml(message)}">${escapeXml(text)}</failure>`;
}
