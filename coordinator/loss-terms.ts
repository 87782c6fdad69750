import type { Plan } from '../shared/plan/index.ts';

/** How long an agent may be silent, and how long it may fire unheard, microseconds. They hang together: whoever moves one must keep the
 *  inequalities, for an agent must have ceased to fire before its share is another's, though nobody can tell it so.
 *
 *  chain < broken: an agent whose stream broke is lost only when no batch of it could still prolong its lease by itself;
 *  lease + slack ≤ silence at which its epoch takes force: see `earliestUs`;
 *  two heartbeats < lease: one that is late costs nothing. A large fleet sends one a second. */
export interface LossTerms {
  /** An agent whose control stream broke, and that neither dials in again nor delivers, is lost after this. */
  readonly brokenUs: number;
  /** One whose stream is up, or seems to be, and that says nothing on either plane. */
  readonly silentUs: number;
  readonly lease: { readonly lengthUs: number; readonly chainUs: number };
}

const SECOND_US = 1_000_000;
/** From the decision to the instant at which an epoch takes force: above the slowest way of the message to agents that hear. */
export const EPOCH_MARGIN_US = 500_000;
/** Clocks run at rates that differ by less than a tenth of this, and threads are late by less than the rest. */
const LEASE_SLACK_US = 200_000;

/** Batches are a sign of life once per interval, so longer intervals need more patience. */
export function lossTerms({ intervalMs }: Plan): LossTerms {
  const intervalUs = Math.max(SECOND_US, intervalMs * 1_000);
  return {
    brokenUs: intervalUs + 1.2 * SECOND_US,
    silentUs: intervalUs + 3 * SECOND_US,
    lease: { lengthUs: intervalUs + 1.5 * SECOND_US, chainUs: intervalUs + 1.1 * SECOND_US },
  };
}

/** The earliest instant at which what an agent owned, that was last heard of at `seenUs`, may be another's. */
export function earliestUs({ lease }: LossTerms, seenUs: number): number {
  return seenUs + lease.lengthUs + LEASE_SLACK_US;
}
