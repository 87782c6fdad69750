import {
  amendScenario,
  createSchedule,
  isOpen,
  ownedIterations,
  plannedIterations,
  Stripe,
  type Epoch,
  type Plan,
  type PlannedScenario,
  type Schedule,
} from '../shared/plan/index.ts';
import { EMPTY_AGENT_LEDGER, type Ledger, type SampleLedger, type ScenarioLedger } from '../shared/stats/index.ts';

/** What is known of one agent's part when a run is settled. */
export interface AgentAccount {
  readonly agent: string;
  /** Its newest word, from a batch or a heartbeat; empty when it never said anything. */
  readonly ledgers: readonly ScenarioLedger[];
  readonly samplesRecorded: number;
  /** How many epochs its word goes by; 0 where it does not say, and is taken to know all. */
  readonly epochs: number;
  /** It ended its part: what it says is final. */
  readonly isFinal: boolean;
  /** Run-relative instant of its last sign of life, or until which it may have fired unheard, microseconds. Only of interest when it is
   *  not final. */
  readonly lastSeenUs: number;
}

/** Settles a run: what was planned, from the plan alone, against what every agent says it did.
 *  `cutUs` is the run-relative instant at which the run was stopped, `Infinity` when it was not.
 *
 *  For an agent that was lost, indices planned up to the instant until which it may have fired that it did not account for are `unknown`,
 *  later ones are `undelivered`, and what it had started but not ended is `interrupted`. For an agent that is final nothing is assumed, but
 *  that it fired nothing of what epochs made of its share that it never heard of (`unheardOf`): if its numbers do not match the plan, the
 *  ledger will not balance, and says so. */
export function settle(
  plan: Plan,
  epochs: readonly Epoch[],
  cutUs: number,
  accounts: readonly AgentAccount[],
  samples: Pick<SampleLedger, 'merged' | 'duplicate'>,
): Ledger {
  const sum = { planned: 0, started: 0, dropped: 0, undelivered: 0, unknown: 0, completed: 0, interrupted: 0 };
  for (const scenario of plan.scenarios) {
    const { load } = scenario;
    const schedule = isOpen(load) ? createSchedule(amendScenario(scenario, epochs), plan.seed) : undefined;
    // What a cut kept a closed load from beginning was no longer planned.
    const counted = isOpen(load) || cutUs !== Infinity ? undefined : plannedIterations(load);
    if (schedule !== undefined) sum.planned += plannedBefore(schedule, cutUs);
    else if (counted !== undefined) sum.planned += counted;
    for (const account of accounts) {
      const said = account.ledgers.find((one) => one.scenario === scenario.name);
      const { started, dropped, undelivered, completed, interrupted } = said?.ledger ?? EMPTY_AGENT_LEDGER;
      const accounted = started + dropped + undelivered;
      sum.started += started;
      sum.dropped += dropped;
      sum.undelivered += undelivered;
      sum.completed += completed;
      sum.interrupted += account.isFinal ? interrupted : started - completed;
      if (schedule === undefined) {
        if (counted === undefined) sum.planned += accounted;
        else if (!account.isFinal) sum.unknown += ownedBy(account.agent, scenario, epochs) - accounted;
      } else if (!account.isFinal) {
        const own = shareOf(scenario, schedule, epochs, account, cutUs);
        const seen = Math.max(own.untilLastSeen, accounted);
        sum.unknown += seen - accounted;
        // More than its share is no debt: an agent that fired past a stop leaves an imbalance, which says so.
        sum.undelivered += Math.max(0, own.inAll - seen);
      } else if (account.epochs > 0 && account.epochs < epochs.length) {
        sum.undelivered += unheardOf(scenario, plan.seed, epochs, account, cutUs, said?.firedUntilUs ?? 0);
      }
    }
  }
  const recorded = accounts.reduce((total, account) => total + account.samplesRecorded, 0);
  // More merged than recorded cannot be missing; it shows as an imbalance.
  const missing = Math.max(0, recorded - samples.merged);
  return { ...sum, samples: { recorded, merged: samples.merged, missing, duplicate: samples.duplicate } };
}

/** Arrivals of the whole plan with instants before `cutUs`. */
export function plannedBefore(schedule: Schedule, cutUs: number): number {
  return cutUs === Infinity ? schedule.count : schedule.countBefore(cutUs);
}

/** By how much an agent's share by all epochs is larger than what it knew of. One that had ceased to fire before the first of them that it
 *  never heard of took force has forfeited what it knew of from there on, whatever the epochs made of that. One that fired on may have
 *  been given more, which it has not fired; where anything was taken from it nothing is set right, and the ledger does not balance. */
function unheardOf(
  scenario: PlannedScenario,
  seed: number,
  epochs: readonly Epoch[],
  account: AgentAccount,
  cutUs: number,
  firedUntilUs: number,
): number {
  const countOwn = (known: readonly Epoch[]): number =>
    shareOf(scenario, createSchedule(amendScenario(scenario, known), seed), known, account, cutUs).inAll;
  const more = countOwn(epochs) - countOwn(epochs.slice(0, account.epochs));
  const unheard = epochs.slice(account.epochs);
  if (firedUntilUs < (unheard[0]?.fromUs ?? 0)) return more;
  const areGifts = unheard.every(({ amendments = [] }) => amendments.length === 0);
  return areGifts && more > 0 ? more : 0;
}

/** VUs take counted iterations when they are free, so of a lost agent's rest nobody can say when it would have been begun. */
function ownedBy(agent: string, { load }: PlannedScenario, epochs: readonly Epoch[]): number {
  const [epoch] = epochs;
  return epoch === undefined || isOpen(load) ? 0 : (ownedIterations(epoch, load, agent) ?? 0);
}

function shareOf(
  scenario: PlannedScenario,
  schedule: Schedule,
  epochs: readonly Epoch[],
  { agent, lastSeenUs }: AgentAccount,
  cutUs: number,
): { readonly inAll: number; readonly untilLastSeen: number } {
  const stripe = new Stripe(scenario, schedule, epochs, agent);
  const endUs = Math.min(cutUs, Number.MAX_SAFE_INTEGER);
  return { inAll: stripe.countBefore(endUs), untilLastSeen: stripe.countBefore(Math.min(endUs, lastSeenUs)) };
}
