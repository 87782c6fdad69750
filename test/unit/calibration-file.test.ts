import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { saveCalibration } from '../../coordinator/calibrate/save.ts';
import { calibratedAgents } from '../../coordinator/calibrated-agents.ts';
import { peakArrivalsPerSecond, type Epoch, type OpenLoad, type Plan } from '../../shared/plan/index.ts';
import { calibrationFile, machineId, readCalibration, thisMachine, type Calibration } from '../../shared/wire/index.ts';
import { closedScenario, openScenario } from '../support/plans.ts';

const CALIBRATION: Calibration = {
  schemaVersion: 1,
  at: '2026-01-31T14:25:01.000Z',
  version: '0.1.0',
  machine: thisMachine(),
  agents: 2,
  arrivalsPerSecond: 9_000,
  lagP99LimitMs: 1,
};

describe('the calibration file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'muster-calibration-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('is read as it was written, and nothing else is left', async () => {
    const file = join(folder, 'new', 'calibration.json');
    await saveCalibration(file, CALIBRATION);
    expect(readCalibration(file, thisMachine())).toEqual(CALIBRATION);
    expect(await readdir(join(folder, 'new'))).toEqual(['calibration.json']);
  });

  test('that is not there is no problem', () => {
    expect(readCalibration(join(folder, 'calibration.json'), thisMachine())).toBeUndefined();
  });

  test.each([
    ['no JSON', '{', 'expected JSON'],
    ['of another version', JSON.stringify({ ...CALIBRATION, schemaVersion: 2 }), 'expected schemaVersion 1'],
    ['without a machine', JSON.stringify({ ...CALIBRATION, machine: {} }), 'expected a machine'],
    ['without a rate', JSON.stringify({ ...CALIBRATION, arrivalsPerSecond: 0 }), 'expected positive numbers'],
    ['a list', '[]', 'expected schemaVersion 1'],
    ['of another CPU', JSON.stringify({ ...CALIBRATION, machine: { ...thisMachine(), cpu: 'Z80' } }), 'is of another machine or Node'],
    ['of another Node', JSON.stringify({ ...CALIBRATION, machine: { ...thisMachine(), node: '18.0.0' } }), 'calibrate again'],
  ])('that is %s is not used, and says why', async (_name, text, problem) => {
    const file = join(folder, 'calibration.json');
    await writeFile(file, text);
    expect(readCalibration(file, thisMachine())).toEqual({ problem: expect.stringContaining(problem) as unknown });
  });

  test('is where the environment says, else in the cache of the user', () => {
    expect(calibrationFile({ MUSTER_CALIBRATION: '/etc/muster.json' })).toBe('/etc/muster.json');
    expect(calibrationFile({ XDG_CACHE_HOME: '/cache' })).toBe('/cache/muster/calibration.json');
    expect(calibrationFile({})).toMatch(/\.cache\/muster\/calibration\.json$/);
  });

  test('a machine has one id', () => {
    expect(machineId()).toBe(machineId());
    expect(machineId()).not.toBe('');
  });
});

describe('what agents of a calibrated machine are asked for', () => {
  const rate = (machine: string): { readonly machineId: string; readonly agents: number; readonly arrivalsPerSecond: number } => ({
    machineId: machine,
    agents: 2,
    arrivalsPerSecond: 9_000,
  });
  const epochs: readonly Epoch[] = [{ number: 0, fromUs: 0, owners: ['a', 'b', 'a', 'c'] }];

  test('is their share of the peak, beside their share of what was shown', () => {
    const agents = [
      { id: 'a', machineRate: rate('m') },
      { id: 'b', machineRate: undefined },
      { id: 'c', machineRate: rate('n') },
    ];
    expect(calibratedAgents(agents, 12_000, epochs)).toEqual([
      { agent: 'a', askedPerSecond: 6_000, shownPerSecond: 4_500 },
      { agent: 'c', askedPerSecond: 3_000, shownPerSecond: 4_500 },
    ]);
  });

  test('more agents on a machine than were calibrated get no more together', () => {
    const agents = ['a', 'b', 'c'].map((id) => ({ id, machineRate: rate('m') }));
    expect(calibratedAgents(agents, 0, epochs).map(({ shownPerSecond }) => shownPerSecond)).toEqual([3_000, 3_000, 3_000]);
  });
});

describe('the peak of a plan', () => {
  const load = (segments: OpenLoad['segments'], timeUnitUs = 1_000_000): Partial<OpenLoad> => ({ segments, timeUnitUs });
  const plan = (scenarios: Plan['scenarios']): Plan => ({ name: 'p', seed: 1, intervalMs: 1_000, scenarios });
  const second = 1_000_000;

  test('is where scenarios meet, not the sum of their own peaks', () => {
    const falling = openScenario(load([{ durationUs: 2 * second, startRate: 100, endRate: 0 }]), { name: 'falling' });
    const later = openScenario(load([{ durationUs: second, startRate: 80, endRate: 80 }]), { name: 'later', startUs: second });
    expect(peakArrivalsPerSecond(plan([falling, later]))).toBe(130);
  });

  test('counts per second whatever the time unit, and knows jumps', () => {
    const perMinute = openScenario(
      load([{ durationUs: second, startRate: 60, endRate: 60 }, { durationUs: second, startRate: 600, endRate: 600 }], 60 * second),
    ); // prettier-ignore
    expect(peakArrivalsPerSecond(plan([perMinute]))).toBeCloseTo(10, 12);
  });

  test('is nothing where no arrivals are planned', () => {
    expect(peakArrivalsPerSecond(plan([closedScenario({ kind: 'constant-vus', vus: 3, durationUs: second })]))).toBe(0);
  });
});
