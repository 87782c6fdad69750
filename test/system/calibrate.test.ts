import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CalibrationResult } from '../../coordinator/calibrate/calibrate.ts';
import type { Summary } from '../../shared/report/index.ts';
import { readCalibration, thisMachine, type Calibration } from '../../shared/wire/index.ts';
import { Processes } from '../support/processes.ts';
import { TargetProcess } from '../support/target-process.ts';

/** Requests of all patterns, per second. */
const RATE = 1_000;
const SECONDS = 4;

describe('calibration', () => {
  const processes = new Processes();
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'muster-calibrate-'));
  });
  afterAll(async () => {
    await processes.killAll();
    await rm(folder, { recursive: true });
  });

  test('what is measured agrees with the reference server, and the rate that was found is kept', async () => {
    const file = join(folder, 'calibration.json');
    const { code, stdout, stderr } = await processes.muster(['calibrate', '--quick', '--seconds', String(SECONDS), '--json'], {
      env: { MUSTER_CALIBRATION: file },
    });
    const result = JSON.parse(stdout) as CalibrationResult & { readonly saved: string | null };
    expect(result.findings, stderr).toEqual([]);
    expect([code, result.verdict]).toEqual([0, 'passed']);
    const counts = result.comparisons.find(({ pattern, metric }) => pattern === 'all together' && metric === 'count');
    expect(counts?.figures.map(({ measured }) => measured)).toEqual(Array(4).fill(RATE * SECONDS));
    expect(result.rate?.steps.length).toBeGreaterThan(0);
    // How much a machine can do is its own affair; what was found is what later runs are judged by.
    const kept = readCalibration(file, thisMachine());
    expect([result.saved ?? undefined, (kept as Calibration | undefined)?.arrivalsPerSecond]).toEqual(
      result.rate?.ratePerSecond === undefined ? [undefined, undefined] : [file, result.rate.ratePerSecond],
    );
  });

  test('a run that asks more of an agent than its machine was calibrated to is degraded, with the reason', async () => {
    const file = join(folder, 'slow-machine.json');
    const calibration: Calibration = {
      schemaVersion: 1,
      at: '2026-01-31T14:25:01.000Z',
      version: '0.1.0',
      machine: thisMachine(),
      agents: 2,
      arrivalsPerSecond: 60,
      lagP99LimitMs: 1,
    };
    await writeFile(file, JSON.stringify(calibration));
    const target = await TargetProcess.start();
    try {
      const scenario = join(folder, 'scenario.yaml');
      const load = (rate: number): object => ({ executor: 'constant-arrival-rate', rate, duration: '1s', flow: [{ get: '/' }] });
      await writeFile(scenario, JSON.stringify({ target: target.url, scenarios: { a: load(50), b: load(30) } }));
      const { stdout } = await processes.muster(['run', scenario, '--agents', '2', '--json', '--quiet', '--out', join(folder, 'out')], {
        env: { MUSTER_CALIBRATION: file },
      });
      const { validity } = JSON.parse(stdout) as Summary;
      expect(validity.grade).not.toBe('valid');
      const detail = (agent: string): string => `agent ${agent} was to fire 40/s, its machine is calibrated to 30/s an agent`;
      expect(validity.reasons.filter(({ code }) => code === 'beyond-calibration')).toEqual(
        ['local-1', 'local-2'].map((agent) => ({ code: 'beyond-calibration', grade: 'degraded', detail: detail(agent), agent })),
      );
    } finally {
      await target.stop();
    }
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(calibration);
  });

  test('a place that cannot be written to is told before anything is measured', async () => {
    const { code, stderr } = await processes.muster(['calibrate', '--out', '/proc/muster/calibration.json']);
    expect(code).toBe(108);
    expect(stderr).toContain('/proc/muster');
    expect(stderr).not.toContain('warming up');
  });
});
