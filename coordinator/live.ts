import { createSchedule, endUs, isOpen, warmupEndUs, type Plan } from '../shared/plan/index.ts';
import type { Snapshot } from '../shared/report/index.ts';
import { countRequests } from '../shared/sla/index.ts';
import { selectValue } from '../shared/stats/index.ts';
import type { Collector } from './collector.ts';
import type { Participants } from './participants.ts';

const SECOND_US = 1_000_000;
/** Counts come about once a second: over less than this they say little of a rate. */
const RATE_SPAN_MIN_US = 500_000;

/** Looks at a run about once a second and says how it is doing. */
export class Live {
  private readonly runId: string;
  private readonly plan: Plan;
  private schedules: readonly { countBefore(us: number): number }[] = [];
  private readonly hasPlannedRate: boolean;
  private readonly durationUs: number;
  private started = 0;
  private atUs = 0;
  /** Of the last second of load that was looked at, per second. */
  private planned = 0;
  private delivered = 0;
  private events: string[] = [];

  constructor(runId: string, plan: Plan) {
    this.runId = runId;
    this.plan = plan;
    this.amend(plan);
    this.hasPlannedRate = this.schedules.length > 0;
    this.durationUs = Math.max(...plan.scenarios.map(endUs));
  }

  /** The plan is now this one. */
  amend({ scenarios, seed }: Plan): void {
    this.schedules = scenarios.flatMap((scenario) => (isOpen(scenario.load) ? [createSchedule(scenario, seed)] : []));
  }

  /** Something worth telling, with the next look. */
  note(event: string): void {
    this.events.push(event);
  }

  look(state: Snapshot['state'], elapsedUs: number, agentsPlanned: number, participants?: Participants, collector?: Collector): Snapshot {
    if (state === 'running') this.lookAtRate(elapsedUs, participants?.started ?? 0);
    const response = collector?.liveResponse;
    const totals = collector?.totals ?? [];
    const { sent } = countRequests(totals);
    const outcomes = selectValue(totals, 'http_req_failed');
    const failed = outcomes?.kind === 'rate' ? outcomes.passes : 0;
    const lag = selectValue(totals, 'schedule_lag');
    const events = this.events;
    this.events = [];
    return {
      runId: this.runId,
      name: this.plan.name,
      state,
      elapsedUs: Math.max(0, elapsedUs),
      durationUs: this.durationUs,
      isWarmingUp: this.plan.scenarios.some((one) => elapsedUs >= one.startUs && elapsedUs < warmupEndUs(one)),
      plannedPerSecond: this.planned,
      deliveredPerSecond: this.delivered,
      responseMs:
        response === undefined || response.count === 0
          ? undefined
          : { p50: ms(response.percentileUs(50)), p95: ms(response.percentileUs(95)), p99: ms(response.percentileUs(99)) },
      errorRate: sent === 0 ? 0 : failed / sent,
      totalRequests: sent,
      totalErrors: failed,
      activeVus: participants?.activeVus ?? 0,
      agents: {
        planned: agentsPlanned,
        ready: participants?.all.filter(({ isReady }) => isReady).length ?? 0,
        running: participants?.all.filter(({ isReady, isLost, loadEnded }) => isReady && !isLost && !loadEnded).length ?? 0,
        lost: participants?.lost.length ?? 0,
      },
      lagP99Ms: lag?.kind === 'trend' ? ms(lag.histogram.percentileUs(99)) : 0,
      dropped: participants?.dropped ?? 0,
      verdicts: (collector?.verdicts ?? []).map(({ kind, threshold }) => ({
        metric: threshold.metric,
        expression: threshold.expression,
        verdict: kind,
      })),
      events,
    };
  }

  private lookAtRate(elapsedUs: number, started: number): void {
    const spanUs = elapsedUs - this.atUs;
    if (spanUs < RATE_SPAN_MIN_US) return;
    this.delivered = ((started - this.started) * SECOND_US) / spanUs;
    this.planned = this.hasPlannedRate ? this.plannedPerSecond(elapsedUs) : 0;
    this.started = started;
    this.atUs = elapsedUs;
  }

  private plannedPerSecond(elapsedUs: number): number {
    const fromUs = Math.max(0, elapsedUs - SECOND_US);
    const toUs = Math.max(SECOND_US, elapsedUs);
    // Instants are exact to rounding only: one that falls on a full second must not count to the second before it.
    const before = (schedule: { countBefore(us: number): number }, us: number): number => schedule.countBefore(us - 0.5);
    return this.schedules.reduce((sum, schedule) => sum + before(schedule, toUs) - before(schedule, fromUs), 0);
  }
}

function ms(us: number | undefined): number {
  return (us ?? 0) / 1000;
}
