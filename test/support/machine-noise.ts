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

/** How late the scheduler let a thread go on that had nothing to do but to wake every millisecond while `work` ran: the 99th percentile,
 *  milliseconds. What no program on this machine could have done better, and no part of what is being tested. */
export async function withNoise<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly lateP99Ms: number }> {
  const shared = new SharedArrayBuffer(4);
  const worker = new Worker(PROBE, { eval: true, workerData: shared });
  const said = once(worker, 'message') as Promise<[readonly number[]]>;
  try {
    const result = await work();
    Atomics.store(new Int32Array(shared), 0, 1);
    Atomics.notify(new Int32Array(shared), 0);
    const [late] = await said;
    return { result, lateP99Ms: late.toSorted((a, b) => a - b)[Math.floor(late.length * 0.99)] ?? 0 };
  } finally {
    await worker.terminate();
  }
}
