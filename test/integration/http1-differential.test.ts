import { describe, expect, test } from 'vitest';
import { compareClients } from '../support/http1-differential.ts';
import { servedExchange } from '../support/http1-exchanges.ts';
import { INTENDED_DIFFERENCES } from '../support/http1-intended-differences.ts';

const SEED = 1;

describe('over generated exchanges, torn anywhere, cut short, disturbed and illegal', () => {
  test('our client makes of each what the client of Node makes of it, and neither hangs', async () => {
    const { exchanges, outcomes, intended, unintended, hung } = await compareClients(SEED, 0, 6000);
    expect(unintended).toEqual([]);
    expect(hung).toBe(0);
    const explained = Object.values(intended).reduce((sum, count) => sum + count, 0);
    expect(outcomes.response + outcomes.illegal + outcomes.cut + explained).toBe(exchanges);
    // Were one kind missing, the comparison would say little.
    expect(Math.min(outcomes.response, outcomes.illegal, outcomes.cut)).toBeGreaterThan(300);
  });

  test('differences are intended by name, and each says why', () => {
    expect(new Set(INTENDED_DIFFERENCES.map(({ name }) => name)).size).toBe(INTENDED_DIFFERENCES.length);
    for (const { why } of INTENDED_DIFFERENCES) expect(why).toMatch(/Node/);
  });
});

test('equal seeds give equal exchanges, other seeds others', () => {
  const some = (seed: number): string => JSON.stringify(Array.from({ length: 50 }, (_, i) => servedExchange(seed, i)));
  expect(some(7)).toBe(some(7));
  expect(some(7)).not.toBe(some(8));
});
