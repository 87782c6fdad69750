import { access } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { formatDurationUs } from '../base/index.ts';
import { countingOf, HealthWatch, type CountedScenario, type ValidityReason } from '../sla/index.ts';
import { SeriesSum, WARM_UP, type Ledger } from '../stats/index.ts';
import { BUNDLE_FILES, bundleFiles, type Bundle, type BundleFiles, type Manifest } from './bundle.ts';
import { outlineHlog } from './hlog.ts';
import type { AgentLine } from './interval-lines.ts';
import { replayBundle, type Interval } from './read-intervals.ts';
import { readWholeLines } from './read-lines.ts';
import { summarise } from './summary.ts';

/** True for a folder that a run began to write and never ended: intervals are there, and no summary of them. */
export async function isUnended(dir: string): Promise<boolean> {
  const has = (name: string): Promise<boolean> =>
    access(join(dir, name)).then(
      () => true,
      () => false,
    );
  return !(await has(BUNDLE_FILES.summary)) && (await has(BUNDLE_FILES.intervals)) && (await has(BUNDLE_FILES.agents));
}

/** A bundle of what stands in such a folder: every interval that was closed by then, exactly, and a summary made of these. What only the
 *  end of a run tells is not in it: the plan, the thresholds, what was under way. So it is `invalid`, and says why. `manifest`: where the
 *  folder has one. Reads the growing files once; throws `BUNDLE_INVALID` where they are broken before their end. */
export async function readUnended(dir: string, manifest: Manifest | undefined): Promise<Bundle> {
  const known = manifest ?? (await guessedManifest(dir));
  const { totals, agents, durationUs, health, scenarios } = await addUp(bundleFiles(dir, known, false));
  const counting = known.counting ?? { loadEndUs: durationUs, scenarios };
  const ids = [...new Set([...agents.values()].map(({ agent }) => agent))].sort();
  const summary = summarise({
    run: { ...known.run, agents: { planned: ids.length, reported: ids.length, lost: 0 }, stopped: 'its end is not in this bundle' },
    durationUs,
    countedUs: (tags) => countingOf(counting.scenarios).us(tags, durationUs),
    warmUps: counting.scenarios.flatMap(({ name, warmupUs }) => (warmupUs === undefined ? [] : [{ scenario: name, us: warmupUs }])),
    ledger: ledgerOf([...agents.values()], totals),
    validity: { grade: 'invalid', reasons: [reason(durationUs)] },
    totals: totals.series(),
    verdicts: [],
    health: health.agents(),
    agentsLost: [],
  });
  const told = { ...known, counting, agents: known.agents.length > 0 ? known.agents : ids.map((id) => ({ id })) };
  return { ...bundleFiles(dir, told, false), summary };
}

function reason(durationUs: number): ValidityReason {
  const detail =
    `this run has no end here: its coordinator died, or is still at work. These are the first ${formatDurationUs(durationUs)} of it, as far as they ` +
    `were written; what was planned, and the thresholds, are not known, and planned counts only what agents fired or dropped`;
  return { code: 'bundle-incomplete', detail, grade: 'invalid' };
}

/** What the log alone tells. A run is named after its folder. */
async function guessedManifest(dir: string): Promise<Manifest> {
  const path = join(dir, BUNDLE_FILES.intervals);
  const { startedAtUs = 0, lengthUs } = await outlineHlog(untilFirst(readWholeLines(path)), path);
  const name = basename(resolve(dir));
  return {
    schemaVersion: 1,
    run: { id: name, name, startedAt: new Date(startedAtUs / 1_000).toISOString() },
    intervalMs: lengthUs > 0 ? lengthUs / 1_000 : 1_000,
    ...{ scenario: null, plan: null, agents: [], epochs: [], events: [] },
  };
}

async function* untilFirst(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) {
    yield line;
    if (!line.startsWith('#') && !line.startsWith('"')) return;
  }
}

interface AddedUp {
  readonly totals: SeriesSum;
  /** The newest line of every agent, by its name and incarnation. */
  readonly agents: ReadonlyMap<string, AgentLine>;
  readonly durationUs: number;
  readonly health: HealthWatch;
  /** Those that were measured. */
  readonly scenarios: readonly CountedScenario[];
}

/** Only what belongs to closed intervals: lines of agents that came ahead of them tell of samples that are not here. */
async function addUp(files: BundleFiles): Promise<AddedUp> {
  const totals = new SeriesSum();
  const health = new HealthWatch();
  const agents = new Map<string, AgentLine>();
  const phases = new PhasesSeen();
  let ahead: AgentLine[] = [];
  let durationUs = 0;
  for await (const part of replayBundle(files)) {
    if (!('index' in part)) {
      ahead.push(part.line);
      continue;
    }
    totals.add(part.series);
    phases.add(part);
    durationUs = Math.max(durationUs, part.startUs + part.lengthUs);
    const isDue = (line: AgentLine): boolean => line.intervalIndex + line.intervalCount - 1 <= part.index;
    for (const line of ahead.filter(isDue)) {
      health.add(line.agent, line.health);
      agents.set(`${line.agent}\u0000${line.incarnation}`, line);
    }
    ahead = ahead.filter((line) => !isDue(line));
  }
  return { totals, agents, durationUs, health, scenarios: phases.scenarios };
}

/** Which scenarios were measured, and until when they warmed up, as far as intervals can tell: a warm-up ends where the first interval begins
 *  that has something else of its scenario. */
class PhasesSeen {
  private readonly seen = new Map<string, { isWarming: boolean; startUs: number | undefined; countedUs: number | undefined }>();

  add({ startUs, series }: Interval): void {
    for (const { tags } of series) {
      const { scenario, phase } = tags;
      if (scenario === undefined || (phase !== undefined && phase !== WARM_UP.phase)) continue;
      const known = this.seen.get(scenario) ?? { isWarming: false, startUs: undefined, countedUs: undefined };
      this.seen.set(scenario, known);
      known.startUs ??= startUs;
      if (phase === undefined) known.countedUs ??= startUs;
      else known.isWarming = true;
    }
  }

  get scenarios(): CountedScenario[] {
    return [...this.seen].map(([name, { isWarming, startUs = 0, countedUs = startUs }]) => ({
      name,
      startUs,
      ...(isWarming ? { warmupUs: countedUs - startUs } : {}),
    }));
  }
}

/** As the newest lines say. What was started and not completed by then was under way; nobody knows what became of it. */
function ledgerOf(lines: readonly AgentLine[], totals: SeriesSum): Ledger {
  const ledgers = lines.flatMap((line) => line.ledgers.map(({ ledger }) => ledger));
  const sum = (pick: (one: (typeof ledgers)[number]) => number): number => ledgers.reduce((all, one) => all + pick(one), 0);
  const [started, dropped, completed] = [sum((one) => one.started), sum((one) => one.dropped), sum((one) => one.completed)];
  const merged = totals.series().reduce((all, { value }) => all + (value.kind === 'trend' ? value.histogram.count : 0), 0);
  const recorded = lines.reduce((all, { samplesRecorded }) => all + samplesRecorded, 0);
  return {
    ...{ planned: started + dropped, started, dropped, undelivered: 0, unknown: 0, completed, interrupted: started - completed },
    samples: { recorded, merged, missing: Math.max(0, recorded - merged), duplicate: 0 },
  };
}
