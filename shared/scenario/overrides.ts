import { parseDurationUs, parseRate, VUS_MAX } from '../base/index.ts';
import { describe, expected } from './describe.ts';
import type { ProblemList } from './problems.ts';
import { isSeed, type ScenarioDefinition } from './schema.ts';
import { DURATION_MAX_US } from './schema-parts.ts';

/** What the command line says in place of the file. */
export interface ScenarioOverrides {
  /** `-e KEY=VALUE`, for `${env.KEY}`. */
  readonly env: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly rate?: string;
  readonly vus?: number;
  readonly duration?: string;
  readonly seed?: number;
}

/** Says what is wrong with the flags themselves, and which flag no scenario of the file can take. What is wrong is left out of the answer. */
export function checkOverrides(overrides: ScenarioOverrides, executors: readonly unknown[], problems: ProblemList): ScenarioOverrides {
  const { rate, vus, duration, seed, ...rest } = overrides;
  const isFit = (flag: string, value: unknown, holds: boolean, what: string, takers: readonly string[]): boolean => {
    if (!holds) problems.reportFlag(flag, expected(what, value));
    else if (executors.length > 0 && !executors.some((executor) => takers.includes(String(executor)))) {
      problems.reportFlag(flag, `no scenario of the file takes it: it is for ${takers.join(' and ')}`);
    } else return true;
    return false;
  };
  return {
    ...rest,
    ...(rate !== undefined && isFit('--rate', rate, (parseRate(rate)?.events ?? 0) > 0, RATE, ['constant-arrival-rate']) ? { rate } : {}),
    ...(vus !== undefined &&
    isFit('--vus', vus, isVus(vus), `a whole number from 1 to ${String(VUS_MAX)}`, [
      'constant-vus',
      'per-vu-iterations',
      'shared-iterations',
    ])
      ? { vus }
      : {}),
    ...(duration !== undefined && isFit('--duration', duration, isDuration(duration), DURATION, ['constant-arrival-rate', 'constant-vus'])
      ? { duration }
      : {}),
    ...(seed !== undefined && isFitSeed(seed, problems) ? { seed } : {}),
  };
}

/** The scenario as the command line wants it. A rate with a unit brings its own time unit. */
export function override(definition: ScenarioDefinition, overrides: ScenarioOverrides): ScenarioDefinition {
  const { rate, vus, duration } = overrides;
  switch (definition.executor) {
    case 'ramping-arrival-rate':
    case 'ramping-vus':
      return definition;
    case 'per-vu-iterations':
    case 'shared-iterations':
      return { ...definition, vus: vus ?? definition.vus };
    case 'constant-vus':
      return { ...definition, vus: vus ?? definition.vus, duration: duration ?? definition.duration };
    case 'constant-arrival-rate':
      return { ...definition, ...(rate === undefined ? {} : overriddenRate(definition, rate)), duration: duration ?? definition.duration };
  }
}

const RATE = 'a rate above zero such as 200 or 2k/s';
const DURATION = 'a duration above zero such as 30s';

/** A bare number keeps the time unit that the file counts over, wherever the file says it. */
function overriddenRate(
  definition: Extract<ScenarioDefinition, { executor: 'constant-arrival-rate' }>,
  rate: string,
): { rate: string; timeUnit: string | number | undefined } {
  if (parseRate(rate)?.unitUs !== undefined) return { rate, timeUnit: undefined };
  const ownUnitUs = parseRate(definition.rate)?.unitUs;
  return { rate, timeUnit: definition.timeUnit ?? (ownUnitUs === undefined ? undefined : ownUnitUs / 1_000) };
}

function isVus(vus: number): boolean {
  return Number.isInteger(vus) && vus >= 1 && vus <= VUS_MAX;
}

function isDuration(text: string): boolean {
  const us = parseDurationUs(text);
  return us !== undefined && us > 0 && us <= DURATION_MAX_US;
}

function isFitSeed(seed: number, problems: ProblemList): boolean {
  if (isSeed(seed)) return true;
  problems.reportFlag('--seed', `expected a whole number from 0 to 4294967295, got ${describe(seed)}`);
  return false;
}
