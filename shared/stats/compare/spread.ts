import { correlationFactors } from './correlation.ts';
import { MEASURES, toScale, type Measured } from './measures.ts';
import type { Draws, Side } from './side.ts';

/** How one side's measures scatter, on the scale of `toScale`, in the order of `MEASURES`. */
export interface Spread {
  readonly values: Float64Array;
  /** Of time within the runs, by blocks. */
  readonly blockVariances: Float64Array;
  /** Of whole runs, which holds that within them too; `undefined` when there is one run only. */
  readonly runVariances: Float64Array | undefined;
  /** Replicate by replicate, all measures of one behind each other: how far it lies from the value. */
  readonly deviations: Float64Array;
}

const WIDTH = MEASURES.length;

export function spreadOf(side: Side, measured: Measured, draws: Draws): Spread {
  const ones = new Uint16Array(side.lengthsUs.length).fill(1);
  const values = new Float64Array(WIDTH);
  measured.evaluate(ones, values);
  const replicates = draws.ofBlocks.length;
  const deviations = replicate(measured, values, draws.ofBlocks);
  // A variance about the mean of n independent parts is too small by (n - 1) / n on average.
  const blockVariances = variancesOf(deviations, replicates, draws.blocks / Math.max(1, draws.blocks - side.runs.length));
  correlationFactors(measured.linearForms(), side.runs, draws.blockLength).forEach((factor, i) => {
    blockVariances[i]! *= factor;
  });
  const runs = side.runs.length;
  if (draws.ofRuns.length === 0) return { values, blockVariances, runVariances: undefined, deviations };
  const ofRuns = replicate(measured, values, draws.ofRuns);
  const runVariances = variancesOf(ofRuns, replicates, runs / (runs - 1));
  // Runs, and then blocks within runs: the sum of both draws. It shows how measures move together, which few runs alone would not.
  for (let i = 0; i < deviations.length; i++) deviations[i]! += ofRuns[i]!;
  return { values, blockVariances, runVariances, deviations };
}

function replicate(measured: Measured, values: Float64Array, draws: readonly Uint16Array[]): Float64Array {
  const deviations = new Float64Array(draws.length * WIDTH);
  const one = new Float64Array(WIDTH);
  draws.forEach((weights, replicate) => {
    measured.evaluate(weights, one);
    MEASURES.forEach((measure, i) => {
      const deviation = toScale(measure, one[i]!) - toScale(measure, values[i]!);
      // A draw without any sample says nothing of how far off one with samples would be.
      deviations[replicate * WIDTH + i] = Number.isFinite(deviation) ? deviation : 0;
    });
  });
  return deviations;
}

function variancesOf(deviations: Float64Array, replicates: number, factor: number): Float64Array {
  return Float64Array.from(MEASURES, (_, i) => {
    let sum = 0;
    let squares = 0;
    for (let at = i; at < deviations.length; at += WIDTH) {
      sum += deviations[at]!;
      squares += deviations[at]! ** 2;
    }
    return (Math.max(0, squares / replicates - (sum / replicates) ** 2) * factor * replicates) / Math.max(1, replicates - 1);
  });
}
