import { slotsByOwner, type Epoch } from '../shared/plan/index.ts';
import type { CalibratedAgent } from '../shared/sla/index.ts';
import type { Agent } from './fleet.ts';

/** What every agent of a calibrated machine was asked to fire at the peak of the plan, beside what its machine has been shown to fire in
 *  time. Agents of one machine share it: more of them than were calibrated get no more together. */
export function calibratedAgents(
  agents: readonly Pick<Agent, 'id' | 'machineRate'>[],
  peakPerSecond: number,
  epochs: readonly Epoch[],
): CalibratedAgent[] {
  const onMachine = new Map<string, number>();
  for (const { machineRate } of agents) {
    if (machineRate !== undefined) onMachine.set(machineRate.machineId, (onMachine.get(machineRate.machineId) ?? 0) + 1);
  }
  const slots = epochs.map(({ owners }) => ({ of: slotsByOwner(owners), all: Math.max(1, owners.length) }));
  return agents.flatMap(({ id, machineRate }) => {
    if (machineRate === undefined) return [];
    const largestShare = Math.max(0, ...slots.map(({ of, all }) => (of.get(id)?.length ?? 0) / all));
    const shownPerSecond = machineRate.arrivalsPerSecond / Math.max(machineRate.agents, onMachine.get(machineRate.machineId) ?? 0);
    return [{ agent: id, askedPerSecond: peakPerSecond * largestShare, shownPerSecond }];
  });
}
