import type { Tags } from '../stats/index.ts';

/** Which time counts for samples with these tags: what windows begin after and counters are divided by. Run-relative, microseconds. */
export interface Counting {
  /** From when on. */
  fromUs(tags: Tags): number;
  /** How much of it there was until `untilUs`. */
  us(tags: Tags, untilUs: number): number;
}

/** A scenario of a run, as far as it says which time counts. */
export interface CountedScenario {
  readonly name: string;
  readonly startUs: number;
  /** What begins in this time from its start is measured apart. */
  readonly warmupUs?: number | undefined;
}

/** Samples count from the end of the first warm-up when all scenarios that they may be of have one, else from the start. A phase that is
 *  asked for by name counts from the start too, and a warm-up for as long as it lasted. */
export function countingOf(scenarios: readonly CountedScenario[]): Counting {
  const concerned = ({ scenario }: Tags): readonly CountedScenario[] => {
    const named = scenarios.filter(({ name }) => name === scenario);
    return named.length > 0 ? named : scenarios;
  };
  const fromUs = (tags: Tags): number =>
    tags['phase'] === undefined ? Math.max(0, Math.min(Infinity, ...concerned(tags).map(warmUpEndUs))) : 0;
  return {
    fromUs: (tags) => (scenarios.length === 0 ? 0 : fromUs(tags)),
    us: (tags, untilUs) => {
      if (scenarios.length === 0) return untilUs;
      if (tags['phase'] !== 'warmup') return untilUs - fromUs(tags);
      const warming = concerned(tags).filter(({ warmupUs }) => warmupUs !== undefined);
      const toUs = Math.min(untilUs, Math.max(0, ...warming.map(warmUpEndUs)));
      return Math.max(0, toUs - Math.min(untilUs, ...warming.map(({ startUs }) => startUs)));
    },
  };
}

function warmUpEndUs({ startUs, warmupUs }: CountedScenario): number {
  return warmupUs === undefined ? -Infinity : startUs + warmupUs;
}
