import {
  amendScenario,
  createSchedule,
  endUs,
  scenarioEpochs,
  Stripe,
  type Epoch,
  type OpenLoad,
  type PlannedScenario,
  type Schedule,
  type ScenarioEpoch,
} from '../../shared/plan/index.ts';

export type OpenScenario = PlannedScenario & { readonly load: OpenLoad };

/** One agent's share of an open load under the epochs known so far. */
export interface ArrivalShare {
  readonly stripe: Stripe;
  readonly schedule: Schedule;
  readonly epochs: readonly ScenarioEpoch[];
  /** VUs of the whole cluster, at most, in any of the epochs. */
  readonly vusMax: number;
  /** Run-relative instant after which no epoch can plan anything any more. */
  readonly lastUs: number;
}

export function arrivalShare(scenario: OpenScenario, epochs: readonly Epoch[], seed: number, agent: string): ArrivalShare {
  const amended = amendScenario(scenario, epochs);
  const schedule = createSchedule(amended, seed);
  // Where rows of data end the load, they end it for everybody.
  const isUsedUp = schedule.count === scenario.load.indexLimit;
  const seen = scenarioEpochs(scenario, epochs);
  return {
    stripe: new Stripe(scenario, schedule, epochs, agent),
    schedule,
    epochs: seen,
    vusMax: Math.max(amended.load.maxVus, ...seen.map(({ vus }) => vus)),
    lastUs: isUsedUp ? (schedule.count === 0 ? scenario.startUs : schedule.instantUs(schedule.count - 1)) : endUs(scenario),
  };
}

/** What an agent that hears of an epoch after its instant has to set right in its books. */
export interface Correction {
  /** Indices that had become its own, and whose instants have passed: how many, and the spans they lie in, which hold no index begun. */
  readonly missed: number;
  readonly missedIn: readonly { readonly from: number; to: number }[];
  /** Indices that it forfeited and that were no longer its own. */
  readonly forgiven: number;
  /** Indices that it began and that were no longer its own. */
  readonly astray: number;
}

/** Compares what was taken with what should have been, index by index from the first one that the new epochs may have changed.
 *  `takenBefore`: of the old share every index before it was taken. `passed`: every index before it has passed under the new share. */
export function correct(
  before: ArrivalShare,
  after: ArrivalShare,
  takenBefore: number,
  passed: number,
  isForfeited: (index: number) => boolean,
): Correction {
  const changedFromUs = after.epochs[before.epochs.length]?.fromUs ?? Infinity;
  const missedIn: { readonly from: number; to: number }[] = [];
  let isApart = true;
  let [missed, forgiven, astray] = [0, 0, 0];
  for (let index = after.schedule.countBefore(changedFromUs); index < passed; index++) {
    const wasTaken = index < takenBefore && before.stripe.owns(index);
    const isOwn = after.stripe.owns(index);
    if (isOwn && !wasTaken) {
      missed++;
      const last = missedIn.at(-1);
      if (last === undefined || isApart) missedIn.push({ from: index, to: index + 1 });
      else last.to = index + 1;
    }
    isApart = wasTaken || (isApart && !isOwn);
    if (wasTaken && !isOwn) {
      if (isForfeited(index)) forgiven++;
      else astray++;
    }
  }
  return { missed, missedIn, forgiven, astray };
}
