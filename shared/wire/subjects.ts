/** Names on the results plane. Run ids and agent ids hold no dots or spaces, so each is one token of a subject. */
export const STREAM = 'MUSTER';
export const STREAM_SUBJECTS = ['muster.*.batch.*', 'muster.*.event'];
/** Object-store bucket of workloads, each under its own SHA-256. */
export const WORKLOAD_BUCKET = 'MUSTER_WORKLOADS';

export function batchSubject(runId: string, agentId: string): string {
  return `muster.${runId}.batch.${agentId}`;
}

export function batchFilter(runId: string): string {
  return `muster.${runId}.batch.*`;
}

export function eventSubject(runId: string): string {
  return `muster.${runId}.event`;
}

/** Where the coordinator that conducts a run answers as long as it lives. Not in the stream. */
export function ownerSubject(runId: string): string {
  return `muster.${runId}.owner`;
}

/** JetStream drops a second message of the same id, so a batch published again after a lost acknowledgement is stored once. */
export function batchMessageId(runId: string, agentId: string, incarnation: string, sequence: number): string {
  return `${runId}:${agentId}:${incarnation}:${sequence}`;
}
