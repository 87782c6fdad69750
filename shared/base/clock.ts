// Not the global one: that is looked up through a getter, every time, and the time is asked for twice a request.
import { performance } from 'node:perf_hooks';

/** Time, injected. Everything that waits or reads the time takes a `Clock`, so tests can own it. */
export interface Clock {
  /** Microseconds since the Unix epoch, monotonic: a step of the system clock does not show here. */
  nowUs(): number;
  /** Resolves after `ms` milliseconds, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

const originUs = performance.timeOrigin * 1000;

/** The process's own clock: wall time at process start plus the monotonic time since. */
export const systemClock: Clock = {
  nowUs: () => originUs + performance.now() * 1000,
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done);
    }),
};
