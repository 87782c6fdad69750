import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBundle, readIntervals } from '../../shared/report/index.ts';
import { Histogram, isPartOfTotals } from '../../shared/stats/index.ts';
import { fetchBundle } from '../fetch-bundle.ts';
import type { RunsClient } from '../rpc/runs-client.ts';

const LAG = 'schedule_lag';

/** p99 of `schedule_lag` in every interval of a run that measured any, milliseconds. */
export async function lagP99sMs(client: RunsClient, runId: string): Promise<number[]> {
  const dir = await mkdtemp(join(tmpdir(), 'muster-calibrate-'));
  try {
    await fetchBundle(client, runId, dir);
    const p99s: number[] = [];
    for await (const { series } of readIntervals(await readBundle(dir), (metric) => metric === LAG)) {
      const all = new Histogram();
      for (const { metric, tags, value } of series) {
        if (metric === LAG && value.kind === 'trend' && isPartOfTotals(tags)) all.add(value.histogram);
      }
      const p99Us = all.percentileUs(99);
      if (p99Us !== undefined) p99s.push(p99Us / 1_000);
    }
    return p99s;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Intervals of a tried rate that must be below the limit. A rate that is too high is late in all of them; a machine that was busy with something
 *  else for a moment is late in that one, and in the p99 of the whole. */
const UNDISTURBED_SHARE = 2 / 3;

/** The lag that two thirds of the intervals stay at or below; `Infinity` where none measured any. */
export function undisturbedLagMs(p99sMs: readonly number[]): number {
  const ascending = [...p99sMs].sort((a, b) => a - b);
  return ascending[Math.ceil(ascending.length * UNDISTURBED_SHARE) - 1] ?? Infinity;
}
