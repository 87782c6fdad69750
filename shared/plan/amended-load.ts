import type { Epoch } from './epochs.ts';
import { isOpen, type OpenLoad, type Plan, type PlannedScenario, type Segment } from './plan.ts';

const SECOND_US = 1_000_000;

/** A span of run time, microseconds; `toUs` may be `Infinity`. */
export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

/** The plan as the epochs have amended it: arrival rates are what they really are, so counting, splitting and settling need to know of
 *  nothing else. What comes before an amendment is untouched. Closed loads are amended by VU (`vuSpans`). */
export function amendPlan(plan: Plan, epochs: readonly Epoch[]): Plan {
  return { ...plan, scenarios: plan.scenarios.map((scenario) => amendScenario(scenario, epochs)) };
}

export function amendScenario<S extends PlannedScenario>(scenario: S, epochs: readonly Epoch[]): S {
  const { load } = scenario;
  return isOpen(load) ? { ...scenario, load: amendRates({ ...scenario, load }, epochs) } : scenario;
}

/** Arrivals per second that an open scenario plans at run-relative `us`. */
export function ratePerSecondAt({ startUs, load }: PlannedScenario & { readonly load: OpenLoad }, us: number): number {
  const [now] = part(load.segments, us - startUs, lengthUs(load.segments));
  return ((now?.startRate ?? 0) * SECOND_US) / load.timeUnitUs;
}

/** Spans of run time in which nothing is planned. */
export function pauses(epochs: readonly Epoch[]): Span[] {
  const found: Span[] = [];
  let sinceUs: number | undefined;
  for (const { fromUs, amendments = [] } of epochs) {
    for (const { kind } of amendments) {
      if (kind === 'pause') sinceUs ??= fromUs;
      else if (kind === 'resume' && sinceUs !== undefined) {
        found.push({ fromUs: sinceUs, toUs: fromUs });
        sinceUs = undefined;
      }
    }
  }
  if (sinceUs !== undefined) found.push({ fromUs: sinceUs, toUs: Infinity });
  return found;
}

function amendRates({ name, startUs, load }: PlannedScenario & { readonly load: OpenLoad }, epochs: readonly Epoch[]): OpenLoad {
  let { segments, maxVus } = load;
  for (const { fromUs, amendments = [] } of epochs) {
    for (const amendment of amendments) {
      if (amendment.kind !== 'rate' || amendment.scenario !== name) continue;
      segments = replaced(segments, fromUs - startUs, (amendment.ratePerSecond * load.timeUnitUs) / SECOND_US);
      maxVus = Math.max(maxVus, amendment.maxVus);
    }
  }
  for (const { fromUs, toUs } of pauses(epochs)) segments = silenced(segments, fromUs - startUs, toUs - startUs);
  return { ...load, segments, maxVus };
}

/** The same until `us`, then one rate to the end. */
function replaced(segments: readonly Segment[], us: number, rate: number): readonly Segment[] {
  const endUs = lengthUs(segments);
  if (us >= endUs) return segments;
  return [...part(segments, 0, us), { durationUs: endUs - Math.max(0, us), startRate: rate, endRate: rate }];
}

/** The same outside of `[fromUs, toUs)`, and nothing inside. */
function silenced(segments: readonly Segment[], fromUs: number, toUs: number): readonly Segment[] {
  const endUs = lengthUs(segments);
  const silence = { durationUs: Math.min(endUs, toUs) - Math.max(0, fromUs), startRate: 0, endRate: 0 };
  if (silence.durationUs <= 0) return segments;
  return [...part(segments, 0, fromUs), silence, ...part(segments, toUs, endUs)];
}

/** What lies within `[fromUs, toUs)`. A segment that is not cut stays the very object, so its instants cannot move. */
function part(segments: readonly Segment[], fromUs: number, toUs: number): Segment[] {
  const found: Segment[] = [];
  let atUs = 0;
  for (const segment of segments) {
    const { durationUs, startRate, endRate } = segment;
    const first = Math.max(0, fromUs - atUs);
    const last = Math.min(durationUs, toUs - atUs);
    atUs += durationUs;
    if (last <= first) continue;
    const rateAt = (us: number): number => startRate + ((endRate - startRate) * us) / durationUs;
    const isWhole = first === 0 && last === durationUs;
    found.push(isWhole ? segment : { durationUs: last - first, startRate: rateAt(first), endRate: rateAt(last) });
  }
  return found;
}

function lengthUs(segments: readonly Segment[]): number {
  return segments.reduce((sum, { durationUs }) => sum + durationUs, 0);
}
