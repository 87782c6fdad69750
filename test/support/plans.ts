import type { ConstantVusLoad, Epoch, OpenLoad, PlannedScenario } from '../../shared/plan/index.ts';

const SECOND_US = 1_000_000;

export function openScenario(
  load: Partial<OpenLoad> & { readonly ratePerSecond?: number; readonly seconds?: number } = {},
  parts: Partial<PlannedScenario> = {},
): PlannedScenario & { readonly load: OpenLoad } {
  const { ratePerSecond = 10, seconds = 1, ...rest } = load;
  return {
    name: 'browse',
    startUs: 0,
    gracefulStopUs: SECOND_US,
    ...parts,
    load: {
      kind: 'constant-arrival-rate',
      arrivals: 'uniform',
      timeUnitUs: SECOND_US,
      segments: [{ durationUs: seconds * SECOND_US, startRate: ratePerSecond, endRate: ratePerSecond }],
      preAllocatedVus: 1,
      maxVus: 10,
      ...rest,
    },
  };
}

export function closedScenario(
  load: Partial<ConstantVusLoad> = {},
  parts: Partial<PlannedScenario> = {},
): PlannedScenario & { readonly load: ConstantVusLoad } {
  return {
    name: 'loop',
    startUs: 0,
    gracefulStopUs: SECOND_US,
    ...parts,
    load: { kind: 'constant-vus', vus: 4, durationUs: SECOND_US, ...load },
  };
}

/** One epoch from the start, in which these own the indices in turn. */
export function oneEpoch(...owners: string[]): Epoch[] {
  return [{ number: 0, fromUs: 0, owners }];
}
