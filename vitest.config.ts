import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const root = import.meta.dirname;

/** Projects run one after the other in this order. Files of the last two start servers and measure time: one at a time, nothing beside them. */
const projects = [
  { name: 'unit', timeoutMs: 10_000, isParallel: true },
  { name: 'property', timeoutMs: 60_000, isParallel: true },
  { name: 'integration', timeoutMs: 60_000, isParallel: false },
  { name: 'system', timeoutMs: 120_000, isParallel: false },
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
    projects: projects.map(({ name, timeoutMs, isParallel }, position) => ({
      extends: true,
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        pool: 'forks',
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        fileParallelism: isParallel,
        maxWorkers: isParallel ? 2 : 1,
        sequence: { groupOrder: position },
      },
    })),
  },
});
