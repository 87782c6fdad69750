import { Batch as WireBatch } from '../../proto/gen/muster/v1/results.ts';
import type { Batch, ScenarioLedger } from '../stats/index.ts';
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
    epochs: batch.epochs,
  }).finish();
}

export function ledgerToWire({ scenario, ledger, coveredUntilUs, waiting, firedUntilUs }: ScenarioLedger): proto.ScenarioLedger {
  return { scenario, ...ledger, coveredUntilUs, waiting, firedUntilUs };
}

export function ledgerFromWire(wire: proto.ScenarioLedger): ScenarioLedger {
  const { scenario, coveredUntilUs, waiting, firedUntilUs, started, dropped, undelivered, completed, interrupted } = wire;
  return { scenario, coveredUntilUs, waiting, firedUntilUs, ledger: { started, dropped, undelivered, completed, interrupted } };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
