import type { ClusterRun } from './cluster.ts';
import { quietSecond } from './machine-noise.ts';
import { zeroUs } from './started-run.ts';
import type { TargetLog } from './target.ts';

/** One measurement that a noisy machine can spoil. */
export interface Attempt {
  /** How long the machine kept one of the processes waiting during the attempt, milliseconds. */
  readonly noiseMs: number;
  /** What the measurement may be off on account of that, milliseconds, where it is more than one wait. */
  readonly allowanceMs?: number;
  /** Throws when the measurement is not as it must be. `slackMs` is what it may be off beyond that: 0 unless no attempt was quiet. */
  readonly judge: (slackMs: number) => void;
}

const ATTEMPTS_MAX = 3;
/** What a machine is given to come to rest before the next attempt. */
const REST_SECONDS_MAX = 8;

/** Measures and judges. A measurement that is not as it must be counts, unless its own noise was above the limit: then the machine had
 *  no time for it, and it is taken again, after a quiet second if one comes. When three were that noisy, the last is judged with its noise
 *  allowed for, and counts. */
export async function atAQuietMoment(noiseMaxMs: number, measure: () => Promise<Attempt>): Promise<void> {
  for (let left = ATTEMPTS_MAX - 1; ; left--) {
    const { noiseMs: noise, allowanceMs = noise, judge } = await measure();
    try {
      judge(left === 0 && noise > noiseMaxMs ? allowanceMs : 0);
      return;
    } catch (thrown) {
      if (left === 0 || noise <= noiseMaxMs) throw thrown;
    }
    await quietSecond(REST_SECONDS_MAX);
  }
}

/** The worst lateness that a run's agents and its target saw of themselves. */
export function noiseMs(
  agents: readonly { readonly pacerLagMaxMs: number; readonly loopDelayMaxMs: number }[],
  target: { readonly loopDelayMaxUs: number },
): number {
  return Math.max(target.loopDelayMaxUs / 1_000, ...agents.flatMap(({ pacerLagMaxMs, loopDelayMaxMs }) => [pacerLagMaxMs, loopDelayMaxMs]));
}

/** How late event loops were in a part of a run, `(fromUs, toUs)` from the run's zero on: milliseconds. Of the target's loop it is known to the
 *  moment, of an agent's to the interval. How late an agent fired is no part of it: that is what is tested. */
export async function noiseWithinMs(run: ClusterRun, { stalls }: TargetLog): Promise<(fromUs: number, toUs: number) => number> {
  const originUs = zeroUs(run);
  const intervalUs = run.plan.intervalMs * 1_000;
  const late = stalls.map(({ fromUs, toUs, lateUs }) => ({ fromUs: fromUs - originUs, toUs: toUs - originUs, lateUs }));
  for await (const { intervalIndex, intervalCount, health } of run.bundle.agentLines()) {
    const [fromUs, toUs] = [intervalIndex * intervalUs, (intervalIndex + intervalCount) * intervalUs];
    late.push({ fromUs, toUs, lateUs: health.loopDelayMaxUs });
  }
  return (fromUs, toUs) =>
    Math.max(0, ...late.filter((moment) => moment.fromUs < toUs && moment.toUs > fromUs).map(({ lateUs }) => lateUs / 1_000));
}
