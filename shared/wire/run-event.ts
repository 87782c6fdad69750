import { gunzipSync, gzipSync } from 'node:zlib';
import { RunEvent as WireRunEvent } from '../../proto/gen/muster/v1/results.ts';

/** Something that happened to a run, in the order in which it happened. */
export interface RunEvent {
  readonly runId: string;
  readonly atMs: number;
  readonly kind:
    | 'submitted'
    | 'assigned'
    | 'epoch'
    | 'started'
    | 'agent-lost'
    | 'agent-joined'
    | 'scaled'
    | 'paused'
    | 'resumed'
    | 'stopping'
    | 'chore-given'
    | 'chore'
    | 'coordinator-restarted'
    | 'finished';
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Longer details are compressed: those of ten thousand agents are 2 MB, and a NATS server takes 1 MB a message. They shrink to a tenth. */
const PLAIN_CHARS_MAX = 65_536;
const DETAIL_BYTES_MAX = 256 * 1024 * 1024;

export function encodeEvent({ runId, atMs, kind, detail }: RunEvent): Uint8Array {
  const json = JSON.stringify(detail);
  const isLong = json.length > PLAIN_CHARS_MAX;
  const detailGzip = isLong ? gzipSync(json, { level: 1 }) : Buffer.alloc(0);
  return WireRunEvent.encode({ runId, atMs, kind, detailJson: isLong ? '' : json, detailGzip }).finish();
}

/** Only a coordinator's own encoder makes events, so their shape is what its type says. */
export function decodeEvent(bytes: Uint8Array): RunEvent {
  const { runId, atMs, kind, detailJson, detailGzip } = WireRunEvent.decode(bytes);
  const json = detailGzip.length === 0 ? detailJson : gunzipSync(detailGzip, { maxOutputLength: DETAIL_BYTES_MAX }).toString('utf8');
  return { runId, atMs, kind: kind as RunEvent['kind'], detail: JSON.parse(json) as Record<string, unknown> };
}
