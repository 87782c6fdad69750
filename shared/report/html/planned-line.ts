import type { PlannedArrivals } from '../bundle.ts';

/** What the plan wanted per second, column by column, over all scenarios that plan arrivals. The steps of the manifest are divided where a column
 *  cuts them, as if arrivals were even within a step; their sum stays. `untilUs`: where the plan was cut. */
export function plannedPerSecond(planned: readonly PlannedArrivals[], columns: number, columnUs: number, untilUs = Infinity): number[] {
  const edges = Array.from({ length: columns + 1 }, (_, i) => Math.min(i * columnUs, untilUs));
  const before = edges.map((us) => planned.reduce((sum, scenario) => sum + countBefore(scenario, us), 0));
  return Array.from({ length: columns }, (_, i) => Math.round(((before[i + 1]! - before[i]!) * 1e9) / columnUs) / 1_000);
}

function countBefore({ stepUs, counts }: PlannedArrivals, us: number): number {
  const whole = Math.min(counts.length, Math.floor(us / stepUs));
  let sum = 0;
  for (let step = 0; step < whole; step++) sum += counts[step]!;
  return sum + (counts[whole] ?? 0) * (us / stepUs - whole);
}
