import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
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

/** Longer details are compressed: those of ten thousand agents are 2 to 5 MB, and a NATS server takes 1 MB a message. */
const PLAIN_CHARS_MAX = 65_536;
/** Ids come again far behind where they came first, which gzip would not see; this makes 250 to 450 KB of them. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 22 } };
/** Far more than an event can be: what claims more is none. */
const DETAIL_BYTES_MAX = 256 * 1024 * 1024;

export function encodeEvent({ runId, atMs, kind, detail }: RunEvent): Uint8Array {
  const json = JSON.stringify(detail);
  const isLong = json.length > PLAIN_CHARS_MAX;
  const detailBrotli = isLong ? brotliCompressSync(json, BROTLI) : Buffer.alloc(0);
  return WireRunEvent.encode({ runId, atMs, kind, detailJson: isLong ? '' : json, detailBrotli }).finish();
}

/** Only a coordinator's own encoder makes events, so their shape is what its type says. */
export function decodeEvent(bytes: Uint8Array): RunEvent {
  const { runId, atMs, kind, detailJson, detailBrotli } = WireRunEvent.decode(bytes);
  const json =
    detailBrotli.length === 0 ? detailJson : brotliDecompressSync(detailBrotli, { maxOutputLength: DETAIL_BYTES_MAX }).toString('utf8');
  return { runId, atMs, kind: kind as RunEvent['kind'], detail: JSON.parse(json) as Record<string, unknown> };
}
