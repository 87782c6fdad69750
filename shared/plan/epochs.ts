import { maxVusOf, type ClosedLoad, type Load, type PerVuIterationsLoad } from './plan.ts';

/** A span of run time with one fixed ownership. It ends where the next epoch begins. */
export interface Epoch {
  /** 0, 1, 2, … without holes. */
  readonly number: number;
  /** Run-relative instant at which it takes force, microseconds. Epoch 0 begins at 0. */
  readonly fromUs: number;
  /** Agent ids; an agent of weight w appears w times, spread evenly. Index n belongs to `owners[n mod owners.length]`. */
  readonly owners: readonly string[];
}

/** Owners in which each agent appears `weight` times, as evenly spread as whole numbers allow.
 *  Smooth weighted round-robin: every turn each agent gains its weight, the richest is picked and pays the total. */
export function spreadOwners(agents: readonly { readonly id: string; readonly weight: number }[]): string[] {
  const total = agents.reduce((sum, agent) => sum + agent.weight, 0);
  const credit = agents.map(() => 0);
  const owners: string[] = [];
  for (let turn = 0; turn < total; turn++) {
    let richest = 0;
    agents.forEach((agent, i) => {
      credit[i] = (credit[i] ?? 0) + agent.weight;
      if ((credit[i] ?? 0) > (credit[richest] ?? 0)) richest = i;
    });
    credit[richest] = (credit[richest] ?? 0) - total;
    owners.push(agents[richest]?.id ?? '');
  }
  return owners;
}

/** The owners a scenario uses: an agent without a single VU could never fire, so with fewer VUs than owners the first `maxVus` own all. */
export function scenarioOwners(epoch: Epoch, load: Load): readonly string[] {
  const vus = maxVusOf(load);
  return vus < epoch.owners.length ? epoch.owners.slice(0, vus) : epoch.owners;
}

/** Global numbers of the VUs (0 .. vus-1) that `agent` owns, ascending. */
export function ownedVus(epoch: Epoch, load: Load, agent: string): number[] {
  const owners = scenarioOwners(epoch, load);
  const owned: number[] = [];
  for (let vu = 0; vu < maxVusOf(load); vu++) if (owners[vu % owners.length] === agent) owned.push(vu);
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
