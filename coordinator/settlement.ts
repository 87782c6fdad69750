import { VERSION } from '../shared/base/index.ts';
import { amendPlan, peakArrivalsPerSecond, type Epoch } from '../shared/plan/index.ts';
import { summarise, type Summary, type SummaryInput } from '../shared/report/index.ts';
import { countingOf, countRequests, gradeValidity, type ValidityInput } from '../shared/sla/index.ts';
import { selectValue } from '../shared/stats/index.ts';
import { settle, type AgentAccount } from './accounting.ts';
import { calibratedAgents } from './calibrated-agents.ts';
import { driftUs } from './clock-offset.ts';
import type { Collector } from './collector.ts';
import type { Participants } from './participants.ts';
import type { Submission } from './submission.ts';

/** What a run that is over has come to; everything a summary says but how the writing of its bundle went. */
export type Settlement = Omit<SummaryInput, 'validity'> & { readonly evidence: Omit<ValidityInput, 'bundleFailure'> };

export interface SettledRun {
  readonly runId: string;
  readonly submission: Submission;
  readonly epochs: readonly Epoch[];
  /** The run's zero on our clock. */
  readonly zeroUs: number;
  /** Run-relative instant at which the plan was cut; `Infinity` when it was not. */
  readonly cutUs: number;
  readonly stopped: string | undefined;
  /** How often another coordinator had to take the run up. */
  readonly restarts: number;
  /** Why results may not have arrived, where that is known. */
  readonly whyMissing: string | undefined;
  readonly participants: Participants;
  readonly collector: Collector;
}

/** Adds up a run: the plan against what every agent says, the thresholds over all samples, and what speaks against the numbers. */
export function settleRun(run: SettledRun): Settlement {
  const { runId, submission, epochs, zeroUs, cutUs, stopped, restarts, whyMissing, participants, collector } = run;
  const { plan, target } = submission;
  const accounts = participants.accounts(collector, zeroUs);
  const ledger = settle(plan, epochs, cutUs, accounts, collector.samples);
  const durationUs = measuredUs(accounts);
  const { totals } = collector;
  const health = collector.health.agents();
  const agentsLost = participants.everLost.map(({ agent }) => agent.id);
  const lag = selectValue(totals, 'schedule_lag');
  const scheduleLagP99Us = lag?.kind === 'trend' ? lag.histogram.percentileUs(99) : undefined;
  const pacerP99Us = Math.max(0, ...health.map(({ pacerLagP99WorstUs }) => pacerLagP99WorstUs));
  const planned = participants.all.length;
  const peakPerSecond = peakArrivalsPerSecond(amendPlan(plan, epochs));
  return {
    run: {
      id: runId,
      name: plan.name,
      startedAt: new Date(zeroUs / 1000).toISOString(),
      seed: plan.seed,
      target,
      agents: { planned, reported: planned - participants.lost.length, lost: agentsLost.length },
      startSpreadMs: startSpreadMs(participants),
      ...(stopped === undefined ? {} : { stopped }),
    },
    durationUs,
    countedUs: (tags) => countingOf(plan.scenarios).us(tags, durationUs),
    warmUps: plan.scenarios.flatMap(({ name, warmupUs }) => (warmupUs === undefined ? [] : [{ scenario: name, us: warmupUs }])),
    ledger,
    totals,
    metrics: plan.metrics,
    verdicts: collector.final(durationUs),
    health,
    agentsLost,
    evidence: {
      ledger,
      agentsLost,
      health,
      plannedPerSecond: peakPerSecond || undefined,
      intervalUs: plan.intervalMs * 1000,
      scheduleLagP99Us,
      // Schedule lag is the pacer's lateness plus the wait for a VU; what the pacer cannot explain was the wait.
      vuWaitP99Us: scheduleLagP99Us === undefined ? undefined : Math.max(0, scheduleLagP99Us - pacerP99Us),
      clocks: participants.all.map(({ agent: { id, clock }, clockAtStart = clock }) => ({
        agent: id,
        uncertaintyUs: clock.uncertaintyUs,
        driftUs: driftUs(clockAtStart, clock),
      })),
      blocks: participants.all.flatMap(({ agent, finished }) => (finished?.blocks ?? []).map((block) => ({ agent: agent.id, ...block }))),
      requests: countRequests(totals),
      whyMissing,
      samplesUnderOther: participants.all.reduce((sum, { finished }) => sum + (finished?.cappedSamples ?? 0), 0),
      versionSkew: participants.all.flatMap(({ agent: { id, version } }) => (version === VERSION ? [] : [{ agent: id, version }])),
      coordinatorRestarts: restarts,
      calibrated: calibratedAgents(
        participants.all.map(({ agent }) => agent),
        peakPerSecond,
        epochs,
      ),
    },
  };
}

/** The summary, graded. `bundleFailure`: why a file of the bundle could not be written, if one could not. */
export function summariseRun({ evidence, ...measured }: Settlement, bundleFailure: string | undefined): Summary {
  return summarise({ ...measured, validity: gradeValidity({ ...evidence, bundleFailure }) });
}

/** From the run's zero to the end of the last agent's load, in whole microseconds: what a summary keeps, so that rates per second can be
 *  computed from it once more. */
function measuredUs(accounts: readonly AgentAccount[]): number {
  return Math.round(Math.max(0, ...accounts.flatMap(({ ledgers }) => ledgers.map(({ coveredUntilUs }) => coveredUntilUs))));
}

/** How far apart the agents noticed the run's zero, each on its own clock made ours. */
function startSpreadMs(participants: Participants): number {
  const errorsUs = participants.all.flatMap(({ finished }) =>
    finished === undefined || finished.startErrorUs < 0 ? [] : [finished.startErrorUs],
  );
  return errorsUs.length === 0 ? 0 : Math.round(Math.max(...errorsUs) - Math.min(...errorsUs)) / 1000;
}
