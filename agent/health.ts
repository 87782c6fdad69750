import { PerformanceObserver } from 'node:perf_hooks';
import { Histogram, type Health } from '../shared/stats/index.ts';
import type { Clock } from '../shared/base/index.ts';

/** The loop is probed this often; a probe's own period is not delay. */
const PROBE_MS = 10;

/** How the agent itself is doing: the loop's delay, the pacer's lateness, CPU, garbage collection, memory. Sealed with every interval. */
export class HealthMonitor {
  private readonly clock: Clock;
  private readonly loopDelay = new Histogram();
  private readonly probing: NodeJS.Timeout;
  private probedUs: number;
  private readonly collections: PerformanceObserver;
  private readonly pacerLag = new Histogram();
  private gcPauseMs = 0;
  private cpu = process.cpuUsage();
  private sinceUs: number;

  constructor(clock: Clock) {
    this.clock = clock;
    this.sinceUs = clock.nowUs();
    this.probedUs = this.sinceUs;
    this.probing = setInterval(this.probe, PROBE_MS);
    this.probing.unref();
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
    // A stall that goes on into the next interval is seen here first: `monitorEventLoopDelay` forgets it when it is reset.
    this.probe();
    const nowUs = this.clock.nowUs();
    const used = process.cpuUsage(this.cpu);
    const health: Health = {
      loopDelayP99Us: this.loopDelay.percentileUs(99) ?? 0,
      loopDelayMaxUs: this.loopDelay.maxUs,
      pacerLagP99Us: this.pacerLag.percentileUs(99) ?? 0,
      pacerLagMaxUs: this.pacerLag.maxUs,
      cpu: (used.user + used.system) / Math.max(1, nowUs - this.sinceUs),
      gcPauseUs: Math.round(this.gcPauseMs * 1000),
      rssBytes: process.memoryUsage.rss(),
      openSockets,
      activeVus,
      outboxBatches,
    };
    this.loopDelay.reset();
    this.pacerLag.reset();
    this.gcPauseMs = 0;
    this.cpu = process.cpuUsage();
    this.sinceUs = nowUs;
    return health;
  }

  close(): void {
    clearInterval(this.probing);
    this.collections.disconnect();
  }

  private readonly probe = (): void => {
    const nowUs = this.clock.nowUs();
    this.loopDelay.record(Math.max(0, nowUs - this.probedUs - PROBE_MS * 1000));
    this.probedUs = nowUs;
  };
}
