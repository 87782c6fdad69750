import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { rehearse } from '../../coordinator/rehearsal.ts';

const folders = async (): Promise<string[]> => (await readdir(tmpdir())).filter((name) => name.startsWith('muster-rehearsal-'));

it('merges every sample of a fleet that is not there, and leaves nothing behind', async () => {
  const before = await folders();
  // 1,500 batches of 8 trends of 100 samples.
  expect(await rehearse(new AbortController().signal)).toBe(1_200_000);
  expect(await folders()).toEqual(before);
});

it('ends when it is told to, and lets whoever waits for the loop have it in between', async () => {
  const before = await folders();
  const ending = new AbortController();
  const rehearsal = rehearse(ending.signal);
  let turns = 0;
  const take = (): void => {
    if (++turns === 50) ending.abort();
    else setImmediate(take);
  };
  setImmediate(take);
  expect(await rehearsal).toBeLessThan(1_200_000);
  expect(turns).toBe(50);
  expect(await folders()).toEqual(before);
});
