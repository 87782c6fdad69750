import { access, open, rename, rm } from 'node:fs/promises';
import { AppError } from '../base/index.ts';
import { alignIntervals, type NextInterval } from './align.ts';
import { fileDigest } from './file-digest.ts';
import { formatHlogHead, formatHlogLine } from './hlog.ts';
import type { Results } from './results.ts';

export interface MergedLog {
  readonly intervals: number;
  readonly lines: number;
  readonly samples: number;
}

/** Adds HdrHistogram logs into one, exactly: lines of one tag in the same interval, counted from the start of each log, are added bucket for
 *  bucket. Trends alone: bundles among the sources give their log. Open the sources with `mustBeExact`.
 *  Throws `NOT_MERGEABLE` for intervals of different lengths and for the same log twice; writes `out` as a whole or not at all. */
export async function mergeLogs(sources: readonly Results[], out: string): Promise<MergedLog> {
  if (sources.length < 2) throw new AppError('USAGE', `expected at least two results to merge, got ${sources.length}`);
  if (
    await access(out).then(
      () => true,
      () => false,
    )
  )
    throw new AppError('USAGE', `${out} exists already; give a name that does not`);
  await refuseUnlike(sources);
  const temporary = `${out}.tmp`;
  const file = await open(temporary, 'w').catch((cause: unknown) => {
    throw AppError.from(cause, 'OUT_UNWRITABLE', `cannot write ${out}`);
  });
  try {
    const merged = { intervals: 0, lines: 0, samples: 0 };
    await file.write(formatHlogHead(startOf(sources)));
    for await (const { startUs, lengthUs, series } of alignIntervals(sources.map(nextOf))) {
      merged.intervals++;
      let lines = '';
      for (const { metric, tags, value } of series) {
        if (value.kind !== 'trend') continue;
        merged.lines++;
        merged.samples += value.histogram.count;
        lines += formatHlogLine({ metric, tags, startUs, lengthUs, histogram: value.histogram });
      }
      await file.write(lines);
    }
    await file.close();
    await rename(temporary, out);
    return merged;
  } catch (thrown) {
    await file.close().catch(() => undefined); // The first failure is the one to tell.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw AppError.from(thrown, 'OUT_UNWRITABLE', `cannot write ${out}`);
  }
}

/** Timers of other tools jitter: intervals that differ by less are of one length. */
const LENGTH_JITTER_MAX = 0.05;

async function refuseUnlike(sources: readonly Results[]): Promise<void> {
  const [first] = sources;
  const seen = new Map<string, string>();
  for (const { path, intervalUs, log } of sources) {
    if (first !== undefined && Math.abs(intervalUs - first.intervalUs) > LENGTH_JITTER_MAX * first.intervalUs) {
      const lengths = `intervals of ${first.intervalUs / 1_000} ms in ${first.path}, of ${intervalUs / 1_000} ms in ${path}`;
      throw new AppError('NOT_MERGEABLE', `these results cannot be merged: ${lengths}`);
    }
    const digest = await fileDigest(log);
    const before = seen.get(digest);
    if (before !== undefined) throw new AppError('NOT_MERGEABLE', `these results cannot be merged: ${before} and ${path} are the same`);
    seen.set(digest, path);
  }
}

function nextOf(source: Results): NextInterval {
  const intervals = source.intervals();
  return async () => {
    const next = await intervals.next();
    return next.done === true ? undefined : next.value;
  };
}

/** The earliest start that a source knows of, epoch microseconds. */
function startOf(sources: readonly Results[]): number {
  const known = sources.flatMap((source) =>
    source.kind === 'bundle' ? [Date.parse(source.bundle.manifest.run.startedAt) * 1_000] : (source.outline.startedAtUs ?? []),
  );
  return known.length === 0 ? 0 : Math.min(...known);
}
