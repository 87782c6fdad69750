import type { RampingVusLoad } from './plan.ts';

/** When one VU of a ramp is wanted: from `fromUs` until before `toUs`, both relative to the scenario's zero. */
export interface Presence {
  readonly fromUs: number;
  /** `Infinity` when it is wanted to the end of the load. */
  readonly toUs: number;
}

/** Closed-form presence of VU `vu` (0-based) in a ramp. It is wanted while the number of VUs, rounded to the nearest whole, is above
 *  `vu`: from the instant a rising line crosses vu + ½ until a falling one does. Over any split of the VUs the agents' counts therefore
 *  add up to the ramp's own at every instant. */
export function presences(load: RampingVusLoad, vu: number): Presence[] {
  const level = vu + 0.5;
  const found: Presence[] = [];
  let atUs = 0;
  let vus = load.startVus;
  let sinceUs = vus > level ? 0 : undefined;
  for (const { durationUs, targetVus } of load.stages) {
    const isIn = targetVus > level;
    if (isIn !== vus > level) {
      const crossingUs = durationUs === 0 ? atUs : atUs + (durationUs * (level - vus)) / (targetVus - vus);
      if (!isIn) {
        found.push({ fromUs: sinceUs ?? crossingUs, toUs: crossingUs });
        sinceUs = undefined;
      } else if (found.at(-1)?.toUs === crossingUs) {
        // Two jumps at one instant: it never left.
        sinceUs = found.pop()?.fromUs;
      } else sinceUs = crossingUs;
    }
    atUs += durationUs;
    vus = targetVus;
  }
  if (sinceUs !== undefined) found.push({ fromUs: sinceUs, toUs: Infinity });
  return found.filter(({ fromUs, toUs }) => toUs > fromUs);
}

/** VUs wanted at `us`, relative to the scenario's zero: the straight line of the stage in force, rounded to the nearest whole.
 *  Halves are rounded up while rising and down while falling, as `presences` has it. */
export function vusAt(load: RampingVusLoad, us: number): number {
  let wanted = 0;
  const most = load.stages.reduce((max, stage) => Math.max(max, stage.targetVus), load.startVus);
  for (let vu = 0; vu < most; vu++) {
    if (presences(load, vu).some(({ fromUs, toUs }) => us >= fromUs && us < toUs)) wanted++;
  }
  return wanted;
}
