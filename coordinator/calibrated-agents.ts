import type { Epoch } from '../shared/plan/index.ts';
import type { CalibratedAgent } from '../shared/sla/index.ts';
import type { Agent } from './fleet.ts';

/** What every agent of a calibrated machine was asked to fire at the peak of the plan, beside what its machine has been shown to fire in
 *  time. Agents of one machine share it: more of them than were calibrated get no more together. */
export function calibratedAgents(
  agents: readonly Pick<Agent, 'id' | 'machineRate'>[],
  peakPerSecond: number,
  epochs: readonly Epoch[],
): CalibratedAgent[] {
  return agents.flatMap(({ id, machineRate }) => {
    if (machineRate === undefined) return [];
    const neighbours = agents.filter((other) => other.machineRate?.machineId === machineRate.machineId).length;
    const shownPerSecond = machineRate.arrivalsPerSecond / Math.max(machineRate.agents, neighbours);
    return [{ agent: id, askedPerSecond: peakPerSecond * largestShare(id, epochs), shownPerSecond }];
  });
}

function largestShare(agent: string, epochs: readonly Epoch[]): number {
  return Math.max(0, ...epochs.map(({ owners }) => owners.filter((owner) => owner === agent).length / Math.max(1, owners.length)));
}
