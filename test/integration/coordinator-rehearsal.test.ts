import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { rehearse } from '../../coordinator/rehearsal.ts';

let dir = '';

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-test-'));
  vi.stubEnv('TMPDIR', dir);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

it('merges every sample of a fleet that is not there, and leaves nothing behind', async () => {
  // 1,500 batches of 8 trends of 100 samples.
  expect(await rehearse(() => false)).toBe(1_200_000);
  expect(await readdir(dir)).toEqual([]);
});

it('ends when it is needed, and lets whoever waits for the loop have it between two batches', async () => {
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const asked: number[] = [];
  const samples = await rehearse(() => asked.push(turns) > 10);
  clearImmediate(counting);
  expect(samples).toBe(10 * 800);
  expect(asked).toEqual([...new Set(asked)]);
  expect(await readdir(dir)).toEqual([]);
});

it('says so when it cannot write', async () => {
  vi.stubEnv('TMPDIR', join(dir, 'nowhere'));
  await expect(rehearse(() => false)).rejects.toThrow('ENOENT');
});
