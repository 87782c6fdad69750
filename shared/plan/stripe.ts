import { scenarioOwners, type Epoch } from './epochs.ts';
import type { PlannedScenario } from './plan.ts';
import type { Schedule } from './schedule.ts';

/** One agent's share of a schedule under a list of epochs: ascending indices, each with its instant.
 *  Law: over all agents, the stripes of any epochs are disjoint and their union is the schedule. */
export class Stripe {
  /** The next owned index, or -1 when the stripe is done. Valid after construction and after every `advance`. */
  index = -1;
  /** Its run-relative instant, microseconds; `Infinity` when the stripe is done. */
  instantUs = Infinity;

  private readonly scenario: PlannedScenario;
  private readonly schedule: Schedule;
  private readonly agent: string;
  private epochs: readonly Epoch[] = [];
  private epoch = 0;
  /** Indices of the epoch in hand: `[from, to)`. */
  private to = 0;
  private owners: readonly string[] = [];
  private offsets: readonly number[] = [];
  private offsetAt = 0;
  private round = 0;

  constructor(scenario: PlannedScenario, schedule: Schedule, epochs: readonly Epoch[], agent: string) {
    this.scenario = scenario;
    this.schedule = schedule;
    this.agent = agent;
    this.epochs = epochs;
    this.enter(0);
    this.settle();
  }

  /** Moves to the next owned index. A stripe that is done stays so. */
  advance(): void {
    if (this.index < 0) return;
    this.step();
    this.settle();
  }

  /** How many indices of this agent have instants before `us`, from the first index of the run on. Closed form per epoch. */
  countBefore(us: number): number {
    let count = 0;
    this.epochs.forEach((_, k) => {
      const [from, to] = this.range(k);
      const end = Math.min(to, this.schedule.countBefore(us));
      if (end > from) count += this.countOwned(k, end) - this.countOwned(k, from);
    });
    return count;
  }

  private countOwned(epochNumber: number, before: number): number {
    const epoch = this.epochs[epochNumber];
    if (epoch === undefined) return 0;
    const owners = scenarioOwners(epoch, this.scenario.load);
    if (owners.length === 0) return 0;
    const rounds = Math.floor(before / owners.length);
    const rest = before - rounds * owners.length;
    let count = 0;
    owners.forEach((owner, position) => {
      if (owner === this.agent) count += rounds + (position < rest ? 1 : 0);
    });
    return count;
  }

  private range(epochNumber: number): readonly [from: number, to: number] {
    const epoch = this.epochs[epochNumber];
    const next = this.epochs[epochNumber + 1];
    if (epoch === undefined) return [0, 0];
    return [
      epochNumber === 0 ? 0 : this.schedule.countBefore(epoch.fromUs),
      next === undefined ? this.schedule.count : this.schedule.countBefore(next.fromUs),
    ];
  }

  private enter(epochNumber: number): void {
    this.epoch = epochNumber;
    const epoch = this.epochs[epochNumber];
    if (epoch === undefined) return;
    const [from, to] = this.range(epochNumber);
    this.to = to;
    this.owners = scenarioOwners(epoch, this.scenario.load);
    this.offsets = this.owners.flatMap((owner, position) => (owner === this.agent ? [position] : []));
    if (this.offsets.length === 0) {
      this.index = this.to;
      return;
    }
    this.round = Math.floor(from / this.owners.length) * this.owners.length;
    this.offsetAt = 0;
    this.index = this.round + (this.offsets[0] ?? 0);
    while (this.index < from) this.step();
  }

  private step(): void {
    this.offsetAt++;
    if (this.offsetAt === this.offsets.length) {
      this.offsetAt = 0;
      this.round += this.owners.length;
    }
    this.index = this.round + (this.offsets[this.offsetAt] ?? 0);
  }

  private settle(): void {
    while (this.index >= this.to) {
      if (this.epoch + 1 >= this.epochs.length) {
        this.index = -1;
        this.instantUs = Infinity;
        return;
      }
      this.enter(this.epoch + 1);
    }
    this.instantUs = this.schedule.instantUs(this.index);
  }
}
