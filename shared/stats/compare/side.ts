import { circularBlockLength } from './block-length.ts';
import { MEASURES, type Measure, type Measured } from './measures.ts';
import { createDraws, drawBlocks, drawRuns, type Span } from './resample.ts';
import type { RunSample, StepSlices } from './run-sample.ts';
import { addSparse, NO_COUNTS, type SparseCounts } from './sparse-counts.ts';

/** Slices of all runs of one side. Past it every run's neighbours are added together: quantiles stay exact, blocks get coarser. */
const SLICES_MAX = 1_024;
/** A run keeps this many slices where it has them, however many runs there are. */
const SLICES_OF_A_RUN_MIN = 24;

/** One side of a comparison: its runs behind each other, cut into slices. */
export interface Side {
  readonly runs: readonly Span[];
  readonly lengthsUs: Float64Array;
  /** 1 where a slice counts for throughput: the first and the last one of a run are only partly under load. */
  readonly isWhole: Uint8Array;
  readonly steps: ReadonlyMap<string, StepSlices>;
  /** Of every run. */
  readonly areFailuresKnown: boolean;
}

export function joinRuns(samples: readonly RunSample[]): Side {
  const share = Math.max(SLICES_OF_A_RUN_MIN, Math.floor(SLICES_MAX / Math.max(1, samples.length)));
  const coarse = samples.map((sample) => coarsen(sample, share));
  const runs: Span[] = [];
  for (const { lengthsUs } of coarse) {
    const from = runs.at(-1)?.to ?? 0;
    runs.push({ from, to: from + lengthsUs.length });
  }
  const slices = runs.at(-1)?.to ?? 0;
  const names = new Set(coarse.flatMap(({ steps }) => [...steps.keys()]));
  const steps = new Map<string, StepSlices>();
  for (const name of names) {
    const parts = coarse.map((run) => run.steps.get(name) ?? emptyStep(run.lengthsUs.length));
    steps.set(name, {
      succeeded: parts.flatMap(({ succeeded }) => succeeded),
      failed: Float64Array.from(parts.flatMap(({ failed }) => [...failed])),
    });
  }
  const isWhole = new Uint8Array(slices).fill(1);
  for (const { from, to } of runs) {
    if (to - from < 4) continue;
    isWhole[from] = 0;
    isWhole[to - 1] = 0;
  }
  const areFailuresKnown = samples.every((sample) => sample.areFailuresKnown !== false);
  return { runs, lengthsUs: Float64Array.from(coarse.flatMap((run) => [...run.lengthsUs])), isWhole, steps, areFailuresKnown };
}

/** All steps of a side as one. */
export function totalOf({ steps, lengthsUs }: Side): StepSlices {
  const succeeded = Array.from({ length: lengthsUs.length }, () => NO_COUNTS);
  const failed = new Float64Array(lengthsUs.length);
  for (const step of steps.values()) {
    for (let slice = 0; slice < failed.length; slice++) {
      succeeded[slice] = addSparse(succeeded[slice]!, step.succeeded[slice]!);
      failed[slice]! += step.failed[slice]!;
    }
  }
  return { succeeded, failed };
}

/** Resampled runs of one side, as weights of its slices. All steps and all metrics are computed from the same draws, which is what keeps
 *  their correlation. */
export interface Draws {
  /** In slices. */
  readonly blockLength: number;
  /** Slices of a run divided by the length of a block, summed over the runs. */
  readonly blocks: number;
  readonly ofBlocks: readonly Uint16Array[];
  /** Empty when there is one run only: then nothing is known of how runs differ. */
  readonly ofRuns: readonly Uint16Array[];
}

/** A block is at least this part of its run, so that correlation which is too weak to be noticed is still covered, … */
const BLOCKS_OF_A_RUN_MAX = 8;
/** … or this long: a long run shows also weak correlation, and with more blocks its variance is better known. */
const LEAST_BLOCK_SLICES_MAX = 12;
/** And at most this part, so that there is something to draw from. */
const BLOCKS_OF_A_RUN_MIN = 5;

export function drawSide(side: Side, total: Measured, replicates: number, seed: number): Draws {
  const forms = total.linearForms();
  const lengths = side.runs.map((run) => runBlockLength(forms, run));
  const blockLength = Math.ceil(medianOf(lengths));
  const draw = createDraws(seed);
  const weights = (): Uint16Array => new Uint16Array(side.lengthsUs.length);
  const repeat = (times: number, fill: (into: Uint16Array) => void): Uint16Array[] =>
    Array.from({ length: times }, () => {
      const into = weights();
      fill(into);
      return into;
    });
  return {
    blockLength,
    blocks: side.runs.reduce((sum, { from, to }) => sum + (to - from) / blockLength, 0),
    ofBlocks: repeat(replicates, (into) => {
      drawBlocks(into, side.runs, blockLength, draw);
    }),
    ofRuns: repeat(side.runs.length > 1 ? replicates : 0, (into) => {
      drawRuns(into, side.runs, draw);
    }),
  };
}

/** Measures whose correlation sets the length of blocks: those with the least noise of their own. The longest of all eight would be too
 *  long by chance alone. */
const SET_THE_LENGTH: readonly Measure[] = ['p50', 'p90'];

function runBlockLength(forms: readonly Float64Array[], { from, to }: Span): number {
  const slices = to - from;
  const wanted = SET_THE_LENGTH.map((measure) => circularBlockLength(forms[MEASURES.indexOf(measure)]!.subarray(from, to)));
  const least = Math.min(slices / BLOCKS_OF_A_RUN_MAX, LEAST_BLOCK_SLICES_MAX);
  return Math.max(1, Math.min(Math.max(...wanted, least), slices / BLOCKS_OF_A_RUN_MIN));
}

function coarsen(sample: RunSample, slicesMax: number): RunSample {
  const size = Math.ceil(sample.lengthsUs.length / slicesMax);
  if (size <= 1) return sample;
  const chunks = chunked([...sample.lengthsUs], size);
  const steps = new Map<string, StepSlices>();
  for (const [name, { succeeded, failed }] of sample.steps) {
    steps.set(name, {
      succeeded: chunked(succeeded, size).map((chunk) => chunk.reduce<SparseCounts>(addSparse, NO_COUNTS)),
      failed: Float64Array.from(chunked([...failed], size), (chunk) => sumOf(chunk)),
    });
  }
  return { lengthsUs: Float64Array.from(chunks, (chunk) => sumOf(chunk)), steps };
}

function chunked<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

function emptyStep(slices: number): StepSlices {
  return { succeeded: Array.from({ length: slices }, () => NO_COUNTS), failed: new Float64Array(slices) };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 1;
}
