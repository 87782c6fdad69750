import { Batch as WireBatch } from '../../proto/gen/muster/v1/results.ts';
import { assert } from '../base/index.ts';
import type { Batch, Health, ScenarioLedger } from '../stats/index.ts';
import type * as proto from '../../proto/gen/muster/v1/results.ts';

export function encodeBatch(batch: Batch): Uint8Array {
  return WireBatch.encode({
    agentId: batch.key.agent,
    incarnation: batch.key.incarnation,
    sequence: batch.key.sequence,
    intervalIndex: batch.intervalIndex,
    intervalCount: batch.intervalCount,
    defines: batch.defines.map(({ number, metric, kind, tags }) => ({ number, metric, kind, tags })),
    trends: batch.trends.map((trend) => ({ ...trend, minUs: trend.count === 0 ? 0 : trend.minUs, histogram: asBuffer(trend.histogram) })),
    counters: [...batch.counters],
    rates: [...batch.rates],
    gauges: [...batch.gauges],
    ledgers: batch.ledgers.map(ledgerToWire),
    health: batch.health,
    isFinal: batch.isFinal,
    samplesRecorded: batch.samplesRecorded,
  }).finish();
}

/** Throws on bytes that are no batch: whoever wrote them was not an agent of ours. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const wire = WireBatch.decode(bytes);
  assert(wire.health !== undefined, 'a batch carries its agent’s health');
  return {
    key: { agent: wire.agentId, incarnation: wire.incarnation, sequence: wire.sequence },
    intervalIndex: wire.intervalIndex,
    intervalCount: wire.intervalCount,
    defines: wire.defines.map(({ number, metric, kind, tags }) => ({ number, metric, kind: metricKind(kind), tags })),
    trends: wire.trends,
    counters: wire.counters,
    rates: wire.rates,
    gauges: wire.gauges,
    ledgers: wire.ledgers.map(ledgerFromWire),
    health: wire.health satisfies Health,
    isFinal: wire.isFinal,
    samplesRecorded: wire.samplesRecorded,
  };
}

export function ledgerToWire({ scenario, ledger, coveredUntilUs, waiting }: ScenarioLedger): proto.ScenarioLedger {
  return { scenario, ...ledger, coveredUntilUs, waiting };
}

export function ledgerFromWire(wire: proto.ScenarioLedger): ScenarioLedger {
  const { scenario, coveredUntilUs, waiting, started, dropped, undelivered, completed, interrupted } = wire;
  return { scenario, coveredUntilUs, waiting, ledger: { started, dropped, undelivered, completed, interrupted } };
}

function metricKind(kind: string): 'trend' | 'counter' | 'rate' | 'gauge' {
  assert(kind === 'trend' || kind === 'counter' || kind === 'rate' || kind === 'gauge', `a series of kind ${kind}`);
  return kind;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
