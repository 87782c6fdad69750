import { encodeHistogram } from './hdr-codec.ts';
import type { Histogram } from './histogram.ts';
import type { AgentLedger } from './ledger.ts';
import type { MetricKind } from './metrics.ts';
import type { Tags } from './series.ts';

/** One sealed interval of one agent, as it arrives: histograms still encoded, series by the agent's own numbers. */
export interface Batch {
  readonly key: BatchKey;
  /** First interval covered, counted from the start of the run. A sample belongs to the interval in which it ended. */
  readonly intervalIndex: number;
  /** 1, or more when an outbox had to add intervals together. */
  readonly intervalCount: number;
  /** Series this incarnation uses from here on, each under a number of its own choice. */
  readonly defines: readonly SeriesDefinition[];
  readonly trends: readonly TrendSlice[];
  readonly counters: readonly CounterSlice[];
  readonly rates: readonly RateSlice[];
  readonly gauges: readonly GaugeSlice[];
  readonly ledgers: readonly ScenarioLedger[];
  /** Trend samples the agent has recorded since the start of the run, this interval included. */
  readonly samplesRecorded: number;
  readonly health: Health;
  /** How many epochs of the run the agent knew: its ledgers go by them. 0 from an agent that does not say. */
  readonly epochs: number;
  /** The agent's last batch of the run. */
  readonly isFinal: boolean;
}

/** A batch is added once per key. Sequences of an incarnation count 0, 1, 2, … without holes. */
export interface BatchKey {
  readonly agent: string;
  /** New with every process, so a restarted agent is never taken for its former self. */
  readonly incarnation: string;
  readonly sequence: number;
}

export interface SeriesDefinition {
  readonly number: number;
  readonly metric: string;
  readonly kind: MetricKind;
  readonly tags: Tags;
}

export interface TrendSlice {
  readonly series: number;
  /** HDR V2, uncompressed. */
  readonly histogram: Uint8Array;
  readonly count: number;
  readonly sumUs: number;
  readonly minUs: number;
  readonly maxUs: number;
  readonly overflow: number;
}

/** What a histogram holds, as a batch carries it. */
export function sliceOf(series: number, histogram: Histogram): TrendSlice {
  const { count, sumUs, minUs, maxUs, overflow } = histogram;
  return { series, histogram: encodeHistogram(histogram), count, sumUs, minUs, maxUs, overflow };
}

export interface CounterSlice {
  readonly series: number;
  readonly count: number;
}

export interface RateSlice {
  readonly series: number;
  readonly passes: number;
  readonly fails: number;
}

export interface GaugeSlice {
  readonly series: number;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Run-relative instant of `value`, microseconds, where the last one in time counts. Without it, gauges of agents add up. */
  readonly atUs?: number | undefined;
}

export interface ScenarioLedger {
  readonly scenario: string;
  readonly ledger: AgentLedger;
  /** Every index of the agent's stripe planned before this run-relative instant has been started or dropped, or is counted in `waiting`. */
  readonly coveredUntilUs: number;
  /** Due arrivals that still wait for a free VU. */
  readonly waiting: number;
  /** Planned instant of the latest arrival that was begun, run-relative microseconds; 0 for none. */
  readonly firedUntilUs: number;
}

/** How the agent itself was doing during the interval. */
export interface Health {
  /** Event-loop delay above the expected, microseconds. */
  readonly loopDelayP99Us: number;
  readonly loopDelayMaxUs: number;
  /** Pacer lateness: how late due arrivals were noticed, whoever was free to run them; microseconds. */
  readonly pacerLagP99Us: number;
  readonly pacerLagMaxUs: number;
  /** Cores used by the process, 1 = one whole core. */
  readonly cpu: number;
  readonly gcPauseUs: number;
  readonly rssBytes: number;
  readonly openSockets: number;
  readonly activeVus: number;
  /** Batches that wait for an acknowledgement. */
  readonly outboxBatches: number;
}
