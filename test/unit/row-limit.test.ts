import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { settle } from '../../coordinator/accounting.ts';
import { createSchedule, isOpen, type ClosedLoad, type Load, type PlannedScenario } from '../../shared/plan/index.ts';
import { loadScenario } from '../../shared/scenario/index.ts';
import { DrivenExecutor } from '../support/driven-executor.ts';
import { oneEpoch, openScenario } from '../support/plans.ts';

const MS = 1_000;
const ROWS = 23;
const AGENTS = ['a', 'b', 'c'];
const SECOND_US = 1_000 * MS;

const closed: readonly ClosedLoad[] = [
  { kind: 'constant-vus', vus: 5, durationUs: SECOND_US, indexLimit: ROWS },
  {
    ...{ kind: 'ramping-vus', startVus: 5, stages: [{ durationUs: SECOND_US, targetVus: 2 }], gracefulRampDownUs: SECOND_US },
    indexLimit: ROWS,
  },
  { kind: 'per-vu-iterations', vus: 5, iterations: 7, maxDurationUs: SECOND_US, indexLimit: ROWS },
  { kind: 'shared-iterations', vus: 5, iterations: ROWS, maxDurationUs: SECOND_US },
];
const open = (['uniform', 'poisson'] as const).map((arrivals) => openScenario({ arrivals, ratePerSecond: 50, indexLimit: ROWS }).load);

describe('a load that ends with its rows', () => {
  test.each([...closed, ...open].map((load) => [`${load.kind} ${isOpen(load) ? load.arrivals : ''}`, load] as const))(
    '%s over three agents begins every iteration below the limit once, none above it, and settles',
    (_, load) => {
      const driven = AGENTS.map((agent) => driveToItsEnd(scenario(load), agent));
      const indices = driven.flatMap(({ started }) => started.map(({ index }) => index)).sort((a, b) => a - b);
      expect(indices).toEqual(Array.from({ length: ROWS }, (_unused, n) => n));
      const accounts = driven.map((one, i) => ({
        ...{ agent: AGENTS[i] ?? '', samplesRecorded: 0, epochs: 1, isFinal: true, lastSeenUs: 0 },
        ledgers: [one.executor.ledger(SECOND_US)],
      }));
      const plan = { name: 'rows', seed: 7, intervalMs: 1_000, scenarios: [scenario(load)] };
      const ledger = settle(plan, oneEpoch(...AGENTS), Infinity, accounts, { merged: 0, duplicate: 0 });
      expect(ledger).toMatchObject({ planned: ROWS, started: ROWS, dropped: 0, completed: ROWS, interrupted: 0 });
    },
  );

  test('a fast VU does not run out of rows while slow ones have some', () => {
    const driven = new DrivenExecutor(scenario(closed[0]!), oneEpoch('a'), 'a');
    for (let us = 0; us < SECOND_US && !driven.executor.isDone; us += MS) {
      driven.turnAt(us);
      for (const actor of driven.busy) if ((actor.running?.atUs ?? 0) + (actor.vu === 0 ? 2 : 40) * MS <= us) driven.complete(actor);
    }
    // Of 23 rows a fifth each would be five; the fast one took all that the slow ones had not begun.
    expect(driven.started.filter(({ vu }) => vu === 0).length).toBeGreaterThan(15);
    expect(driven.executor.isDone).toBe(true);
  });

  test('keeps the instants of the whole schedule', () => {
    const whole = openScenario({ arrivals: 'poisson', ratePerSecond: 50 });
    const limited = { ...whole, load: { ...whole.load, indexLimit: 10 } };
    const [all, some] = [createSchedule(whole, 3), createSchedule(limited, 3)];
    expect(some.count).toBe(10);
    for (let n = 0; n < 10; n++) expect(some.instantUs(n)).toBe(all.instantUs(n));
    expect([some.countBefore(Infinity), some.countBefore(all.instantUs(4))]).toEqual([10, 4]);
  });
});

describe('compiled, unique rows', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'muster-rows-'));
    await writeFile(join(folder, 'ten.csv'), `id\n${Array.from({ length: 10 }, (_, i) => `row-${i}`).join('\n')}\n`);
    await writeFile(join(folder, 'four.csv'), `id\n1\n2\n3\n4\n`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function compiled(load: string, ten = '', flow = "[{ get: '/${ten.id}' }]"): Promise<{ load: Load; warnings: readonly string[] }> {
    const file = join(folder, 'file.yaml');
    const data = `data: { ten: { file: ten.csv, order: unique${ten} }, four: { file: four.csv, order: unique } }`;
    await writeFile(file, `target: http://a.example\n${data}\nscenarios: { buy: { ${load}, flow: ${flow} } }\n`);
    const { plan, warnings } = await loadScenario(file, { env: {} });
    return { load: plan.scenarios[0]!.load, warnings: warnings.filter((text) => !text.includes('used by no step')) };
  }

  test('end a rate that needs more of them, which is said before the run', async () => {
    const { load, warnings } = await compiled('executor: constant-arrival-rate, rate: 5, duration: 1m');
    expect(load).toMatchObject({ indexLimit: 10 });
    expect(warnings).toEqual(['ten has 10 rows for 300 iterations of buy: it ends when they are used up, after 2s']);
  });

  test('end VUs when they are used up', async () => {
    expect(await compiled('executor: constant-vus, vus: 2, duration: 1m')).toMatchObject({ load: { indexLimit: 10 }, warnings: [] });
    expect((await compiled('executor: shared-iterations, vus: 2, iterations: 50')).load).toMatchObject({ iterations: 10 });
    const perVu = await compiled('executor: per-vu-iterations, vus: 2, iterations: 50');
    expect(perVu.load).toMatchObject({ iterations: 50, indexLimit: 10 });
    expect(perVu.warnings).toEqual(['ten has 10 rows for 100 iterations of buy: it ends when they are used up']);
  });

  test('the shortest of several sets decides', async () => {
    const { load } = await compiled('executor: constant-vus, vus: 2, duration: 1m', '', "[{ get: '/${ten.id}/${four.id}' }]");
    expect(load).toMatchObject({ indexLimit: 4 });
  });

  test('come round again under recycle, with a warning', async () => {
    const { load, warnings } = await compiled('executor: constant-arrival-rate, rate: 5, duration: 1m', ', whenExhausted: recycle');
    expect(load.kind === 'shared-iterations' ? 0 : load.indexLimit).toBeUndefined();
    expect(warnings).toEqual(['ten has 10 rows for 300 iterations of buy: rows will repeat']);
  });

  test('that no step refers to limit nothing', async () => {
    const { load } = await compiled('executor: constant-vus, vus: 2, duration: 1m', '', '[{ get: / }]');
    expect(load.kind === 'shared-iterations' ? 0 : load.indexLimit).toBeUndefined();
  });

  test('of a module limit its functions, whichever they ask for', async () => {
    const file = join(folder, 'file.mjs');
    const scenario = "{ executor: 'constant-vus', vus: 2, duration: '1m', flow: async (vu) => { vu.row('ten'); } }";
    await writeFile(
      file,
      `export default { target: 'http://a.example', data: { ten: { file: 'ten.csv', order: 'unique' } }, scenarios: { buy: ${scenario} } };\n`,
    );
    const { plan } = await loadScenario(file, { env: {} });
    expect(plan.scenarios[0]?.load).toMatchObject({ indexLimit: 10 });
  });
});

function scenario(load: Load): PlannedScenario {
  return { name: 'rows', startUs: 0, gracefulStopUs: SECOND_US, load };
}

/** Every iteration takes three milliseconds. */
function driveToItsEnd(one: PlannedScenario, agent: string): DrivenExecutor {
  const driven = new DrivenExecutor(one, oneEpoch(...AGENTS), agent);
  for (let us = 0; us <= SECOND_US; us += MS) {
    driven.turnAt(us);
    for (const actor of driven.busy) if ((actor.running?.atUs ?? 0) + 3 * MS <= us) driven.complete(actor);
  }
  expect(driven.executor.isDone).toBe(true);
  return driven;
}
