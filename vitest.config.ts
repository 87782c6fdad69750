import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const root = import.meta.dirname;

/** Files that measure time at the target: nothing runs beside them. */
const TIMING = ['arrival-log', 'calibrate', 'clocks', 'even-spacing', 'intended-start', 'live-control', 'loop-block', 'truth'].map(
  (name) => `test/system/${name}.test.ts`,
);

/** Files that start five agents and more, who make each other and everybody else late: nothing runs beside them either. */
const CROWDED = ['conservation', 'exact-merge', 'setup', 'unique-rows'].map((name) => `test/system/${name}.test.ts`);

/** Agents start sooner, and are still not so cold that a busy machine makes them late by more than a run may be. Only where time is
 *  measured must their first seconds be as good as the rest. */
const SHORT_REHEARSAL = { MUSTER_REHEARSAL: 'short' };

/** Projects run one after the other in this order. System tests start many processes; a third file at once made agents late by
 *  more than a run may be. */
const projects = [
  { name: 'unit', timeoutMs: 10_000, workers: 2, include: ['test/unit/**/*.test.ts'] },
  { name: 'property', timeoutMs: 60_000, workers: 2, include: ['test/property/**/*.test.ts'] },
  { name: 'integration', timeoutMs: 60_000, workers: 1, include: ['test/integration/**/*.test.ts'] },
  {
    name: 'system',
    timeoutMs: 120_000,
    workers: 2,
    include: ['test/system/**/*.test.ts'],
    exclude: [...TIMING, ...CROWDED],
    env: SHORT_REHEARSAL,
  },
  { name: 'crowded', timeoutMs: 120_000, workers: 1, include: CROWDED, env: SHORT_REHEARSAL },
  // What a noisy machine spoilt is measured again, three times at most.
  { name: 'timing', timeoutMs: 240_000, workers: 1, include: TIMING },
];

export default defineConfig({
  resolve: {
    alias: [
      { find: /^muster$/, replacement: join(root, 'shared/scenario/sdk.ts') },
      { find: /^muster\/(.+)$/, replacement: join(root, 'shared/$1/index.ts') },
    ],
  },
  test: {
    allowOnly: false,
    // A calibration of this machine would grade the runs of the tests.
    env: { MUSTER_CALIBRATION: join(root, '.cache/not-calibrated.json') },
    projects: projects.map(({ name, timeoutMs, workers, include, exclude, env }, position) => ({
      extends: true,
      test: {
        name,
        include,
        exclude: exclude ?? [],
        env: env ?? {},
        pool: 'forks',
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        fileParallelism: workers > 1,
        maxWorkers: workers,
        sequence: { groupOrder: position },
      },
    })),
  },
});
