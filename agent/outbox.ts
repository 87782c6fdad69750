import type { Clock } from '../shared/base/index.ts';
import {
  addEncoded,
  Histogram,
  sliceOf,
  type Batch,
  type CounterSlice,
  type RateSlice,
  type SeriesDefinition,
  type TrendSlice,
} from '../shared/stats/index.ts';

/** A sealed interval that has no sequence yet. */
export type SealedInterval = Omit<Batch, 'key'>;

/** Stores one batch and resolves when it is acknowledged. Safe to repeat with the same sequence. */
export type Publish = (sequence: number, sealed: SealedInterval) => Promise<void>;

/** Past this, the oldest intervals that were never sent are added together: resolution is lost, samples never are. */
const OUTBOX_INTERVALS_MAX = 600;
/** Batches on their way at once. */
const IN_FLIGHT_MAX = 8;
/** A batch larger than this is sent in parts: servers refuse messages above 1 MB. */
const BATCH_BYTES_MAX = 512 * 1024;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;

/** Keeps sealed intervals until the results plane has acknowledged them.
 *  Laws: an interval is given a sequence when it is first sent and keeps it, so sequences have no holes and a repeat is recognised;
 *  only intervals that were never sent are ever added together, so nothing can be counted twice;
 *  a batch that defines series is acknowledged before any later one is sent, so no slice arrives before its definition;
 *  while an attempt has failed nothing new is sent, and what failed is sent again one by one in its order. So what an agent has delivered that
 *  dies while NATS is away is all that it sealed up to some instant, and nothing after it. */
export class Outbox {
  private readonly publish: Publish;
  private readonly clock: Clock;
  private readonly queue: SealedInterval[] = [];
  private readonly stopping = new AbortController();
  private waiters: (() => void)[] = [];
  /** What is not acknowledged yet, by sequence, in its order. */
  private readonly inFlight = new Map<number, Promise<void>>();
  /** Those of them whose last attempt failed. */
  private readonly failed = new Set<number>();
  private barrier = false;
  private sequence = 0;
  /** Why the last attempt failed, while attempts fail. */
  failure: string | undefined;

  constructor(publish: Publish, clock: Clock) {
    this.publish = publish;
    this.clock = clock;
  }

  /** Batches not yet acknowledged. */
  get length(): number {
    return this.queue.length + this.inFlight.size;
  }

  /** Batches given a sequence so far. */
  get sequences(): number {
    return this.sequence;
  }

  add(sealed: SealedInterval): void {
    this.queue.push(sealed);
    while (this.queue.length > OUTBOX_INTERVALS_MAX) {
      const [oldest, second] = this.queue.splice(0, 2);
      if (oldest !== undefined && second !== undefined) this.queue.unshift(addIntervals(oldest, second));
    }
    this.pump();
  }

  /** Resolves when everything is acknowledged, or when `abandon` was called. */
  async drained(): Promise<void> {
    while (this.length > 0 && !this.stopping.signal.aborted) {
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  /** Gives up what is not acknowledged: the coordinator no longer waits for it. */
  async abandon(): Promise<void> {
    this.stopping.abort();
    this.queue.length = 0;
    this.wake();
    await Promise.all(this.inFlight.values());
  }

  private pump(): void {
    while (this.mayBegin) {
      const interval = this.queue.shift();
      if (interval === undefined) return;
      // Split only now: intervals that were added together may have grown past a message.
      const [sealed, ...rest] = inParts(interval);
      this.queue.unshift(...rest);
      // Nothing may overtake a definition.
      this.barrier = sealed.defines.length > 0;
      const sequence = this.sequence++;
      const sending = this.send(sequence, sealed).then(() => {
        this.inFlight.delete(sequence);
        if (sealed.defines.length > 0) this.barrier = false;
        this.wake();
        this.pump();
      });
      this.inFlight.set(sequence, sending);
    }
  }

  private get mayBegin(): boolean {
    return !this.barrier && this.failed.size === 0 && this.inFlight.size < IN_FLIGHT_MAX && !this.stopping.signal.aborted;
  }

  /** Repeats until acknowledged or abandoned. */
  private async send(sequence: number, sealed: SealedInterval): Promise<void> {
    for (let waitMs = RETRY_MIN_MS; !this.stopping.signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        await this.publish(sequence, sealed);
        this.failed.delete(sequence);
        this.failure = undefined;
        return;
      } catch (thrown) {
        // Whatever kept the server from saying "stored": the same sequence is sent again until it does.
        this.failed.add(sequence);
        this.failure = thrown instanceof Error ? thrown.message : String(thrown);
        await this.clock.sleep(waitMs * (0.5 + Math.random() / 2), this.stopping.signal);
        await this.turnOf(sequence);
      }
    }
  }

  /** Resolves when everything before it is acknowledged. */
  private async turnOf(sequence: number): Promise<void> {
    const isFirst = (): boolean => Math.min(...this.inFlight.keys()) >= sequence;
    while (!isFirst() && !this.stopping.signal.aborted) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  private wake(): void {
    const { waiters } = this;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }
}

/** The same interval in pieces that fit into a message: definitions, then trends; everything else, the final mark too, goes with the last. */
function inParts(sealed: SealedInterval): [SealedInterval, ...SealedInterval[]] {
  const { defines, trends } = sealed;
  const parts: { readonly defines: SeriesDefinition[]; readonly trends: TrendSlice[] }[] = [];
  let part = { defines: [] as SeriesDefinition[], trends: [] as TrendSlice[] };
  let bytes = 0;
  const makeRoom = (more: number): void => {
    if (bytes > 0 && bytes + more > BATCH_BYTES_MAX) {
      parts.push(part);
      part = { defines: [], trends: [] };
      bytes = 0;
    }
    bytes += more;
  };
  for (const definition of defines) {
    makeRoom(definitionBytes(definition));
    part.defines.push(definition);
  }
  for (const trend of trends) {
    makeRoom(trend.histogram.length);
    part.trends.push(trend);
  }
  const [first, ...rest] = parts.map((one) => ({ ...sealed, ...one, counters: [], rates: [], gauges: [], isFinal: false }));
  const last = { ...sealed, ...part };
  return first === undefined ? [last] : [first, ...rest, last];
}

/** About what a definition takes on the wire. */
function definitionBytes({ metric, tags }: SeriesDefinition): number {
  let bytes = 24 + metric.length;
  for (const [key, value] of Object.entries(tags)) bytes += 8 + Buffer.byteLength(key) + Buffer.byteLength(value);
  return bytes;
}

/** Two neighbouring intervals as one: histograms and counters add, what is cumulative or momentary is the later one's. */
export function addIntervals(earlier: SealedInterval, later: SealedInterval): SealedInterval {
  return {
    intervalIndex: earlier.intervalIndex,
    intervalCount: later.intervalIndex + later.intervalCount - earlier.intervalIndex,
    defines: [...earlier.defines, ...later.defines],
    trends: bySeries(earlier.trends, later.trends, addTrends),
    counters: bySeries<CounterSlice>(earlier.counters, later.counters, (a, b) => ({ series: a.series, count: a.count + b.count })),
    rates: bySeries<RateSlice>(earlier.rates, later.rates, (a, b) => ({
      series: a.series,
      passes: a.passes + b.passes,
      fails: a.fails + b.fails,
    })),
    gauges: bySeries(earlier.gauges, later.gauges, (a, b) => ({ ...b, min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) })),
    ledgers: later.ledgers,
    samplesRecorded: later.samplesRecorded,
    health: later.health,
    epochs: later.epochs,
    isFinal: later.isFinal,
  };
}

function addTrends(a: TrendSlice, b: TrendSlice): TrendSlice {
  const sum = new Histogram();
  for (const slice of [a, b]) {
    addEncoded(slice.histogram, sum);
    sum.addTotals(slice);
  }
  return sliceOf(a.series, sum);
}

function bySeries<S extends { readonly series: number }>(earlier: readonly S[], later: readonly S[], add: (a: S, b: S) => S): S[] {
  const sums = new Map(earlier.map((slice) => [slice.series, slice]));
  for (const slice of later) {
    const known = sums.get(slice.series);
    sums.set(slice.series, known === undefined ? slice : add(known, slice));
  }
  return [...sums.values()];
}
