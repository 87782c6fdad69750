import { Worker } from 'node:worker_threads';
import { systemClock, type Clock } from '../shared/base/index.ts';

/** A helper thread that sleeps to a deadline. Node's own timers are late by about 0.6 ms at the median; a thread in `Atomics.wait`
 *  that posts a message wakes the loop about 0.1 ms late. */
export interface Sleeper {
  /** Calls the wake function once the clock has passed `deadlineUs` (as `systemClock` reads). A later call replaces an earlier one. */
  sleepUntil(deadlineUs: number): void;
  close(): Promise<void>;
}

/** Words of the shared block: a generation that changes with every call, and one flag to end. */
const GENERATION = 0;
const ENDED = 1;
/** The thread posts a little early: the message itself takes about this long to reach the loop. */
const MESSAGE_US = 30;

/** The thread's whole program. Plain text, because a worker of TypeScript source has no loader of its own. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const words = new Int32Array(workerData.shared, 0, 2);
const deadline = new Float64Array(workerData.shared, 8, 1);
const nowUs = () => { const t = process.hrtime(); return t[0] * 1e6 + t[1] / 1e3; };
while (Atomics.load(words, ${ENDED}) === 0) {
  const generation = Atomics.load(words, ${GENERATION});
  const waitMs = (deadline[0] - nowUs() - ${MESSAGE_US}) / 1000;
  if (waitMs > 0) {
    if (Atomics.wait(words, ${GENERATION}, generation, waitMs) !== 'timed-out') continue;
    if (deadline[0] - nowUs() > ${MESSAGE_US} + 5) continue;
  }
  parentPort.postMessage(0);
  Atomics.wait(words, ${GENERATION}, generation);
}
`;

export function createSleeper(onWake: () => void): Sleeper {
  const shared = new SharedArrayBuffer(16);
  const words = new Int32Array(shared, 0, 2);
  const deadline = new Float64Array(shared, 8, 1);
  deadline[0] = Infinity;
  const worker = new Worker(PROGRAM, { eval: true, workerData: { shared }, stdout: false, stderr: false });
  worker.on('message', onWake);
  const offsetUs = offsetToSharedClock();

  return {
    sleepUntil(deadlineUs) {
      deadline[0] = deadlineUs - offsetUs;
      Atomics.add(words, GENERATION, 1);
      Atomics.notify(words, GENERATION);
    },
    async close() {
      Atomics.store(words, ENDED, 1);
      Atomics.add(words, GENERATION, 1);
      Atomics.notify(words, GENERATION);
      await worker.terminate();
    },
  };
}

/** The same with a timer of Node's: no thread and no message, but it knows whole milliseconds only, and is late by about one more. */
export function createRelaxedSleeper(clock: Clock, onWake: () => void): Sleeper {
  let timer: NodeJS.Timeout | undefined;
  return {
    sleepUntil(deadlineUs) {
      clearTimeout(timer);
      // An instant that is never due needs no timer. Node fires at once what is further away than its timers count.
      if (deadlineUs === Infinity) return;
      timer = setTimeout(onWake, Math.min(TIMER_MS_MAX, Math.ceil((deadlineUs - clock.nowUs()) / 1000)));
    },
    close() {
      clearTimeout(timer);
      return Promise.resolve();
    },
  };
}

const TIMER_MS_MAX = 2 ** 31 - 1;

const OFFSET_READINGS = 32;

/** `hrtime` is the one clock both threads share; what the system clock reads beyond it is constant for the process. A pause between the
 *  two readings makes the difference larger, never smaller, so the smallest is the truest: a deadline moved forward by a pause would
 *  wake the loop early again and again, and the two threads would burn a core passing it to and fro. */
function offsetToSharedClock(): number {
  let smallest = Infinity;
  for (let reading = 0; reading < OFFSET_READINGS; reading++) {
    const [seconds, nanos] = process.hrtime();
    const sharedUs = seconds * 1e6 + nanos / 1e3;
    smallest = Math.min(smallest, systemClock.nowUs() - sharedUs);
  }
  return smallest;
}
