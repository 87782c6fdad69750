import { SubmitRequest } from '../../proto/gen/muster/v1/control.ts';
import { workloadHash } from './workload-codec.ts';

/** A submission as the object store keeps it, and the name it is kept under. Its workload is kept by itself. */
export function encodeSubmission(request: SubmitRequest): { readonly bytes: Uint8Array; readonly hash: string } {
  const bytes = SubmitRequest.encode({ ...request, workload: Buffer.alloc(0) }).finish();
  return { bytes, hash: workloadHash(bytes) };
}

/** The submission without its workload. */
export function decodeSubmission(bytes: Uint8Array): SubmitRequest {
  return SubmitRequest.decode(bytes);
}
