import { Command } from 'commander';
import { EXIT_CODES, formatDurationUs } from '../../shared/base/index.ts';
import { planEndUs } from '../../shared/plan/index.ts';
import type { Exit } from './command.ts';
import { readScenario, withScenarioOptions, type ScenarioFlags } from './scenario-options.ts';

/** `muster validate`: reads a scenario file and says everything that is wrong with it. */
export function validateCommand(exit: Exit): Command {
  const command = new Command('validate').description('check a scenario file').argument('<file>', 'YAML or TypeScript');
  return withScenarioOptions(command).action(async (file: string, flags: ScenarioFlags) => {
    const { plan, thresholds, warnings } = await readScenario(file, flags);
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    const scenarios = plan.scenarios.map(({ name, load }) => `${name} (${load.kind})`).join(', ');
    process.stdout.write(`${file}: valid. ${scenarios}; ${thresholds.length} thresholds; at most ${formatDurationUs(planEndUs(plan))}\n`);
    exit(EXIT_CODES.passed.code);
  });
}
