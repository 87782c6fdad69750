import { formatDurationUs } from '../base/index.ts';
import { createSchedule, isOpen, plannedIterations, type Plan, type PlannedScenario, type Workload } from '../plan/index.ts';
import { usedRows } from './warnings.ts';

/** The plan with every scenario ending where its unique rows do: iteration n uses row n, so a scenario has as many iterations as the
 *  shortest data set that ends it has rows. Which of its rows a function asks for is not known before it runs, so it is taken to use
 *  every such set of the file. */
export function limitByRows(plan: Plan, workload: Pick<Workload, 'flows' | 'rows'>): { readonly plan: Plan; readonly warnings: string[] } {
  const warnings: string[] = [];
  const scenarios = plan.scenarios.map((scenario) => {
    const set = shortestSet(scenario.name, workload);
    if (set === undefined) return scenario;
    const limited = { ...scenario, load: limitedLoad(scenario, set.rows) };
    const wanted = knownIterations(scenario, plan.seed);
    if (wanted !== undefined && wanted > set.rows) {
      const at = isOpen(limited.load) ? `, after ${formatDurationUs(createSchedule(scenario, plan.seed).instantUs(set.rows))}` : '';
      warnings.push(
        `${set.name} has ${String(set.rows)} rows for ${String(wanted)} iterations of ${scenario.name}: it ends when they are used up${at}`,
      );
    }
    return limited;
  });
  return { plan: { ...plan, scenarios }, warnings };
}

function shortestSet(scenario: string, { flows, rows }: Pick<Workload, 'flows' | 'rows'>): { name: string; rows: number } | undefined {
  const used = flows[scenario]?.kind === 'script' ? new Set(Object.keys(rows)) : usedRows({ flows }, [scenario]);
  return Object.entries(rows)
    .filter(([name, set]) => set.endsScenario === true && used.has(name))
    .map(([name, set]) => ({ name, rows: set.rows.length }))
    .sort((a, b) => a.rows - b.rows)[0];
}

function limitedLoad({ load }: PlannedScenario, rows: number): PlannedScenario['load'] {
  return load.kind === 'shared-iterations' ? { ...load, iterations: Math.min(load.iterations, rows) } : { ...load, indexLimit: rows };
}

/** Iterations that would run without a limit, where that is known before the run. */
function knownIterations(scenario: PlannedScenario, seed: number): number | undefined {
  return isOpen(scenario.load) ? createSchedule(scenario, seed).count : plannedIterations(scenario.load);
}
