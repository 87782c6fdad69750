import type { PlannedMetric } from '../plan/index.ts';
import { isBuiltInMetric } from '../sla/index.ts';
import { isMapping } from './describe.ts';
import type { Report } from './problems.ts';
import { metricSchema } from './schema.ts';

/** Metrics of one scenario file; a program that declares more has made a mistake. */
const METRICS_MAX = 100;

/** The `metrics` section. Entries of a wrong shape were reported with the shape of the document. */
export function compileMetrics(definition: unknown, report: Report): Record<string, PlannedMetric> {
  const metrics: Record<string, PlannedMetric> = {};
  const entries = Object.entries(isMapping(definition) ? definition : {});
  if (entries.length > METRICS_MAX) report(['metrics'], `expected at most ${String(METRICS_MAX)} metrics, got ${String(entries.length)}`);
  for (const [name, raw] of entries) {
    const path = ['metrics', name];
    if (!/^[A-Za-z_]\w{0,127}$/.test(name)) {
      report(path, 'a metric is named by at most 128 letters, digits and _, not beginning with a digit');
    }
    if (isBuiltInMetric(name)) report(path, `"${name}" is a metric of every run; a metric of your own needs a name of its own`);
    const shape = metricSchema.safeParse(raw);
    if (!shape.success) continue;
    const { type, unit } = shape.data;
    if (unit !== undefined && type !== 'trend' && type !== 'gauge') report([...path, 'unit'], `a ${type} has no unit`);
    metrics[name] = { kind: type, unit: unit ?? (type === 'trend' ? 'ms' : '') };
  }
  return metrics;
}
