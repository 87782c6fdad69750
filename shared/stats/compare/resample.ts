/** A stream of uniform draws in [0, 1) from a 32-bit seed: mulberry32 (Ettinger, public domain), ample for resampling. */
export function createDraws(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** The slices of one run among all slices of its side: `[from, to)`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Fills `weights` with how often each slice is drawn when every run is rebuilt from blocks of `length` neighbouring slices, drawn with
 *  replacement from the run closed to a circle (Politis and Romano 1992). Every run keeps its own number of slices. */
export function drawBlocks(weights: Uint16Array, runs: readonly Span[], length: number, draw: () => number): void {
  weights.fill(0);
  for (const { from, to } of runs) {
    const slices = to - from;
    for (let filled = 0; filled < slices;) {
      let slice = Math.floor(draw() * slices);
      for (let i = 0; i < length && filled < slices; i++, filled++) {
        weights[from + slice]!++;
        slice = slice + 1 === slices ? 0 : slice + 1;
      }
    }
  }
}

/** Fills `weights` with how often each slice is drawn when as many whole runs as there are get drawn with replacement. */
export function drawRuns(weights: Uint16Array, runs: readonly Span[], draw: () => number): void {
  weights.fill(0);
  runs.forEach(() => {
    const { from, to } = runs[Math.floor(draw() * runs.length)]!;
    for (let slice = from; slice < to; slice++) weights[slice]!++;
  });
}
