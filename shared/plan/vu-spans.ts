import { pauses, type Span } from './amended-load.ts';
import { scenarioEpochs, type Epoch } from './epochs.ts';
import { endUs, type ClosedLoad, type PlannedScenario } from './plan.ts';
import { presences } from './vu-ramp.ts';

/** A span of run time in which one agent keeps one VU at work. */
export interface VuSpan extends Span {
  readonly vu: number;
  /** The epoch from which on, without a break, the VU has been this agent's: the VU of another epoch is another incarnation. */
  readonly incarnation: number;
  /** VUs of the whole cluster in that epoch. */
  readonly vus: number;
  /** At its end the plan has fewer VUs; else the VU is only paused, or another agent's from there on. */
  readonly isRampDown: boolean;
}

type Closed = PlannedScenario & { readonly load: ClosedLoad };

/** When `agent` keeps which VUs of a closed load at work, under the epochs and their amendments, in no order. A VU whose owner stays the
 *  same through an epoch has one span through it. Spans of one VU are disjoint over all agents, and together they are the plan. */
export function vuSpans(scenario: Closed, epochs: readonly Epoch[], agent: string): VuSpan[] {
  const seen = scenarioEpochs(scenario, epochs);
  const silent = pauses(epochs);
  const most = Math.max(0, ...seen.map(({ vus }) => vus));
  const found: VuSpan[] = [];
  for (let vu = 0; vu < most; vu++) {
    let held: { readonly fromUs: number; readonly incarnation: number; readonly vus: number } | undefined;
    let planned: { readonly wanted: readonly Span[]; readonly ends: ReadonlySet<number> } | undefined;
    const release = (toUs: number): void => {
      if (held === undefined) return;
      planned ??= plannedSpans(scenario, epochs, vu, silent);
      const { incarnation, vus } = held;
      for (const span of within(planned.wanted, held.fromUs, toUs))
        found.push({ ...span, vu, incarnation, vus, isRampDown: planned.ends.has(span.toUs) });
      held = undefined;
    };
    for (const { number, fromUs, owners, vus } of seen) {
      const isOwn = vu < vus && owners[vu % owners.length] === agent;
      if (isOwn) held ??= { fromUs: number === 0 ? -Infinity : fromUs, incarnation: number, vus };
      else release(fromUs);
    }
    release(Infinity);
  }
  return found;
}

/** When VU `vu` is at work, whoever owns it, and where the plan alone ends that. */
function plannedSpans(scenario: Closed, epochs: readonly Epoch[], vu: number, silent: readonly Span[]) {
  const wanted = wantedSpans(scenario, epochs, vu);
  return { wanted: without(wanted, silent), ends: new Set(wanted.map(({ toUs }) => toUs)) };
}

/** When the plan wants VU `vu`. */
function wantedSpans({ name, startUs, load, ...rest }: Closed, epochs: readonly Epoch[], vu: number): Span[] {
  const untilUs = endUs({ name, startUs, load, ...rest });
  let spans: Span[] = plainSpans(load, vu).map((span) => ({ fromUs: span.fromUs + startUs, toUs: span.toUs + startUs }));
  for (const { fromUs, amendments = [] } of epochs) {
    for (const amendment of amendments) {
      if (amendment.kind !== 'vus' || amendment.scenario !== name || fromUs >= untilUs) continue;
      const earlier = within(spans, -Infinity, fromUs);
      const last = earlier.at(-1);
      const sinceUs = last?.toUs === fromUs ? last.fromUs : Math.max(startUs, fromUs);
      spans = vu < amendment.vus ? [...earlier.filter((span) => span.toUs !== fromUs), { fromUs: sinceUs, toUs: Infinity }] : earlier;
    }
  }
  return spans;
}

/** Relative to the scenario's zero. */
function plainSpans(load: ClosedLoad, vu: number): readonly Span[] {
  if (load.kind === 'ramping-vus') return presences(load, vu);
  return vu < load.vus ? [{ fromUs: 0, toUs: Infinity }] : [];
}

function within(spans: readonly Span[], fromUs: number, toUs: number): Span[] {
  return spans
    .map((span) => ({ fromUs: Math.max(span.fromUs, fromUs), toUs: Math.min(span.toUs, toUs) }))
    .filter((span) => span.toUs > span.fromUs);
}

function without(spans: readonly Span[], gaps: readonly Span[]): Span[] {
  return gaps.reduce<Span[]>((left, gap) => [...within(left, -Infinity, gap.fromUs), ...within(left, gap.toUs, Infinity)], [...spans]);
}
