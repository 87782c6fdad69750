import { setImmediate as afterPolling } from 'node:timers/promises';
import { assert, type Clock } from '../../../shared/base/index.ts';

/** Something with a deadline. The fields belong to `Deadlines`: links of a list, so that waiting allocates nothing. */
export interface Waiter {
  deadlineUs: number;
  /** -1 while not waiting. */
  slot: number;
  next: Waiter | undefined;
  previous: Waiter | undefined;
  expire(nowUs: number): void;
}

/** How late a deadline may be noticed, plus what the timer itself is late. */
const TICK_MS = 8;
const TICK_US = TICK_MS * 1000;
/** A power of two. Deadlines a whole turn (4 s) ahead share a slot with nearer ones and are passed over until their turn. */
const SLOTS = 512;

/** Every request's timeout on one coarse tick (a timing wheel; Varghese and Lauck 1987, scheme 6), since a timer per request would cost
 *  more than reading its response. Expires nothing early, and nothing later than a tick and the loop's own delay.
 *  Ticks only while something waits. */
export class Deadlines {
  private readonly clock: Clock;
  private readonly slots: (Waiter | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  private readonly closing = new AbortController();
  private waitingCount = 0;
  private sweptTick = 0;
  private ticking: Promise<void> | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(waiter: Waiter, deadlineUs: number): void {
    // Linked twice, it would tear others out of their list, and their deadlines would never come.
    assert(waiter.slot === -1, 'a waiter has one deadline at a time');
    const slot = Math.floor(deadlineUs / TICK_US) & (SLOTS - 1);
    const next = this.slots[slot];
    waiter.deadlineUs = deadlineUs;
    waiter.slot = slot;
    waiter.next = next;
    waiter.previous = undefined;
    if (next !== undefined) next.previous = waiter;
    this.slots[slot] = waiter;
    this.waitingCount++;
    this.ticking ??= this.tick();
  }

  /** Does nothing when `waiter` is not waiting. */
  remove(waiter: Waiter): void {
    const { slot, next, previous } = waiter;
    if (slot === -1) return;
    if (previous === undefined) this.slots[slot] = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    waiter.slot = -1;
    waiter.next = undefined;
    waiter.previous = undefined;
    this.waitingCount--;
  }

  /** Resolves when the tick has stopped. What still waits will not expire. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.ticking;
  }

  private async tick(): Promise<void> {
    const { signal } = this.closing;
    this.sweptTick = Math.floor(this.clock.nowUs() / TICK_US);
    while (this.waitingCount > 0 && !signal.aborted) {
      await this.clock.sleep(TICK_MS, signal);
      // After a stall of this process, responses lie in the kernel that came in time: they are read first.
      await afterPolling();
      this.sweep(this.clock.nowUs());
    }
    this.ticking = undefined;
  }

  private sweep(nowUs: number): void {
    const tick = Math.floor(nowUs / TICK_US);
    // The tick in hand is swept again next time, for it is not over.
    const from = Math.max(this.sweptTick, tick - SLOTS + 1);
    this.sweptTick = tick;
    const due: Waiter[] = [];
    for (let each = from; each <= tick; each++) {
      for (let waiter = this.slots[each & (SLOTS - 1)]; waiter !== undefined; waiter = waiter.next) {
        if (waiter.deadlineUs <= nowUs) due.push(waiter);
      }
    }
    // Expiring runs the caller's code, which adds and removes waiters, so it happens when no list is being walked.
    for (const waiter of due) {
      if (waiter.slot === -1 || waiter.deadlineUs > nowUs) continue;
      this.remove(waiter);
      waiter.expire(nowUs);
    }
  }
}
