import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const root = import.meta.dirname;

/** Files that measure time at the target: nothing runs beside them. */
const TIMING = ['arrival-log', 'clocks', 'even-spacing', 'intended-start', 'loop-block', 'truth'].map(
  (name) => `test/system/${name}.test.ts`,
);

/** Projects run one after the other in this order. System tests mostly wait for processes of their own, so three go well on two cores. */
const projects = [
  { name: 'unit', timeoutMs: 10_000, workers: 2, include: ['test/unit/**/*.test.ts'] },
  { name: 'property', timeoutMs: 60_000, workers: 2, include: ['test/property/**/*.test.ts'] },
  { name: 'integration', timeoutMs: 60_000, workers: 1, include: ['test/integration/**/*.test.ts'] },
  { name: 'system', timeoutMs: 120_000, workers: 3, include: ['test/system/**/*.test.ts'], exclude: TIMING },
  { name: 'timing', timeoutMs: 120_000, workers: 1, include: TIMING },
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
    projects: projects.map(({ name, timeoutMs, workers, include, exclude }, position) => ({
      extends: true,
      test: {
        name,
        include,
        exclude: exclude ?? [],
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
