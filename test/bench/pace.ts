import type { TargetProcess } from '../support/target-process.ts';
import { median } from './machine.ts';
import type { Peer } from './peers/peer.ts';
import type { Cost } from './timed.ts';

/** A run at a constant rate, as the target saw it and as the peer told it. */
export interface Paced {
  readonly cost: Cost;
  readonly arrivedPerSecond: number;
  /** How far arrivals were from a perfect grid of the rate, laid where it fits best. */
  readonly errorP50Ms: number;
  readonly errorP99Ms: number;
  readonly reportedP99Ms: number;
  /** From the arrival of a request until its answer was in the kernel, by the target's own clock. */
  readonly trueP99Ms: number;
}

/** `undefined` for a peer that has no constant rate. */
export async function measurePace(peer: Peer, target: TargetProcess, rate: number, seconds: number): Promise<Paced | undefined> {
  await target.reset();
  const paced = await peer.pace?.(`${target.url}/`, rate, seconds);
  if (paced === undefined) return undefined;
  const { arrivals } = await target.log();
  const atUs = arrivals.map((arrival) => arrival.atUs).sort((a, b) => a - b);
  const errorsMs = gridErrorsMs(atUs, rate);
  const [firstUs = NaN, lastUs = NaN] = [atUs.at(0), atUs.at(-1)];
  return {
    cost: paced.cost,
    arrivedPerSecond: ((atUs.length - 1) / (lastUs - firstUs)) * 1e6,
    errorP50Ms: quantile(errorsMs, 0.5),
    errorP99Ms: quantile(errorsMs, 0.99),
    reportedP99Ms: paced.p99Ms,
    trueP99Ms: quantile(arrivals.map(({ serviceUs = NaN }) => serviceUs / 1000), 0.99), // prettier-ignore
  };
}

/** Arrival i is compared with i periods after the first; what is common to all of them, their median, is where the grid lies. */
function gridErrorsMs(atUs: readonly number[], rate: number): number[] {
  const offsetsMs = atUs.map((us, i) => (us - (atUs[0] ?? 0)) / 1000 - (i * 1000) / rate);
  const middleMs = median(offsetsMs);
  return offsetsMs.map((ms) => Math.abs(ms - middleMs));
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}
