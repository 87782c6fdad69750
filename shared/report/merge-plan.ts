import { createHash } from 'node:crypto';
import { AppError, type Problem } from '../base/index.ts';
import { MERGED_ID_PREFIX } from './bundle.ts';
import type { AgentLine } from './interval-lines.ts';
import type { BundleResults } from './results.ts';

/** What bundles become when they are added: one run again, when they are parts of one; else several runs side by side. */
export interface MergedRun {
  readonly id: string;
  readonly isOneRun: boolean;
  /** The name that an agent of a source has in the result: agents of several runs bear the run's name in front. */
  agentName(source: BundleResults, agent: string): string;
}

/** Decides whether bundles can be added exactly. Throws `NOT_MERGEABLE` with everything that speaks against it, before anything is
 *  written: a run without an end, another length of intervals, another plan (seeds of different runs may differ), a metric of another kind or unit, one run that
 *  began twice, the same batch in two of them. */
export async function planMerge(sources: readonly BundleResults[]): Promise<MergedRun> {
  const [first] = sources;
  if (first === undefined) throw new AppError('USAGE', 'expected at least two results to merge, got none');
  const ids = [...new Set(sources.map(({ bundle }) => bundle.manifest.run.id))].sort();
  const isOneRun = ids.length === 1 && first.bundle.manifest.merged === undefined;
  const merged: MergedRun = {
    id: isOneRun
      ? first.bundle.manifest.run.id
      : `${MERGED_ID_PREFIX}${createHash('sha256').update(ids.join(' ')).digest('hex').slice(0, 12)}`,
    isOneRun,
    agentName: (source, agent) => (isOneRun ? agent : fullName(source, agent)),
  };
  const problems: Problem[] = [];
  for (const { path, bundle } of sources)
    if (!bundle.isComplete) problems.push({ path, message: `${path} has no end: what it lacks is not known` });
  for (const source of sources.slice(1)) problems.push(...differences(first, source));
  problems.push(...(await repeated(sources)));
  if (problems.length > 0) {
    throw new AppError('NOT_MERGEABLE', `these results cannot be merged: ${problems[0]?.message ?? ''}`, { problems });
  }
  return merged;
}

/** In a merged bundle agents bear the name of their run already. */
function fullName({ bundle: { manifest } }: BundleResults, agent: string): string {
  return manifest.merged === undefined ? `${manifest.run.id}/${agent}` : agent;
}

function* differences(a: BundleResults, b: BundleResults): Generator<Problem> {
  const [one, other] = [a.bundle.manifest, b.bundle.manifest];
  const found = (message: string): Problem => ({ path: b.path, message });
  if (one.intervalMs !== other.intervalMs) {
    yield found(`intervals of ${one.intervalMs} ms in ${a.path}, of ${other.intervalMs} ms in ${b.path}`);
  }
  const isSameRun = one.run.id === other.run.id;
  if (isSameRun && one.run.startedAt !== other.run.startedAt) {
    yield found(`run ${one.run.id} began at ${one.run.startedAt} in ${a.path} and at ${other.run.startedAt} in ${b.path}`);
  }
  const difference = firstDifference(withoutSeed(one.plan, isSameRun), withoutSeed(other.plan, isSameRun));
  if (difference !== undefined) yield found(`plans differ at ${difference}`);
  for (const [name, metric] of Object.entries(b.custom)) {
    const known = Object.hasOwn(a.custom, name) ? a.custom[name] : undefined;
    if (known === undefined || (known.kind === metric.kind && known.unit === metric.unit)) continue;
    yield found(`${name} is a ${known.kind} (${known.unit}) in ${a.path} and a ${metric.kind} (${metric.unit}) in ${b.path}`);
  }
}

/** Parts of one run have one seed; several runs of one plan may have one each. */
function withoutSeed(plan: unknown, isSameRun: boolean): unknown {
  return isSameRun || typeof plan !== 'object' || plan === null ? plan : { ...plan, seed: undefined };
}

/** Where two values of JSON differ first, with both; `undefined` when they do not. */
function firstDifference(a: unknown, b: unknown, path = 'plan'): string | undefined {
  if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const [one, other] = [(a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]];
      const difference = firstDifference(one, other, Array.isArray(a) ? `${path}[${key}]` : `${path}.${key}`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  return Object.is(a, b) ? undefined : `${path}: ${shown(a)} and ${shown(b)}`;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 60);
}

/** Batches that stand in two sources: adding them would count what they hold twice. */
async function repeated(sources: readonly BundleResults[]): Promise<Problem[]> {
  const seen = new Map<string, { readonly bits: Bits; readonly path: string }[]>();
  const problems: Problem[] = [];
  for (const source of sources) {
    const own = new Map<string, Bits>();
    let overlap: string | undefined;
    for await (const line of source.bundle.agentLines()) {
      const key = `${fullName(source, line.agent)}\u0000${line.incarnation}`;
      let bits = own.get(key);
      if (bits === undefined) {
        bits = new Bits();
        own.set(key, bits);
        seen.set(key, [...(seen.get(key) ?? []), { bits, path: source.path }]);
      }
      bits.set(line.sequence);
      const before = seen.get(key)?.find((one) => one.bits !== bits && one.bits.has(line.sequence));
      if (before !== undefined) overlap ??= overlapText(line, before.path, source.path);
    }
    if (overlap !== undefined) problems.push({ path: source.path, message: overlap });
  }
  return problems;
}

function overlapText({ agent, sequence }: AgentLine, before: string, now: string): string {
  return `the same results stand in ${before} and in ${now}, batch ${sequence} of agent ${agent} for one`;
}

/** Sequences of one agent: a bit each, so that a day of seconds takes 11 KB. */
class Bits {
  private bytes = new Uint8Array(1_024);

  set(number: number): void {
    const at = Math.floor(number / 8);
    if (at >= this.bytes.length) {
      const grown = new Uint8Array(Math.max(at + 1, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes[at] = (this.bytes[at] ?? 0) | (1 << (number % 8));
  }

  has(number: number): boolean {
    return ((this.bytes[Math.floor(number / 8)] ?? 0) & (1 << (number % 8))) !== 0;
  }
}
