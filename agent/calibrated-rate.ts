import type { Log } from '../shared/base/index.ts';
import { calibrationFile, machineId, readCalibration, thisMachine, type MachineRate } from '../shared/wire/index.ts';

/** What `muster calibrate` found out about this machine, if it did and the machine is still the same. An agent works without. */
export function calibratedRate(log: Log): MachineRate | undefined {
  const calibration = readCalibration(calibrationFile(), thisMachine());
  if (calibration === undefined) return undefined;
  if ('problem' in calibration) {
    log.warn({ reason: calibration.problem }, 'the calibration is not used');
    return undefined;
  }
  return { machineId: machineId(), agents: calibration.agents, arrivalsPerSecond: calibration.arrivalsPerSecond };
}
