import type { Health } from '../stats/index.ts';

/** An interval whose pacer lag p99 is above this is late, above the second very late; microseconds. */
export const LATE_INTERVAL_US = 10_000;
export const VERY_LATE_INTERVAL_US = 100_000;
/** One busy second is a garbage collection; this many in a row are saturation. */
export const SATURATED_INTERVALS = 3;

/** How one agent was doing over the whole run: worst values and counts, nothing per interval. */
export interface AgentHealth {
  readonly agent: string;
  readonly intervals: number;
  readonly lateIntervals: number;
  readonly veryLateIntervals: number;
  /** The worst p99 of any interval. */
  readonly pacerLagP99WorstUs: number;
  readonly pacerLagMaxUs: number;
  readonly loopDelayMaxUs: number;
  /** Highest mean of `SATURATED_INTERVALS` consecutive intervals, in cores; 0 in a shorter run. */
  readonly cpuWorst: number;
  readonly cpuMean: number;
  readonly rssMaxBytes: number;
  readonly openSocketsMax: number;
  readonly outboxBatchesMax: number;
}

/** Adds up the health of agents, interval by interval. Holds a dozen numbers per agent however long the run is. */
export class HealthWatch {
  private readonly byAgent = new Map<string, Tally>();

  /** Takes the health of the agent's next interval, in order. */
  add(agent: string, health: Health): void {
    let tally = this.byAgent.get(agent);
    if (tally === undefined) {
      tally = new Tally(agent);
      this.byAgent.set(agent, tally);
    }
    tally.add(health);
  }

  /** As JSON can hold it. */
  save(): SavedHealth[] {
    return [...this.byAgent.values()].map((tally) => tally.save());
  }

  restore(saved: readonly SavedHealth[]): void {
    for (const one of saved) this.byAgent.set(one.agent, Tally.restore(one));
  }

  agents(): AgentHealth[] {
    return [...this.byAgent.values()].map((tally) => tally.result());
  }
}

/** One agent's tally at rest. */
export type SavedHealth = Omit<AgentHealth, 'cpuMean'> & { readonly cpuSum: number; readonly lastCpu: readonly number[] };

class Tally {
  private readonly agent: string;
  private intervals = 0;
  private lateIntervals = 0;
  private veryLateIntervals = 0;
  private pacerLagP99WorstUs = 0;
  private pacerLagMaxUs = 0;
  private loopDelayMaxUs = 0;
  private cpuWorst = 0;
  private cpuSum = 0;
  private readonly lastCpu: number[] = [];
  private rssMaxBytes = 0;
  private openSocketsMax = 0;
  private outboxBatchesMax = 0;

  constructor(agent: string) {
    this.agent = agent;
  }

  add(health: Health): void {
    this.intervals++;
    if (health.pacerLagP99Us > LATE_INTERVAL_US) this.lateIntervals++;
    if (health.pacerLagP99Us > VERY_LATE_INTERVAL_US) this.veryLateIntervals++;
    this.pacerLagP99WorstUs = Math.max(this.pacerLagP99WorstUs, health.pacerLagP99Us);
    this.pacerLagMaxUs = Math.max(this.pacerLagMaxUs, health.pacerLagMaxUs);
    this.loopDelayMaxUs = Math.max(this.loopDelayMaxUs, health.loopDelayMaxUs);
    this.rssMaxBytes = Math.max(this.rssMaxBytes, health.rssBytes);
    this.openSocketsMax = Math.max(this.openSocketsMax, health.openSockets);
    this.outboxBatchesMax = Math.max(this.outboxBatchesMax, health.outboxBatches);
    this.cpuSum += health.cpu;
    this.lastCpu.push(health.cpu);
    if (this.lastCpu.length > SATURATED_INTERVALS) this.lastCpu.shift();
    if (this.lastCpu.length === SATURATED_INTERVALS) {
      this.cpuWorst = Math.max(this.cpuWorst, this.lastCpu.reduce((sum, cpu) => sum + cpu, 0) / SATURATED_INTERVALS);
    }
  }

  save(): SavedHealth {
    return { ...this.worst(), cpuSum: this.cpuSum, lastCpu: [...this.lastCpu] };
  }

  static restore({ agent, lastCpu, ...numbers }: SavedHealth): Tally {
    const tally = new Tally(agent);
    Object.assign(tally, numbers);
    tally.lastCpu.push(...lastCpu);
    return tally;
  }

  result(): AgentHealth {
    return { ...this.worst(), cpuMean: this.intervals === 0 ? 0 : this.cpuSum / this.intervals };
  }

  private worst(): Omit<AgentHealth, 'cpuMean'> {
    const { agent, intervals, lateIntervals, veryLateIntervals, pacerLagP99WorstUs, pacerLagMaxUs, loopDelayMaxUs } = this;
    const { cpuWorst, rssMaxBytes, openSocketsMax, outboxBatchesMax } = this;
    return {
      agent,
      intervals,
      lateIntervals,
      veryLateIntervals,
      pacerLagP99WorstUs,
      pacerLagMaxUs,
      loopDelayMaxUs,
      cpuWorst,
      rssMaxBytes,
      openSocketsMax,
      outboxBatchesMax,
    };
  }
}
