import { parseDurationUs } from '../base/index.ts';
import type { ThinkStep } from '../plan/index.ts';
import { describe, expected } from './describe.ts';
import type { Path, Report } from './problems.ts';
import { DURATION_MAX_US } from './schema-parts.ts';

/** `1s`, or `1s..3s`: a pause drawn between both. `undefined` after a problem. */
export function compileThink(text: unknown, path: Path, report: Report): ThinkStep | undefined {
  const parts = typeof text === 'string' ? text.split('..') : [text];
  const bounds = parts.map((part) => (typeof part === 'string' || typeof part === 'number' ? parseDurationUs(part) : undefined));
  const [minUs, maxUs = minUs] = bounds;
  if (parts.length > 2 || minUs === undefined || maxUs === undefined || bounds.includes(undefined) || maxUs > DURATION_MAX_US) {
    report(path, expected('a pause such as 1s, or a span such as 1s..3s', text));
    return undefined;
  }
  if (maxUs < minUs) {
    report(path, `the span ${describe(text)} ends before it begins`);
    return undefined;
  }
  return { kind: 'think', minUs, maxUs };
}
