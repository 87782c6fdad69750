/** `npm run campaign -- --seed S --faults N`: random plans under random faults until N faults have struck. Ends with 1 at the first run
 *  that breaks a law, and keeps everything about it. `--only a,b` restricts the kinds of faults, `--trial K` begins with the K-th run of
 *  the seed, and `--keep` keeps every run's folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Draw } from './draw.ts';
import { FAULTS } from './faults.ts';
import { conductTrial } from './trial.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: '20' },
    'faults-per-run': { type: 'string', default: '4' },
    only: { type: 'string' },
    trial: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    'go-on': { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const only = values.only?.split(',');
const kinds = FAULTS.filter(({ name }) => only?.includes(name) ?? true);
if (kinds.length === 0) throw new Error(`--only ${values.only ?? ''}: expected some of ${FAULTS.map(({ name }) => name).join(', ')}`);
const dir = await mkdtemp(join(tmpdir(), `muster-campaign-${seed}-`));
const draws = new Draw(seed);
let struck = 0;
let failed = 0;
const counts = new Map<string, number>();
for (let number = Number(values.trial); struck < Number(values.faults); number++) {
  const trialDir = join(dir, `run-${number}`);
  const trial = await conductTrial({
    draw: draws.fork(number),
    seed: seed * 1_000 + number,
    dir: trialDir,
    faultsMax: Number(values['faults-per-run']),
    kinds,
  });
  struck += trial.faults.length;
  for (const fault of trial.faults) {
    const [, kind = ''] = fault.split(': ');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const { violations, refired } = trial.findings;
  const grade = trial.summary?.validity;
  say(
    `run ${number}: ${trial.plan.agents} agents, ${trial.faults.length} faults (${struck} of ${values.faults}), ${grade?.grade ?? 'no result'}${violations.length === 0 ? '' : ', BROKEN'}`,
  );
  for (const fault of trial.faults) say(`  ${fault}`);
  say(`  ${JSON.stringify(trial.summary?.ledger)}`);
  say(`  ${[...new Set(grade?.reasons.map(({ code, agent }) => (agent === undefined ? code : `${code} ${agent}`)))].join(', ')}`);
  for (const again of refired) say(`  in flight on a killed process, and fired again: ${again}`);
  if (violations.length === 0) {
    if (!values.keep) await rm(trialDir, { recursive: true, force: true });
    continue;
  }
  failed++;
  for (const { said } of trial.plan.scenarios) say(`  plan: ${said}`);
  for (const violation of violations) say(`  BROKEN: ${violation}`);
  say(`  kept in ${trialDir}; again with --seed ${seed} --trial ${number} --faults 1`);
  if (!values['go-on']) break;
}
say(
  `seed ${seed}: ${struck} faults: ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')}; ${failed === 0 ? 'no law was broken' : `${failed} runs broke a law`}`,
);
process.exitCode = failed === 0 ? 0 : 1;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
