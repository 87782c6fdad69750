import type {
  BatchKey,
  Batch,
  CounterSlice,
  GaugeSlice,
  Health,
  MetricKind,
  RateSlice,
  ScenarioLedger,
  SeriesDefinition,
  TrendSlice,
} from '../stats/index.ts';

/** Reads a `muster.v1.Batch` (proto/muster/v1/results.proto). The generated reader copies every histogram and makes every message twice
 *  over; this one makes the batch itself, with views into `bytes`, at a third of the cost, which is what bounds the size of a fleet.
 *  Fields that it does not know are passed over. Throws `RangeError` on bytes that are no batch. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const wire = new WireReader(bytes);
  const key: Mutable<BatchKey> = { agent: '', incarnation: '', sequence: 0 };
  const defines: SeriesDefinition[] = [];
  const trends: TrendSlice[] = [];
  const counters: CounterSlice[] = [];
  const rates: RateSlice[] = [];
  const gauges: GaugeSlice[] = [];
  const ledgers: ScenarioLedger[] = [];
  let health: Health | undefined;
  let intervalIndex = 0;
  let intervalCount = 0;
  let samplesRecorded = 0;
  let epochs = 0;
  let isFinal = false;
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, BYTES): key.agent = wire.text(); break;
      case tag(2, BYTES): key.incarnation = wire.text(); break;
      case tag(3, VARINT): key.sequence = wire.whole(); break;
      case tag(4, VARINT): intervalIndex = wire.whole(); break;
      case tag(5, VARINT): intervalCount = wire.whole(); break;
      case tag(6, BYTES): defines.push(readDefinition(wire)); break;
      case tag(7, BYTES): trends.push(readTrend(wire)); break;
      case tag(8, BYTES): counters.push(readCounter(wire)); break;
      case tag(9, BYTES): rates.push(readRate(wire)); break;
      case tag(10, BYTES): gauges.push(readGauge(wire)); break;
      case tag(11, BYTES): ledgers.push(readLedger(wire)); break;
      case tag(12, BYTES): health = readHealth(wire); break;
      case tag(13, VARINT): isFinal = wire.whole() !== 0; break;
      case tag(14, VARINT): samplesRecorded = wire.whole(); break;
      case tag(15, VARINT): epochs = wire.whole(); break;
      default: wire.skip();
    }
  }
  if (health === undefined) throw new RangeError('a batch carries its agent’s health');
  return {
    ...{ key, intervalIndex, intervalCount, defines, trends, counters, rates, gauges, ledgers, samplesRecorded, health, epochs, isFinal },
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Wire types of Protocol Buffers. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

function readTrend(wire: WireReader): TrendSlice {
  const outer = wire.enter();
  const slice: Mutable<TrendSlice> = { series: 0, histogram: NOTHING, count: 0, sumUs: 0, minUs: 0, maxUs: 0, overflow: 0 };
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, VARINT): slice.series = wire.whole(); break;
      case tag(2, BYTES): slice.histogram = wire.view(); break;
      case tag(3, VARINT): slice.count = wire.whole(); break;
      case tag(4, VARINT): slice.sumUs = wire.whole(); break;
      case tag(5, VARINT): slice.minUs = wire.whole(); break;
      case tag(6, VARINT): slice.maxUs = wire.whole(); break;
      case tag(7, VARINT): slice.overflow = wire.whole(); break;
      default: wire.skip();
    }
  }
  wire.leave(outer);
  return slice;
}

const NOTHING = new Uint8Array(0);

function readCounter(wire: WireReader): CounterSlice {
  const outer = wire.enter();
  const slice: Mutable<CounterSlice> = { series: 0, count: 0 };
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, VARINT): slice.series = wire.whole(); break;
      case tag(2, VARINT): slice.count = wire.whole(); break;
      default: wire.skip();
    }
  }
  wire.leave(outer);
  return slice;
}

function readRate(wire: WireReader): RateSlice {
  const outer = wire.enter();
  const slice: Mutable<RateSlice> = { series: 0, passes: 0, fails: 0 };
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, VARINT): slice.series = wire.whole(); break;
      case tag(2, VARINT): slice.passes = wire.whole(); break;
      case tag(3, VARINT): slice.fails = wire.whole(); break;
      default: wire.skip();
    }
  }
  wire.leave(outer);
  return slice;
}

function readGauge(wire: WireReader): GaugeSlice {
  const outer = wire.enter();
  const slice: Mutable<GaugeSlice> = { series: 0, value: 0, min: 0, max: 0, atUs: undefined };
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, VARINT): slice.series = wire.whole(); break;
      case tag(2, FIXED64): slice.value = wire.double(); break;
      case tag(3, FIXED64): slice.min = wire.double(); break;
      case tag(4, FIXED64): slice.max = wire.double(); break;
      case tag(5, FIXED64): slice.atUs = wire.double(); break;
      default: wire.skip();
    }
  }
  wire.leave(outer);
  return slice;
}

function readLedger(wire: WireReader): ScenarioLedger {
  const outer = wire.enter();
  const ledger = { started: 0, dropped: 0, undelivered: 0, completed: 0, interrupted: 0 };
  const of: Mutable<ScenarioLedger> = { scenario: '', ledger, coveredUntilUs: 0, waiting: 0, firedUntilUs: 0 };
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, BYTES): of.scenario = wire.text(); break;
      case tag(2, VARINT): ledger.started = wire.whole(); break;
      case tag(3, VARINT): ledger.dropped = wire.whole(); break;
      case tag(4, VARINT): ledger.completed = wire.whole(); break;
      case tag(5, VARINT): ledger.interrupted = wire.whole(); break;
      case tag(6, FIXED64): of.coveredUntilUs = wire.double(); break;
      case tag(7, VARINT): of.waiting = wire.whole(); break;
      case tag(8, VARINT): ledger.undelivered = wire.whole(); break;
      case tag(9, FIXED64): of.firedUntilUs = wire.double(); break;
      default: wire.skip();
    }
  }
  wire.leave(outer);
  return of;
}

function readHealth(wire: WireReader): Health {
  const outer = wire.enter();
  const health: Mutable<Health> = {
    loopDelayP99Us: 0,
    loopDelayMaxUs: 0,
    pacerLagP99Us: 0,
    pacerLagMaxUs: 0,
    cpu: 0,
    gcPauseUs: 0,
    rssBytes: 0,
    openSockets: 0,
    activeVus: 0,
    outboxBatches: 0,
  };
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, FIXED64): health.loopDelayP99Us = wire.double(); break;
      case tag(2, FIXED64): health.loopDelayMaxUs = wire.double(); break;
      case tag(3, FIXED64): health.pacerLagP99Us = wire.double(); break;
      case tag(4, FIXED64): health.pacerLagMaxUs = wire.double(); break;
      case tag(5, FIXED64): health.cpu = wire.double(); break;
      case tag(6, FIXED64): health.gcPauseUs = wire.double(); break;
      case tag(7, VARINT): health.rssBytes = wire.whole(); break;
      case tag(8, VARINT): health.openSockets = wire.whole(); break;
      case tag(9, VARINT): health.activeVus = wire.whole(); break;
      case tag(10, VARINT): health.outboxBatches = wire.whole(); break;
      default: wire.skip();
    }
  }
  wire.leave(outer);
  return health;
}

function readDefinition(wire: WireReader): SeriesDefinition {
  const outer = wire.enter();
  const tags: [string, string][] = [];
  let number = 0;
  let metric = '';
  let kind = '';
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, VARINT): number = wire.whole(); break;
      case tag(2, BYTES): metric = wire.text(); break;
      case tag(3, BYTES): kind = wire.text(); break;
      case tag(4, BYTES): tags.push(readEntry(wire)); break;
      default: wire.skip();
    }
  }
  wire.leave(outer);
  return { number, metric, kind: metricKind(kind), tags: Object.fromEntries(tags) };
}

function readEntry(wire: WireReader): [string, string] {
  const outer = wire.enter();
  const entry: [string, string] = ['', ''];
  while (wire.at < wire.end) {
    // prettier-ignore
    switch (wire.tag()) {
      case tag(1, BYTES): entry[0] = wire.text(); break;
      case tag(2, BYTES): entry[1] = wire.text(); break;
      default: wire.skip();
    }
  }
  wire.leave(outer);
  return entry;
}

function metricKind(kind: string): MetricKind {
  if (kind === 'trend' || kind === 'counter' || kind === 'rate' || kind === 'gauge') return kind;
  throw new RangeError(`a series of kind ${kind}`);
}

/** A position in a message, and where the message that is being read ends. */
class WireReader {
  at = 0;
  end: number;
  private readonly bytes: Buffer;
  private lastTag = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.byteLength;
  }

  /** Field number and wire type of what follows. */
  tag(): number {
    return (this.lastTag = this.whole());
  }

  /** A number of any length that a double holds exactly. */
  whole(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let scale = 0x80;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 0x80;
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('a number in a batch that is too large');
    return value;
  }

  double(): number {
    const at = this.take(8);
    return this.bytes.readDoubleLE(at);
  }

  text(): string {
    const length = this.whole();
    const at = this.take(length);
    return this.bytes.toString('utf8', at, at + length);
  }

  /** Bytes where they are; they hold as long as the message does. */
  view(): Uint8Array {
    const length = this.whole();
    const at = this.take(length);
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + at, length);
  }

  /** Begins a message within the message. Returns what `leave` takes. */
  enter(): number {
    const length = this.whole();
    const at = this.take(length);
    const outer = this.end;
    this.at = at;
    this.end = at + length;
    return outer;
  }

  leave(outer: number): void {
    this.end = outer;
  }

  /** Passes over the field whose tag was read last. */
  skip(): void {
    switch (this.lastTag & 7) {
      case VARINT:
        while (this.byte() >= 0x80);
        return;
      case FIXED64:
        this.take(8);
        return;
      case BYTES:
        this.take(this.whole());
        return;
      case FIXED32:
        this.take(4);
        return;
    }
    throw new RangeError(`a batch with the impossible wire type ${this.lastTag & 7}`);
  }

  private byte(): number {
    if (this.at >= this.end) throw new RangeError('a truncated batch');
    return this.bytes[this.at++]!;
  }

  /** Where the next `length` bytes begin; the position is behind them. */
  private take(length: number): number {
    const { at } = this;
    if (length > this.end - at) throw new RangeError('a truncated batch');
    this.at = at + length;
    return at;
  }
}
