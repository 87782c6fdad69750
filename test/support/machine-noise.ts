import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Sleeps to one instant after another, a millisecond apart, and keeps how late each was noticed. A stall is weighed by its length: all
 *  the instants in it are late. Plain text, because a worker of TypeScript source has no loader of its own. */
const PROBE = `
const { parentPort, workerData } = require('node:worker_threads');
const words = new Int32Array(workerData);
const late = [];
let next = performance.now() + 1;
while (Atomics.load(words, 0) === 0) {
  Atomics.wait(words, 0, 0, Math.max(0, next - performance.now()));
  for (const now = performance.now(); next <= now; next++) late.push(now - next);
}
parentPort.postMessage(late);
`;

/** In a quiet second no instant is noticed later than this. */
const QUIET_MAX_MS = 2;

/** How late the scheduler let a thread go on that had nothing to do but to wake every millisecond: what no program on this machine could
 *  have done better at the time, and no part of what is being tested. */
export class MachineNoise {
  readonly #lateMs: readonly number[];

  constructor(lateMs: readonly number[]) {
    this.#lateMs = lateMs.toSorted((a, b) => a - b);
  }

  get maxMs(): number {
    return this.#lateMs.at(-1) ?? 0;
  }

  /** 99 of 100 waits were shorter, milliseconds. */
  get p99Ms(): number {
    return this.#quantileMs(0.99);
  }

  /** 99 of 100 sums of `waits` waits are shorter, milliseconds, whether the waits have to do with each other or not. A sum above n·x has
   *  a term above x, and of n terms one is above x at most n times as often as one alone is (Boole's inequality): so x is what a wait is
   *  above in one of 100·n cases. */
  sumP99Ms(waits: number): number {
    return waits * this.#quantileMs(1 - 0.01 / waits);
  }

  #quantileMs(share: number): number {
    return this.#lateMs[Math.floor(this.#lateMs.length * share)] ?? this.maxMs;
  }
}

/** What the machine did while `work` ran. */
export async function withNoise<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly noise: MachineNoise }> {
  const shared = new SharedArrayBuffer(4);
  const worker = new Worker(PROBE, { eval: true, workerData: shared });
  const said = once(worker, 'message') as Promise<[readonly number[]]>;
  try {
    const result = await work();
    Atomics.store(new Int32Array(shared), 0, 1);
    Atomics.notify(new Int32Array(shared), 0);
    const [lateMs] = await said;
    return { result, noise: new MachineNoise(lateMs) };
  } finally {
    await worker.terminate();
  }
}

/** Waits for a quiet second, but no longer than `secondsMax`. */
export async function quietSecond(secondsMax: number): Promise<void> {
  for (let left = secondsMax; left > 0; left--) {
    const { noise } = await withNoise(() => new Promise((done) => setTimeout(done, 1_000)));
    if (noise.maxMs < QUIET_MAX_MS) return;
  }
}
