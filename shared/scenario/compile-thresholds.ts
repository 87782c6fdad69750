import { didYouMean, formatDurationUs } from '../base/index.ts';
import { parseThreshold, type Threshold } from '../sla/index.ts';
import { isMapping } from './describe.ts';
import type { Path, Report } from './problems.ts';
import { thresholdSchema } from './schema.ts';

export interface ThresholdContext {
  readonly scenarios: readonly string[];
  readonly intervalUs: number;
  readonly report: Report;
}

/** Every threshold of the file, in its order. Those with a wrong shape were reported with the shape of the document. */
export function compileThresholds(definition: unknown, context: ThresholdContext): Threshold[] {
  if (!isMapping(definition)) return [];
  return Object.entries(definition).flatMap(([metric, list]) => {
    const items: readonly unknown[] = Array.isArray(list) ? list : [];
    return items.flatMap((raw, i) => {
      const threshold = compileThreshold(metric, raw, ['thresholds', metric, i], context);
      return threshold === undefined ? [] : [threshold];
    });
  });
}

/** What series can be told apart by. */
const TAGS = ['scenario', 'name', 'method', 'status', 'error', 'check', 'group', 'phase', 'expected_response'];

function compileThreshold(
  metric: string,
  raw: unknown,
  path: Path,
  { scenarios, intervalUs, report }: ThresholdContext,
): Threshold | undefined {
  const shape = thresholdSchema.safeParse(raw);
  if (!shape.success) return undefined;
  const { threshold: expression, ...options } = typeof shape.data === 'string' ? { threshold: shape.data } : shape.data;
  const threshold = parseThreshold(metric, expression, options);
  if ('problem' in threshold) {
    report(path, threshold.problem);
    return undefined;
  }
  for (const tag of Object.keys(threshold.tags)) {
    if (!TAGS.includes(tag)) report(path, `there is no tag "${tag}"${didYouMean(tag, TAGS)}`);
  }
  const { scenario } = threshold.tags;
  // A threshold on nothing never gets data, and would fail every run.
  if (scenario !== undefined && !scenarios.includes(scenario)) {
    report(path, `there is no scenario "${scenario}"${didYouMean(scenario, scenarios)}`);
  }
  if (threshold.windowUs !== undefined && threshold.windowUs < intervalUs) {
    report(
      [...path, 'window'],
      `expected at least one interval (${formatDurationUs(intervalUs)}), got ${formatDurationUs(threshold.windowUs)}`,
    );
  }
  return threshold;
}
