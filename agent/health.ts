import { monitorEventLoopDelay, PerformanceObserver, type IntervalHistogram } from 'node:perf_hooks';
import { Histogram, type Health } from '../shared/stats/index.ts';
import type { Clock } from '../shared/base/index.ts';

/** The loop is probed this often; a probe's own period is not delay. */
const PROBE_MS = 10;

/** How the agent itself is doing: the loop's delay, the pacer's lateness, CPU, garbage collection, memory. Sealed with every interval. */
export class HealthMonitor {
  private readonly clock: Clock;
  private readonly loop: IntervalHistogram = monitorEventLoopDelay({ resolution: PROBE_MS });
  private readonly collections: PerformanceObserver;
  private readonly pacerLag = new Histogram();
  private gcPauseMs = 0;
  private cpu = process.cpuUsage();
  private sinceUs: number;

  constructor(clock: Clock) {
    this.clock = clock;
    this.sinceUs = clock.nowUs();
    this.loop.enable();
    this.collections = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.gcPauseMs += entry.duration;
    });
    this.collections.observe({ entryTypes: ['gc'] });
  }

  /** The pacer noticed an arrival this late. Hot path. */
  observeLag(lagUs: number): void {
    this.pacerLag.record(lagUs);
  }

  /** What was measured since the last call. */
  seal(openSockets: number, activeVus: number, outboxBatches: number): Health {
    const nowUs = this.clock.nowUs();
    const used = process.cpuUsage(this.cpu);
    const health: Health = {
      loopDelayP99Us: aboveProbe(this.loop.percentile(99)),
      loopDelayMaxUs: aboveProbe(this.loop.max),
      pacerLagP99Us: this.pacerLag.percentileUs(99) ?? 0,
      pacerLagMaxUs: this.pacerLag.maxUs,
      cpu: (used.user + used.system) / Math.max(1, nowUs - this.sinceUs),
      gcPauseUs: Math.round(this.gcPauseMs * 1000),
      rssBytes: process.memoryUsage.rss(),
      openSockets,
      activeVus,
      outboxBatches,
    };
    this.loop.reset();
    this.pacerLag.reset();
    this.gcPauseMs = 0;
    this.cpu = process.cpuUsage();
    this.sinceUs = nowUs;
    return health;
  }

  close(): void {
    this.loop.disable();
    this.collections.disconnect();
  }
}

function aboveProbe(nanoseconds: number): number {
  return Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1000 - PROBE_MS * 1000) : 0;
}
