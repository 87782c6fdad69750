import type { ClusterRun } from './cluster.ts';
import type { Arrival } from './target.ts';

/** When a run began, microseconds since the Unix epoch, on the clock that the target's log has too. */
export function zeroUs({ bundle }: ClusterRun): number {
  const started = (bundle.manifest.events as readonly { kind: string; detail: { zeroUs?: number } }[]).find(
    ({ kind }) => kind === 'started',
  );
  if (started?.detail.zeroUs === undefined) throw new Error('the run has no event of its start');
  return started.detail.zeroUs;
}

/** Arrivals in each window of the run, from its zero on. */
export function perWindow(arrivals: readonly Arrival[], fromUs: number, windowUs: number): number[] {
  const counts: number[] = [];
  for (const { atUs } of arrivals) {
    const window = Math.max(0, Math.floor((atUs - fromUs) / windowUs));
    counts[window] = (counts[window] ?? 0) + 1;
  }
  return Array.from(counts, (count: number | undefined) => count ?? 0);
}

/** Numbers of the iterations that asked for `/i/NUMBER`, in the order of arrival. */
export function iterationsOf(arrivals: readonly Arrival[]): number[] {
  return arrivals.map(({ path }) => Number(path.slice('/i/'.length)));
}
