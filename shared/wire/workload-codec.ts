import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { AppError, WORKLOAD_BYTES_MAX } from '../base/index.ts';
import type { Workload } from '../plan/index.ts';

/** The bytes that travel, and the name they travel under. Equal workloads give equal bytes. */
export function encodeWorkload(workload: Workload): { readonly bytes: Uint8Array; readonly hash: string } {
  const bytes = gzipSync(JSON.stringify(workload), { level: 6 });
  if (bytes.length > WORKLOAD_BYTES_MAX) {
    throw new AppError(
      'SCENARIO_INVALID',
      `flows, script and data rows are ${bytes.length} bytes compressed; at most ${WORKLOAD_BYTES_MAX} travel`,
    );
  }
  return { bytes, hash: workloadHash(bytes) };
}

export function workloadHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Throws `AppError('SCENARIO_INVALID')` when the bytes do not have the hash they were asked by. */
export function decodeWorkload(bytes: Uint8Array, hash: string): Workload {
  if (workloadHash(bytes) !== hash) throw new AppError('SCENARIO_INVALID', `the workload does not match its hash ${hash}`);
  const text = gunzipSync(bytes, { maxOutputLength: WORKLOAD_BYTES_MAX * 16 }).toString('utf8');
  // Only our own encoder produces bytes of this hash, so their shape is what the encoder's type says.
  return JSON.parse(text) as Workload;
}
