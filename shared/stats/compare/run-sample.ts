import type { Histogram } from '../histogram.ts';
import { addSparse, NO_COUNTS, sparseOf, type SparseCounts } from './sparse-counts.ts';

/** What a comparison knows of one run: its time cut into slices of equal length, and in each slice what every step measured. */
export interface RunSample {
  /** Length of each slice; the last one may be shorter. */
  readonly lengthsUs: Float64Array;
  readonly steps: ReadonlyMap<string, StepSlices>;
  /** False where nobody recorded which requests failed; absent: somebody did. */
  readonly areFailuresKnown?: boolean;
}

export interface StepSlices {
  /** Latencies of requests that succeeded, by slice. */
  readonly succeeded: readonly SparseCounts[];
  /** Requests that failed, by slice. */
  readonly failed: Float64Array;
}

/** What one step measured in one interval. */
export interface Observation {
  readonly step: string;
  /** On any scale, as long as all observations of a run are on the same. */
  readonly startUs: number;
  readonly lengthUs: number;
  readonly succeeded?: Histogram;
  readonly failed?: number;
}

/** Slices of one run. Past it neighbours are added together, two by two: blocks get coarser, quantiles stay exact. */
const SLICES_MAX = 512;
/** The length of a slice when a log does not say how long its intervals are. */
const DEFAULT_SLICE_US = 1_000_000;

/** Collects the intervals of a run, of any length, in bounded memory. A slice is an interval, or several neighbours added together. Time in
 *  which nothing was measured is kept as empty slices: a stall is part of the run. */
export class RunSampler {
  private originUs: number | undefined;
  private sliceUs = DEFAULT_SLICE_US;
  private endUs = 0;
  private slices = 0;
  private readonly steps = new Map<string, { succeeded: SparseCounts[]; failed: number[] }>();

  add({ step, startUs, lengthUs, succeeded, failed = 0 }: Observation): void {
    if (this.originUs === undefined) {
      this.originUs = startUs;
      if (lengthUs > 0) this.sliceUs = lengthUs;
    }
    const index = this.sliceAt(startUs);
    this.endUs = Math.max(this.endUs, startUs + lengthUs - this.originUs);
    this.slices = Math.max(this.slices, index + 1);
    let known = this.steps.get(step);
    if (known === undefined) {
      known = { succeeded: [], failed: [] };
      this.steps.set(step, known);
    }
    if (succeeded !== undefined) known.succeeded[index] = addSparse(known.succeeded[index] ?? NO_COUNTS, sparseOf(succeeded));
    if (failed > 0) known.failed[index] = (known.failed[index] ?? 0) + failed;
  }

  /** `areFailuresKnown`: false of results that do not say which requests failed. */
  finish(areFailuresKnown = true): RunSample {
    const { slices, sliceUs } = this;
    const lengthsUs = new Float64Array(slices).fill(sliceUs);
    if (slices > 0) lengthsUs[slices - 1] = Math.min(sliceUs, Math.max(1, this.endUs - (slices - 1) * sliceUs));
    const steps = new Map<string, StepSlices>();
    for (const [step, { succeeded, failed }] of this.steps) {
      steps.set(step, {
        succeeded: Array.from({ length: slices }, (_, i) => succeeded[i] ?? NO_COUNTS),
        failed: Float64Array.from({ length: slices }, (_, i) => failed[i] ?? 0),
      });
    }
    return { lengthsUs, steps, areFailuresKnown };
  }

  private sliceAt(startUs: number): number {
    // Starts are rounded to microseconds; half of one must not move an interval into the slice before its own.
    const offsetUs = Math.max(0, startUs - (this.originUs ?? startUs)) + 0.5;
    while (Math.floor(offsetUs / this.sliceUs) >= SLICES_MAX) this.halve();
    return Math.floor(offsetUs / this.sliceUs);
  }

  private halve(): void {
    this.sliceUs *= 2;
    this.slices = Math.ceil(this.slices / 2);
    for (const known of this.steps.values()) {
      known.succeeded = Array.from({ length: this.slices }, (_, i) =>
        addSparse(known.succeeded[2 * i] ?? NO_COUNTS, known.succeeded[2 * i + 1] ?? NO_COUNTS),
      );
      known.failed = Array.from({ length: this.slices }, (_, i) => (known.failed[2 * i] ?? 0) + (known.failed[2 * i + 1] ?? 0));
    }
  }
}
