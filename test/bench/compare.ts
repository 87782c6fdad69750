/** How often `muster compare` cries wolf, and how often it finds a wolf.
 *
 *    npm run bench:compare -- [--pairs 200] [--seed 1]     simulated runs: autocorrelated, heavy-tailed
 *    npm run bench:compare -- --real [--runs 10]           real runs against a target slowed by 10 %, and against one that is not */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { CompareOptions } from '../../shared/stats/index.ts';
import { Cluster } from '../support/cluster.ts';
import { alarmRate, runTrials, type TrialPlan } from '../support/compare-trials.ts';
import { NO_CHANGE, SIMULATION, type Change, type Simulation } from '../support/simulated-run.ts';
import { TargetProcess } from '../support/target-process.ts';
import { machine } from './machine.ts';
import { table } from './timed.ts';

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    real: { type: 'boolean', default: false },
    runs: { type: 'string', default: '10' },
  },
});
/** Enough to see 97 % of the largest of eight deviations; the command draws more. */
const OPTIONS: Partial<CompareOptions> = { replicates: 500 };
const STEPS = ['browse', 'search', 'cart', 'pay'];
/** Every latency 5 % longer; and only the slowest twentieth of them: p99 is 5 % longer either way. */
const SLOWER: Change = { from: 0, factor: 1.05 };
const SLOWER_TAIL: Change = { from: 0.95, factor: 1.05 };

function compareSimulated(pairs: number, seed: number): void {
  const { samples, seconds, sigma, tailExponent, tailFrom, correlation, wander } = SIMULATION;
  process.stdout.write(
    `${pairs} pairs each, seed ${seed}; ${samples} samples a side in ${seconds} s, lognormal (sigma ${sigma}) with a Pareto tail ` +
      `(exponent ${tailExponent}) from p${tailFrom * 100} on, scale wanders as AR(1) (coefficient ${correlation}, ${wander * 100} %)\n\n`,
  );
  const plan = (change: Change, own: Partial<Simulation> = {}, options: Partial<CompareOptions> = {}): TrialPlan => ({
    simulation: { ...SIMULATION, ...own },
    change,
    pairs,
    seed,
    options: { ...OPTIONS, ...options },
  });
  const identical = [
    ['one step', plan(NO_CHANGE)],
    ['four steps', plan(NO_CHANGE, { steps: STEPS })],
    ['one minute, coefficient 0.8, wanders by 3 %', plan(NO_CHANGE, { seconds: 60, correlation: 0.8, wander: 0.03 })],
    ['no floor: any certain change is an alarm', plan(NO_CHANGE, {}, { floorFraction: 0, floorUs: 0, floorErrorRate: 0 })],
  ] as const;
  const rows = identical.map(([name, of]) => [name, percent(alarmRate(runTrials(of)))]);
  process.stdout.write(`${table([['IDENTICAL RUNS', 'FALSE ALARMS (at most 5 %)'], ...rows])}\n\n`);
  const changed = [
    ['every latency 5 % longer', plan(SLOWER)],
    ['every latency 5 % longer, four steps', plan(SLOWER, { steps: STEPS })],
    ['the slowest 5 % of them 5 % longer', plan(SLOWER_TAIL)],
  ] as const;
  const found = changed.map(([name, of]) => {
    const trials = runTrials(of);
    return [name, percent(trials.verdicts.regression / pairs), percent(trials.p99Regressions / pairs)];
  });
  process.stdout.write(`${table([['P99 5 % LONGER', 'REGRESSION FOUND (at least 90 %)', 'IN P99 ITSELF'], ...found])}\n`);
}

function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)} %`;
}

const RATE = 250;
const SECONDS = 4;
const MEDIAN_US = 20_000;
const SLOWED = 1.1;

/** Three times as many real runs as are asked for, in turns so that whatever the machine does meanwhile meets all alike: the baseline, the
 *  same target again, and one that takes 10 % longer. Then the built command compares the bundles. */
async function compareReal(runs: number): Promise<void> {
  process.stdout.write(`${machine()}\n${runs} runs each of ${SECONDS} s at ${RATE}/s\n`);
  const cluster = await Cluster.start(1);
  const target = await TargetProcess.start();
  try {
    await cluster.warmUp(target.url);
    const bundles: Record<'baseline' | 'same' | 'slowed', string[]> = { baseline: [], same: [], slowed: [] };
    for (let i = 0; i < runs; i++) {
      for (const [number, name] of (['baseline', 'same', 'slowed'] as const).entries()) {
        const medianUs = name === 'slowed' ? MEDIAN_US * SLOWED : MEDIAN_US;
        await target.behave('/', { latency: { kind: 'lognormal', seed: i * 3 + number + 1, medianUs, sigma: 0.25 } });
        const load = { executor: 'constant-arrival-rate', rate: RATE, duration: `${SECONDS}s`, maxVUs: 200, flow: [{ get: '/' }] };
        const { bundle } = await cluster.run({ name, target: target.url, scenarios: { load } }, 1);
        bundles[name].push(bundle.dir);
      }
    }
    for (const name of ['same', 'slowed'] as const) {
      const { code, stdout } = await muster('compare', ...bundles.baseline, '--candidate', ...bundles[name]);
      const expected = name === 'slowed' ? '114' : 'no alarm: 0, or 111 where the machine was too restless to tell';
      process.stdout.write(`\n--- baseline against ${name}: exit code ${code} (expected ${expected})\n${stdout}`);
    }
  } finally {
    await cluster.stop();
    await target.stop();
  }
}

function muster(...words: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
  const main = join(import.meta.dirname, '..', '..', 'dist', 'coordinator', 'main.js');
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...words], { maxBuffer: 64 * 1024 * 1024 }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout: stdout + stderr });
    });
  });
}

if (values.real) await compareReal(Number(values.runs));
else compareSimulated(Number(values.pairs), Number(values.seed));
