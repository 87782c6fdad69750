import { didYouMean } from '../base/index.ts';
import { endUs, type PlannedScenario } from '../plan/index.ts';
import type { Path, Report } from './problems.ts';

/** Places scenarios that start after another: their zero is the other's end (its load, not its graceful stop), plus their own
 *  `startTime`. `after` names, for each such scenario, the one before it. Unknown names and circles are reported. */
export function placeAfter(
  scenarios: readonly PlannedScenario[],
  after: ReadonlyMap<string, string>,
  names: readonly string[],
  report: Report,
): PlannedScenario[] {
  const byName = new Map(scenarios.map((scenario) => [scenario.name, scenario]));
  const placed = new Map<string, PlannedScenario>();
  const place = (scenario: PlannedScenario, waiting: readonly string[]): PlannedScenario => {
    const done = placed.get(scenario.name);
    if (done !== undefined) return done;
    const before = after.get(scenario.name);
    if (before === undefined) return scenario;
    const where: Path = ['scenarios', scenario.name, 'startAfter'];
    if (!names.includes(before)) {
      report(where, `there is no scenario "${before}"${didYouMean(before, names)}`);
      return scenario;
    }
    const chain = [...waiting, scenario.name];
    if (chain.includes(before)) {
      // Told once, where the circle was entered.
      if (!placed.has(scenario.name)) report(where, `scenarios wait for each other: ${[...chain, before].join(' → ')}`);
      for (const name of chain) {
        const member = byName.get(name);
        if (member !== undefined) placed.set(name, member);
      }
      return scenario;
    }
    const other = byName.get(before);
    const result = other === undefined ? scenario : { ...scenario, startUs: endUs(place(other, chain)) + scenario.startUs };
    placed.set(scenario.name, placed.get(scenario.name) ?? result);
    return placed.get(scenario.name) ?? result;
  };
  return scenarios.map((scenario) => place(scenario, []));
}
