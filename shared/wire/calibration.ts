import { readFileSync } from 'node:fs';
import { arch, cpus, homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { reasonOf } from '../base/index.ts';

/** What a machine makes load with. A calibration holds for the same machine only. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly arch: string;
  /** Version of Node. */
  readonly node: string;
}

/** What `muster calibrate` found out about a machine, and agents on it tell their coordinator. */
export interface Calibration {
  readonly schemaVersion: 1;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Of Muster. */
  readonly version: string;
  readonly machine: Machine;
  /** Agents that took part. */
  readonly agents: number;
  /** Highest rate of all of them together that was fired with `schedule_lag` p99 below the limit. */
  readonly arrivalsPerSecond: number;
  readonly lagP99LimitMs: number;
}

/** `$MUSTER_CALIBRATION`, else `~/.cache/muster/calibration.json` (or below `$XDG_CACHE_HOME`). */
export function calibrationFile(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const given = env['MUSTER_CALIBRATION'];
  if (given !== undefined && given !== '') return given;
  return join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'muster', 'calibration.json');
}

export function thisMachine(): Machine {
  const cores = cpus();
  return { cpu: cores[0]?.model ?? 'unknown', cores: cores.length, arch: arch(), node: process.versions.node };
}

/** The same for every process on this machine, also in containers, and for no other machine: Linux draws it at boot. Host name elsewhere. */
export function machineId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    // Not Linux, or a container that hides it.
    return hostname();
  }
}

/** The calibration of `machine` in the file, or why it is of no use; `undefined` when nobody calibrated yet. */
export function readCalibration(file: string, machine: Machine): Calibration | { readonly problem: string } | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return { problem: `${file}: ${reasonOf(thrown)}` };
  }
  const calibration = parseCalibration(text);
  if (typeof calibration === 'string') return { problem: `${file}: ${calibration}` };
  const { cpu, cores, arch: architecture, node } = calibration.machine;
  if (cpu !== machine.cpu || cores !== machine.cores || architecture !== machine.arch || node !== machine.node) {
    return { problem: `${file} is of another machine or Node (${describeMachine(calibration.machine)}); calibrate again` };
  }
  return calibration;
}

export function describeMachine({ cpu, cores, arch: architecture, node }: Machine): string {
  return `${cores} × ${cpu}, ${architecture}, Node ${node}`;
}

/** The calibration, or what is wrong with the text. */
function parseCalibration(text: string): Calibration | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    return `expected JSON: ${reasonOf(thrown)}`;
  }
  const { schemaVersion, at, version, machine, agents, arrivalsPerSecond, lagP99LimitMs } = fields(value);
  if (schemaVersion !== 1) return 'expected schemaVersion 1';
  const { cpu, cores, arch: architecture, node } = fields(machine);
  const isText = (one: unknown): one is string => typeof one === 'string';
  const isPositive = (one: unknown): one is number => typeof one === 'number' && Number.isFinite(one) && one > 0;
  if (!isText(at) || !isText(version)) return 'expected text in at and version';
  if (!isText(cpu) || !isPositive(cores) || !isText(architecture) || !isText(node))
    return 'expected a machine with cpu, cores, arch and node';
  if (!isPositive(agents) || !isPositive(arrivalsPerSecond) || !isPositive(lagP99LimitMs))
    return 'expected positive numbers in agents, arrivalsPerSecond and lagP99LimitMs';
  return { schemaVersion, at, version, machine: { cpu, cores, arch: architecture, node }, agents, arrivalsPerSecond, lagP99LimitMs };
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
