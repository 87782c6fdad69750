import { hash32, uniform } from '../../shared/plan/random.ts';

/** Random choices, the same for the same seed: what a campaign did can be done again. */
export class Draw {
  private readonly seed: number;
  private drawn = 0;

  constructor(seed: number) {
    this.seed = seed >>> 0;
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + uniform(this.seed, this.drawn++) * (to - from);
  }

  /** A whole number, both ends included. */
  whole(from: number, to: number): number {
    return Math.floor(this.between(from, to + 1));
  }

  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.whole(0, choices.length - 1)];
    if (choice === undefined) throw new RangeError('nothing to choose from');
    return choice;
  }

  /** Another sequence of its own, so that more or fewer draws there change nothing here. */
  fork(number: number): Draw {
    return new Draw(hash32(this.seed, 1_000_003 + number));
  }
}
