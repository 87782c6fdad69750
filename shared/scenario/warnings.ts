import { allSteps, createSchedule, isOpen, plannedIterations, templatesOf, type Plan, type Workload } from '../plan/index.ts';
import type { Threshold } from '../sla/index.ts';

/** What is legal, but probably not what was meant. */
export function warningsOf(plan: Plan, workload: Workload, thresholds: readonly Threshold[]): string[] {
  return [...unusedRows(workload), ...unmatchedNames(workload, thresholds), ...repeatedRows(plan, workload)];
}

function unusedRows(workload: Workload): string[] {
  if (workload.script !== undefined) return [];
  const used = usedRows(workload, Object.keys(workload.flows));
  return Object.keys(workload.rows)
    .filter((name) => !used.has(name))
    .map((name) => `the data set "${name}" is used by no step`);
}

function unmatchedNames(workload: Workload, thresholds: readonly Threshold[]): string[] {
  if (workload.script !== undefined) return [];
  const names = new Set(
    Object.values(workload.flows)
      .flatMap(allSteps)
      .map((step) => ('name' in step ? step.name : '')),
  );
  return thresholds
    .filter(({ tags }) => tags['name'] !== undefined && !names.has(tags['name']))
    .map(({ metric, tags }) => `a threshold of ${metric} is for the name "${tags['name'] ?? ''}", which no step has: it will have no data`);
}

/** Rows are handed out by iteration index; more iterations than rows means that rows come round again. */
function repeatedRows(plan: Plan, workload: Workload): string[] {
  return plan.scenarios.flatMap((scenario) => {
    const { load } = scenario;
    if (isOpen(load) && load.arrivals === 'poisson') return [];
    const count = isOpen(load) ? createSchedule(scenario, plan.seed).count : plannedIterations(load);
    if (count === undefined) return [];
    return [...usedRows(workload, [scenario.name])].flatMap((name) => {
      const rows = workload.rows[name];
      if (rows?.order !== 'unique' || rows.rows.length >= count) return [];
      return [`${name} has ${String(rows.rows.length)} rows for ${String(count)} iterations of ${scenario.name}: rows will repeat`];
    });
  });
}

/** Data sets that the steps of these scenarios refer to. */
export function usedRows(workload: Pick<Workload, 'flows'>, scenarios: readonly string[]): ReadonlySet<string> {
  const used = new Set<string>();
  for (const scenario of scenarios) {
    const flow = workload.flows[scenario];
    for (const step of flow === undefined ? [] : allSteps(flow)) {
      for (const template of templatesOf(step)) {
        for (const part of template) if (typeof part === 'object' && part.source === 'row') used.add(part.name);
      }
    }
  }
  return used;
}
