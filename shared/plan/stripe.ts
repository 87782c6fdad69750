import { scenarioEpochs, type Epoch } from './epochs.ts';
import type { PlannedScenario } from './plan.ts';
import type { Schedule } from './schedule.ts';

/** One agent's share of a schedule under a list of epochs: ascending indices, each with its instant. `schedule` is the one that the
 *  epochs' amendments have left.
 *  Law: over all agents, the stripes of any epochs are disjoint and their union is the schedule. */
export class Stripe {
  /** The next owned index, or -1 when the stripe is done. Valid after construction and after every move. */
  index = -1;
  /** Its run-relative instant, microseconds; `Infinity` when the stripe is done. */
  instantUs = Infinity;

  private readonly schedule: Schedule;
  private readonly shares: readonly Share[];
  private at = 0;
  private share: Share = NOTHING;
  private offsetAt = 0;
  private round = 0;

  constructor(scenario: PlannedScenario, schedule: Schedule, epochs: readonly Epoch[], agent: string) {
    this.schedule = schedule;
    const seen = scenarioEpochs(scenario, epochs);
    const bounds = seen.map(({ fromUs }, k) => (k === 0 ? 0 : schedule.countBefore(fromUs)));
    this.shares = seen.map(({ owners }, k) => ({
      from: bounds[k] ?? 0,
      to: bounds[k + 1] ?? schedule.count,
      rounds: owners.length,
      offsets: owners.flatMap((owner, position) => (owner === agent ? [position] : [])),
    }));
    this.skipTo(0);
  }

  /** Moves to the next owned index. A stripe that is done stays so. */
  advance(): void {
    if (this.index < 0) return;
    this.step();
    this.settle();
  }

  /** Moves to the first owned index that is `index` or a later one, forward or back. */
  skipTo(index: number): void {
    this.at = 0;
    while (this.at + 1 < this.shares.length && (this.shares[this.at]?.to ?? 0) <= index) this.at++;
    this.enter(index);
    this.settle();
  }

  owns(index: number): boolean {
    const share = this.shares.find(({ from, to }) => index >= from && index < to);
    return share?.offsets.includes(index % share.rounds) === true;
  }

  /** How many indices of this agent have instants before `us`, from the first index of the run on. Closed form per epoch. */
  countBefore(us: number): number {
    const before = this.schedule.countBefore(us);
    return this.shares.reduce((count, share) => {
      const end = Math.min(share.to, before);
      return end > share.from ? count + ownedBefore(share, end) - ownedBefore(share, share.from) : count;
    }, 0);
  }

  /** To the first owned index of the epoch in hand from `index` on; past its end when there is none. */
  private enter(index: number): void {
    this.share = this.shares[this.at] ?? NOTHING;
    const { from, to, rounds, offsets } = this.share;
    if (offsets.length === 0) {
      this.index = to;
      return;
    }
    const first = Math.max(from, index);
    this.round = Math.floor(first / rounds) * rounds;
    this.offsetAt = 0;
    this.index = this.round + (offsets[0] ?? 0);
    while (this.index < first) this.step();
  }

  private step(): void {
    const { rounds, offsets } = this.share;
    this.offsetAt++;
    if (this.offsetAt === offsets.length) {
      this.offsetAt = 0;
      this.round += rounds;
    }
    this.index = this.round + (offsets[this.offsetAt] ?? 0);
  }

  private settle(): void {
    while (this.index >= this.share.to) {
      if (this.at + 1 >= this.shares.length) {
        this.index = -1;
        this.instantUs = Infinity;
        return;
      }
      this.at++;
      this.enter(0);
    }
    this.instantUs = this.schedule.instantUs(this.index);
  }
}

/** What an agent owns in one epoch: of the indices `[from, to)` those at `offsets` of every round. */
interface Share {
  readonly from: number;
  readonly to: number;
  readonly rounds: number;
  readonly offsets: readonly number[];
}

const NOTHING: Share = { from: 0, to: 0, rounds: 1, offsets: [] };

function ownedBefore({ rounds, offsets }: Share, before: number): number {
  const whole = Math.floor(before / rounds);
  const rest = before - whole * rounds;
  return offsets.reduce((count, offset) => count + whole + (offset < rest ? 1 : 0), 0);
}
