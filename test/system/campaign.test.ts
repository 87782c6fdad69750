import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Draw } from '../campaign/draw.ts';
import { FAULTS } from '../campaign/faults.ts';
import { conductTrial } from '../campaign/trial.ts';

/** The first run of this seed. `npm run campaign -- --seed S --faults N` makes as many as it takes. */
const SEED = 1;

test('a random plan under random faults keeps every law', { timeout: 180_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'muster-campaign-'));
  const draw = new Draw(SEED).fork(1);
  const { plan, faults, findings, summary } = await conductTrial({ draw, seed: SEED * 1_000 + 1, dir, faultsMax: 3, kinds: FAULTS });
  const told = [...plan.scenarios.map(({ said }) => said), ...faults, JSON.stringify(summary?.ledger), `kept in ${dir}`].join('\n');
  expect(findings.violations, told).toEqual([]);
  expect(faults, told).not.toEqual([]);
  await rm(dir, { recursive: true });
});
