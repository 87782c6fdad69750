import { maxVusOf, type ClosedLoad, type Load, type PerVuIterationsLoad, type PlannedScenario } from './plan.ts';

/** A span of run time with one fixed ownership. It ends where the next epoch begins. */
export interface Epoch {
  /** 0, 1, 2, … without holes. */
  readonly number: number;
  /** Run-relative instant at which it takes force, whole microseconds, never before the epoch before it. Epoch 0 begins at 0. */
  readonly fromUs: number;
  /** Agent ids; an agent appears as often as it weighs, in lowest terms, spread evenly. Index n belongs to `owners[n mod owners.length]`.
   *  An agent is told of its own slots alone: there `SOMEBODY_ELSE` has the others. */
  readonly owners: readonly string[];
  /** What changes of the load at `fromUs`; absent: nothing. */
  readonly amendments?: readonly Amendment[];
}

/** A change of the load in mid-run. A rate or a number of VUs holds to the scenario's end, in place of whatever the plan had there. */
export type Amendment =
  | {
      readonly kind: 'rate';
      readonly scenario: string;
      readonly ratePerSecond: number;
      /** Of the whole cluster, from here on. */
      readonly maxVus: number;
    }
  | { readonly kind: 'vus'; readonly scenario: string; readonly vus: number }
  /** Nothing is planned until the next `resume`; time goes on. */
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' };

/** An epoch as one scenario sees it. */
export interface ScenarioEpoch {
  readonly number: number;
  readonly fromUs: number;
  readonly owners: readonly string[];
  /** VUs that the scenario may use in it, over the whole cluster. */
  readonly vus: number;
}

/** Stands for every other owner in the epochs that an agent holds. No id is empty. */
export const SOMEBODY_ELSE = '';

/** Owners past this many are spread anew instead of handed over slot by slot: the coordinator keeps the list of every epoch. */
const OWNERS_MAX = 4_096;

/** Owners in which each agent appears as often as it weighs, in lowest terms, as evenly spread as whole numbers allow.
 *  Smooth weighted round-robin: every turn each agent gains its weight, the richest is picked (of several the first) and pays the total.
 *  Agents of one weight are picked in turn, so only one of each weight has to be looked at: all of them would take a time that grows with
 *  the square of a fleet's size. */
export function spreadOwners(agents: readonly { readonly id: string; readonly weight: number }[]): string[] {
  const unit = agents.reduce((divisor, { weight }) => greatestDivisor(weight, divisor), 0);
  const total = agents.reduce((sum, { weight }) => sum + weight / unit, 0);
  const classes = new Map<number, WeightClass>();
  agents.forEach(({ weight }, place) => {
    const known = classes.get(weight);
    if (known === undefined) classes.set(weight, { gain: weight / unit, places: [place], picks: 0 });
    else known.places.push(place);
  });
  const owners: string[] = [];
  for (let turn = 1; turn <= total; turn++) {
    let richest: WeightClass | undefined;
    let most = -Infinity;
    let first = Infinity;
    for (const one of classes.values()) {
      const { gain, places, picks } = one;
      const place = places[picks % places.length] ?? NaN;
      const credit = turn * gain - Math.floor(picks / places.length) * total;
      if (credit < most || (credit === most && place > first)) continue;
      [richest, most, first] = [one, credit, place];
    }
    if (richest !== undefined) richest.picks++;
    owners.push(agents[first]?.id ?? '');
  }
  return owners;
}

/** Agents of one weight. */
interface WeightClass {
  /** What each of them gains in a turn. */
  readonly gain: number;
  /** Where they stand among all agents, ascending. */
  readonly places: number[];
  /** How often one of them was picked. */
  picks: number;
}

/** The owners after some have gone: those who stay keep every slot they have, so their VUs and connections stay too, and the slots of the
 *  others go to them in turn, by weight. The list is repeated as often as it takes for that to come out even; where that would make it
 *  too long, owners are spread anew. */
export function handOverOwners(owners: readonly string[], staying: readonly { readonly id: string; readonly weight: number }[]): string[] {
  const ids = new Set(staying.map(({ id }) => id));
  const heirs = spreadOwners(staying);
  const vacant = owners.filter((owner) => !ids.has(owner)).length;
  if (vacant === 0 || heirs.length === 0) return [...owners].filter((owner) => ids.has(owner));
  const had = new Set(owners);
  const times = heirs.length / greatestDivisor(vacant, heirs.length);
  if (owners.length * times > OWNERS_MAX || staying.some(({ id }) => !had.has(id))) return heirs;
  let next = 0;
  return Array.from({ length: owners.length * times }, (_, slot) => {
    const owner = owners[slot % owners.length] ?? '';
    return ids.has(owner) ? owner : (heirs[next++ % heirs.length] ?? '');
  });
}

/** The slots of each owner, ascending. */
export function slotsByOwner(owners: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const slots = new Map<string, number[]>();
  owners.forEach((owner, slot) => {
    const own = slots.get(owner);
    if (own === undefined) slots.set(owner, [slot]);
    else own.push(slot);
  });
  return slots;
}

/** What the epochs mean for one scenario. An agent without a single VU could never fire, so with fewer VUs than owners the first `vus`
 *  owners own all. */
export function scenarioEpochs({ name, load }: PlannedScenario, epochs: readonly Epoch[]): ScenarioEpoch[] {
  let vus = maxVusOf(load);
  return epochs.map(({ number, fromUs, owners, amendments = [] }) => {
    for (const amendment of amendments) {
      if (amendment.kind === 'rate' && amendment.scenario === name) vus = amendment.maxVus;
      if (amendment.kind === 'vus' && amendment.scenario === name) vus = amendment.vus;
    }
    return { number, fromUs, owners: vus < owners.length ? owners.slice(0, vus) : owners, vus };
  });
}

/** The owners a scenario uses in an epoch that does not amend it. */
export function scenarioOwners(epoch: Epoch, load: Load): readonly string[] {
  const vus = maxVusOf(load);
  return vus < epoch.owners.length ? epoch.owners.slice(0, vus) : epoch.owners;
}

/** Global numbers of the VUs (0 .. vus-1) that `agent` owns, ascending. */
export function ownedVus(epoch: Epoch, load: Load, agent: string): number[] {
  return vusOwnedIn({ owners: scenarioOwners(epoch, load), vus: maxVusOf(load) }, agent);
}

export function vusOwnedIn({ owners, vus }: Pick<ScenarioEpoch, 'owners' | 'vus'>, agent: string): number[] {
  const owned: number[] = [];
  for (let vu = 0; vu < vus; vu++) if (owners[vu % owners.length] === agent) owned.push(vu);
  return owned;
}

/** How many of a closed load's planned iterations `agent` owns; `undefined` where iterations are not planned. Shared iteration n belongs
 *  to `owners[n mod length]` like an arrival, so over all agents the quotas add up to the whole. */
export function ownedIterations(epoch: Epoch, load: ClosedLoad, agent: string): number | undefined {
  switch (load.kind) {
    case 'constant-vus':
    case 'ramping-vus':
      return undefined;
    case 'per-vu-iterations':
      return ownedVus(epoch, load, agent).reduce((sum, vu) => sum + roundsOf(load, vu), 0);
    case 'shared-iterations': {
      const owners = scenarioOwners(epoch, load);
      const rounds = Math.floor(load.iterations / owners.length);
      const rest = load.iterations - rounds * owners.length;
      return owners.reduce((sum, owner, position) => sum + (owner === agent ? rounds + (position < rest ? 1 : 0) : 0), 0);
    }
  }
}

/** Iterations that VU `vu` runs; its k-th has index k·vus + vu. */
function roundsOf({ vus, iterations, indexLimit }: PerVuIterationsLoad, vu: number): number {
  return indexLimit === undefined ? iterations : Math.min(iterations, Math.max(0, Math.ceil((indexLimit - vu) / vus)));
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
