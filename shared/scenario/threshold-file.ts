import { AppError, formatDurationUs, type Problem } from '../base/index.ts';
import type { PlannedMetric } from '../plan/index.ts';
import { parseThreshold, type Threshold } from '../sla/index.ts';
import { isMapping } from './describe.ts';
import { ProblemList, type Path, type Report } from './problems.ts';
import { thresholdSchema } from './schema.ts';
import { parseYamlSource } from './yaml-source.ts';

export interface ThresholdFileContext {
  /** The file or flag that the text came from. */
  readonly where: string;
  readonly intervalUs: number;
  /** Metrics that are not ours. */
  readonly metrics: Readonly<Record<string, PlannedMetric>>;
}

/** Reads thresholds that stand alone: YAML, a mapping of metrics to one threshold or a list of them, as in a scenario file; or a whole
 *  scenario file, of which only `thresholds` is looked at. Throws `CONFIG_INVALID` with every problem at once. */
export function parseThresholds(text: string, { where, intervalUs, metrics }: ThresholdFileContext): Threshold[] {
  const source = parseYamlSource(text);
  if (source.problems.length > 0) throw invalid(where, source.problems);
  const problems = new ProblemList(source.lineOf);
  const whole = isMapping(source.document) ? source.document : {};
  const isPart = Object.hasOwn(whole, 'thresholds');
  const definition = isPart ? whole['thresholds'] : source.document;
  const found: Threshold[] = [];
  if (!isMapping(definition) || Object.keys(definition).length === 0) {
    problems.report(isPart ? ['thresholds'] : [], 'expected a mapping of metrics to thresholds, such as http_req_failed: rate<0.01');
  } else {
    for (const [metric, listed] of Object.entries(definition)) {
      const path = isPart ? ['thresholds', metric] : [metric];
      const list: readonly unknown[] = Array.isArray(listed) ? listed : [listed];
      if (list.length === 0) problems.report(path, 'expected at least one threshold, got an empty list');
      list.forEach((raw, i) => {
        const threshold = parseOne(metric, raw, {
          path: Array.isArray(listed) ? [...path, i] : path,
          intervalUs,
          metrics,
          report: problems.report,
        });
        if (threshold !== undefined) found.push(threshold);
      });
    }
  }
  const all = problems.all();
  if (all.length > 0) throw invalid(where, all);
  return found;
}

interface OneContext extends Omit<ThresholdFileContext, 'where'> {
  readonly path: Path;
  readonly report: Report;
}

function parseOne(metric: string, raw: unknown, { path, intervalUs, metrics, report }: OneContext): Threshold | undefined {
  const shape = thresholdSchema.safeParse(raw);
  if (!shape.success) {
    for (const issue of shape.error.issues) report([...path, ...issue.path.filter((key) => typeof key !== 'symbol')], issue.message);
    return undefined;
  }
  const { threshold: expression, ...options } = typeof shape.data === 'string' ? { threshold: shape.data } : shape.data;
  const threshold = parseThreshold(metric, expression, options, metrics);
  if ('problem' in threshold) {
    report(path, threshold.problem);
    return undefined;
  }
  const { windowUs } = threshold;
  if (windowUs !== undefined && windowUs < intervalUs) {
    report([...path, 'window'], `expected at least one interval (${formatDurationUs(intervalUs)}), got ${formatDurationUs(windowUs)}`);
  }
  return threshold;
}

function invalid(where: string, problems: readonly Problem[]): AppError {
  const count = problems.length === 1 ? '1 problem' : `${String(problems.length)} problems`;
  return new AppError('CONFIG_INVALID', `${where}: no valid thresholds: ${count}`, { problems });
}
