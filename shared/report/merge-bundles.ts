import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../base/index.ts';
import { countingOf, HealthWatch, ThresholdWatch, type Threshold, type ValidityReason, type Verdict } from '../sla/index.ts';
import { emptyValue, SeriesSum, type CustomMetrics, type Ledger, type Series } from '../stats/index.ts';
import { alignIntervals, type NextInterval } from './align.ts';
import { BundleWriter } from './bundle-writer.ts';
import { BUNDLE_FILES, type Manifest } from './bundle.ts';
import { thresholdsOf } from './check.ts';
import type { AgentPart, Defined } from './interval-lines.ts';
import { planMerge, type MergedRun } from './merge-plan.ts';
import { replayBundle, type ReplayedLine } from './read-intervals.ts';
import type { BundleResults } from './results.ts';
import { selectorText, summarise, type Summary, type SummaryReason } from './summary.ts';

/** Adds bundles into one, exactly: every interval is the sum of those with its index, bucket for bucket; thresholds are judged over the
 *  sums; ledgers add. Bundles of one run become that run again. Several runs of one plan become a run whose agents are all of theirs, as
 *  if they had started together. What speaks against one of them speaks against the whole.
 *  Writes nothing and throws `NOT_MERGEABLE` where that cannot be; removes what it wrote and throws `BUNDLE_INVALID` where a source turns
 *  out to be broken. */
export async function mergeBundles(sources: readonly BundleResults[], out: string): Promise<Summary> {
  if (sources.length < 2) throw new AppError('USAGE', `expected at least two results to merge, got ${sources.length}`);
  await refuseExisting(out);
  const merged = await planMerge(sources);
  const starts = sources.map(({ bundle }) => Date.parse(bundle.manifest.run.startedAt));
  const startedAtMs = Math.min(...starts);
  const writer = await BundleWriter.open(out, startedAtMs * 1_000);
  try {
    const manifest = mergedManifest(sources, merged, startedAtMs);
    const summary = await addUp(sources, merged, manifest, writer);
    await writer.writeRun(manifest);
    await writer.writeSummary(summary);
    await writer.close();
    if (writer.failure !== undefined) throw new AppError('OUT_UNWRITABLE', `cannot write the merged bundle: ${writer.failure}`);
    return summary;
  } catch (thrown) {
    await writer.close();
    for (const name of Object.values(BUNDLE_FILES)) await rm(join(out, name), { force: true });
    throw thrown;
  }
}

async function refuseExisting(out: string): Promise<void> {
  const exists = await access(join(out, BUNDLE_FILES.manifest)).then(
    () => true,
    () => false,
  );
  if (exists) throw new AppError('USAGE', `${out} holds a run bundle already; give a folder that does not`);
}

async function addUp(sources: readonly BundleResults[], merged: MergedRun, manifest: Manifest, writer: BundleWriter): Promise<Summary> {
  const { counting: counted, intervalMs, run } = manifest;
  const counting = countingOf(counted?.scenarios ?? []);
  const watch = new ThresholdWatch(allThresholds(sources), intervalMs * 1_000, counted?.loadEndUs, counting);
  const health = new HealthWatch();
  const totals = new SeriesSum();
  const pending = new PendingLines();
  const writePending = async (index: number): Promise<void> => {
    for (const { part, defined } of pending.take(index)) {
      health.add(part.key.agent, part.health);
      await writer.appendBatch(part, defined);
    }
  };
  const nexts = sources.map((source) => nextOf(source, merged, pending));
  for await (const { index, startUs, lengthUs, series } of alignIntervals(nexts)) {
    await writePending(index);
    await writer.appendInterval({ index, series }, startUs, lengthUs);
    totals.add(series);
    watch.slide({ index, series }, totals.series(), startUs + lengthUs);
  }
  await writePending(Infinity);
  totals.declare(sources.flatMap(declared));
  const summaries = sources.map(({ bundle }) => bundle.summary);
  const durationUs = Math.max(...summaries.map((summary) => Math.round(summary.run.durationSeconds * 1_000_000)));
  const verdicts: Verdict[] = watch.final(totals.series(), durationUs);
  const { agents, lost } = agentsOf(sources, merged);
  const spreads = summaries.flatMap(({ run: { startSpreadMs } }) => startSpreadMs ?? []);
  const stops = summaries.flatMap(({ run: { stopped } }) => stopped ?? []);
  const seed = common(summaries.map((one) => one.run.seed));
  const target = distinct(summaries.flatMap((one) => one.run.target ?? [])).join(' + ');
  return summarise({
    run: {
      ...run,
      ...(seed === undefined ? {} : { seed }),
      ...(target === '' ? {} : { target }),
      agents: { planned: agents.size, reported: agents.size - lost.length, lost: lost.length },
      ...(spreads.length === 0 ? {} : { startSpreadMs: Math.max(...spreads) }),
      ...(stops.length === 0 ? {} : { stopped: [...new Set(stops)].join('; ') }),
    },
    durationUs,
    countedUs: (tags) => counting.us(tags, durationUs),
    warmUps: (counted?.scenarios ?? []).flatMap(({ name, warmupUs }) => (warmupUs === undefined ? [] : [{ scenario: name, us: warmupUs }])),
    ledger: summaries.map(({ ledger }) => ledger).reduce(addLedgers),
    validity: worstOf(sources, merged),
    totals: totals.series(),
    metrics: Object.assign({}, ...sources.map(({ custom }) => custom)) as CustomMetrics,
    verdicts,
    health: health.agents(),
    agentsLost: lost,
  });
}

/** Lines of agents, kept until the interval that they belong to is ended in the result: so they stand there as if one coordinator had
 *  collected them. As many wait as a coordinator keeps intervals open. */
class PendingLines {
  private readonly byIndex = new Map<number, { readonly part: AgentPart; readonly defined: Defined }[]>();

  add({ line, defined }: ReplayedLine, agent: string): void {
    const { incarnation, sequence, counters = [], rates = [], gauges = [], ...rest } = line;
    const part: AgentPart = {
      ...rest,
      key: { agent, incarnation, sequence },
      counters: counters.map(([series, count]) => ({ series, count })),
      rates: rates.map(([series, passes, fails]) => ({ series, passes, fails })),
      gauges: gauges.map(([series, last, min, max, atUs]) => ({ series, value: last, min, max, atUs })),
    };
    // Looked up now: later lines of the source may give a number a new meaning.
    const meant = new Map([...part.counters, ...part.rates, ...part.gauges].map(({ series }) => [series, defined(series)]));
    const index = line.intervalIndex + line.intervalCount - 1;
    const waiting = this.byIndex.get(index) ?? [];
    waiting.push({ part, defined: (series) => meant.get(series) ?? defined(series) });
    this.byIndex.set(index, waiting);
  }

  /** Those of intervals up to `index`, in order, which then wait no more. */
  *take(index: number): Generator<{ readonly part: AgentPart; readonly defined: Defined }> {
    for (const due of [...this.byIndex.keys()].filter((one) => one <= index).sort((a, b) => a - b)) {
      yield* this.byIndex.get(due) ?? [];
      this.byIndex.delete(due);
    }
  }
}

/** The next interval of a source; the lines of its agents before it are put to those that wait. */
function nextOf(source: BundleResults, merged: MergedRun, pending: PendingLines): NextInterval {
  const replay = replayBundle(source.bundle);
  return async () => {
    for (;;) {
      const next = await replay.next();
      if (next.done === true) return undefined;
      if ('index' in next.value) return next.value;
      pending.add(next.value, merged.agentName(source, next.value.line.agent));
    }
  };
}

function mergedManifest(sources: readonly BundleResults[], merged: MergedRun, startedAtMs: number): Manifest {
  const manifests = sources.map(({ bundle }) => bundle.manifest);
  const [first] = manifests;
  if (first === undefined) throw new AppError('USAGE', 'expected at least two results to merge, got none');
  const names = [...new Set(manifests.map(({ run }) => run.name))];
  const agents = sources.flatMap((source) =>
    source.bundle.manifest.agents.map((agent) => {
      const { id } = agent as { readonly id?: unknown };
      return typeof id === 'string' ? { ...(agent as object), id: merged.agentName(source, id) } : agent;
    }),
  );
  // Events of runs side by side stand as far from the common start as they stood from their own.
  const events = manifests.flatMap(({ events: own, run }) =>
    own.map((event) => {
      const { atMs } = event as { readonly atMs?: unknown };
      return typeof atMs === 'number' ? { ...(event as object), atMs: atMs - Date.parse(run.startedAt) + startedAtMs } : event;
    }),
  );
  return {
    schemaVersion: 1,
    run: { id: merged.id, name: names.join(' + '), startedAt: new Date(startedAtMs).toISOString() },
    ...(merged.isOneRun ? {} : { merged: manifests.flatMap((one) => one.merged ?? [one.run]) }),
    intervalMs: first.intervalMs,
    scenario: first.scenario,
    plan: first.plan,
    ...(first.counting === undefined ? {} : { counting: first.counting }),
    agents: distinct(agents),
    epochs: distinct(manifests.flatMap(({ epochs }) => epochs)),
    events: distinct(events).sort((a, b) => timeOf(a) - timeOf(b)),
  };
}

function timeOf(event: unknown): number {
  const { atMs } = event as { readonly atMs?: unknown };
  return typeof atMs === 'number' ? atMs : 0;
}

/** Series that a summary names, which nothing may have been added to. */
function declared({ bundle }: BundleResults): Series[] {
  return bundle.summary.series.map(({ metric, tags, type }) => ({ metric, tags, value: emptyValue(type) }));
}

function allThresholds(sources: readonly BundleResults[]): Threshold[] {
  const found = new Map<string, Threshold>();
  for (const threshold of sources.flatMap(thresholdsOf)) {
    found.set(`${selectorText(threshold.metric, threshold.tags)} ${threshold.expression} ${String(threshold.windowUs)}`, threshold);
  }
  return [...found.values()];
}

function agentsOf(sources: readonly BundleResults[], merged: MergedRun): { readonly agents: ReadonlySet<string>; readonly lost: string[] } {
  const agents = new Set<string>();
  const lost = new Set<string>();
  for (const source of sources) {
    for (const { id } of source.bundle.manifest.agents as readonly { readonly id?: unknown }[])
      if (typeof id === 'string') agents.add(merged.agentName(source, id));
    for (const { agent, isLost } of source.bundle.summary.agents) if (isLost) lost.add(merged.agentName(source, agent));
  }
  return { agents, lost: [...lost] };
}

/** A whole is as good as the worst of its parts. Reasons say which part they are about. */
function worstOf(
  sources: readonly BundleResults[],
  merged: MergedRun,
): { readonly grade: Summary['validity']['grade']; readonly reasons: readonly ValidityReason[] } {
  const order = ['valid', 'degraded', 'invalid'] as const;
  const grades = sources.map(({ bundle }) => bundle.summary.validity.grade);
  const reasons = sources.flatMap(({ bundle: { manifest, summary }, path }) =>
    summary.validity.reasons.map((reason: SummaryReason) => ({
      ...reason,
      detail: `${merged.isOneRun ? path : manifest.run.id}: ${reason.detail}`,
    })),
  );
  return {
    grade: order[Math.max(...grades.map((grade) => order.indexOf(grade)))] ?? 'invalid',
    // They were graded by the table of the version that wrote the bundle.
    reasons: distinct(reasons) as readonly ValidityReason[],
  };
}

function addLedgers(a: Ledger, b: Ledger): Ledger {
  return {
    planned: a.planned + b.planned,
    started: a.started + b.started,
    dropped: a.dropped + b.dropped,
    undelivered: a.undelivered + b.undelivered,
    unknown: a.unknown + b.unknown,
    completed: a.completed + b.completed,
    interrupted: a.interrupted + b.interrupted,
    samples: {
      recorded: a.samples.recorded + b.samples.recorded,
      merged: a.samples.merged + b.samples.merged,
      missing: a.samples.missing + b.samples.missing,
      duplicate: a.samples.duplicate + b.samples.duplicate,
    },
  };
}

/** The value that all have; `undefined` when they differ. */
function common<T>(values: readonly T[]): T | undefined {
  return values.every((value) => value === values[0]) ? values[0] : undefined;
}

function distinct<T>(values: readonly T[]): T[] {
  const seen = new Set<string>();
  return values.filter((value) => {
    const text = JSON.stringify(value);
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  });
}
