import { VALIDITY_RULES, type ReasonCode } from '../sla/index.ts';
import { conditionText, selectorText, type Summary, type ThresholdSummary } from './summary.ts';
import { observedText } from './text-measured.ts';

interface TestCase {
  readonly name: string;
  readonly failure: string | undefined;
  /** Said of a case that passed all the same. */
  readonly remark?: string | undefined;
}

/** JUnit's XML, as CI servers read it: a case per threshold, and a case for everything that could speak against the measurement. What only
 *  degrades a result passes with a remark, as it does not fail a run either. */
export function renderJunit(summary: Summary): string {
  const { run } = summary;
  const thresholds = summary.thresholds.map((threshold) => thresholdCase(summary, threshold));
  const validity = validityCases(summary);
  const cases = [...thresholds, ...validity];
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<testsuites name="${text(run.name)}" tests="${cases.length}" failures="${failures(cases)}" errors="0" time="${run.durationSeconds}">\n` +
    `${suite('thresholds', summary, thresholds)}${suite('validity', summary, validity)}</testsuites>\n`
  );
}

function suite(name: string, { run }: Summary, cases: readonly TestCase[]): string {
  const head = `name="${name}" tests="${cases.length}" failures="${failures(cases)}" errors="0" skipped="0"`;
  const lines = cases.map((one) => renderCase(`${run.name}.${name}`, one));
  return (
    `  <testsuite ${head} timestamp="${text(run.startedAt.replace(/Z$/, ''))}" time="${run.durationSeconds}">\n` +
    `    <properties><property name="run" value="${text(run.id)}"/></properties>\n${lines.join('')}  </testsuite>\n`
  );
}

function renderCase(className: string, { name, failure, remark }: TestCase): string {
  const head = `    <testcase classname="${text(className)}" name="${text(name)}" time="0"`;
  if (failure !== undefined) return `${head}><failure message="${text(failure)}"/></testcase>\n`;
  if (remark !== undefined) return `${head}><system-out>${text(remark)}</system-out></testcase>\n`;
  return `${head}/>\n`;
}

function thresholdCase({ metrics }: Summary, threshold: ThresholdSummary): TestCase {
  const { metric, tags, verdict } = threshold;
  const seen = observedText(threshold, metrics[metric]);
  return {
    name: `${selectorText(metric, tags)}: ${conditionText(threshold)}`,
    failure: verdict === 'pass' ? undefined : seen,
    remark: verdict === 'pass' ? seen : undefined,
  };
}

/** Every reason that exists, so that a case does not appear only when it fails; and reasons of a newer version. */
function validityCases({ validity }: Summary): TestCase[] {
  const known = Object.keys(VALIDITY_RULES);
  const codes = [...known, ...new Set(validity.reasons.map(({ code }) => code).filter((code) => !known.includes(code)))];
  return codes.map((code) => {
    const reasons = validity.reasons.filter((reason) => reason.code === code);
    const isInvalid = reasons.some(({ grade }) => grade === 'invalid' || (grade === undefined && validity.grade === 'invalid'));
    const said = reasons.length === 0 ? undefined : reasons.map(({ detail }) => detail).join('; ');
    const name = known.includes(code) ? `${code}: ${VALIDITY_RULES[code as ReasonCode].meaning}` : code;
    return { name, failure: isInvalid ? said : undefined, remark: isInvalid ? undefined : said };
  });
}

function failures(cases: readonly TestCase[]): number {
  return cases.filter(({ failure }) => failure !== undefined).length;
}

/** XML has no place for most control characters, not even escaped; halves of surrogate pairs are no characters at all. */
function text(value: string): string {
  return value
    .toWellFormed()
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"'\n\r\t]/g, (character) => `&#${character.charCodeAt(0)};`);
}
