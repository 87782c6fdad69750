#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { AppError, EXIT_CODES, reasonOf, VERSION } from '../shared/base/index.ts';
import { agentCommand } from './commands/agent.ts';
import { agentsCommand } from './commands/agents.ts';
import { checkCommand } from './commands/check.ts';
import { calibrateCommand } from './commands/calibrate.ts';
import { compareCommand } from './commands/compare.ts';
import { coordinatorCommand } from './commands/coordinator.ts';
import { mergeCommand } from './commands/merge.ts';
import { pauseCommand, resumeCommand } from './commands/pause.ts';
import { planCommand } from './commands/plan.ts';
import { reportCommand } from './commands/report.ts';
import { runCommand } from './commands/run.ts';
import { runsCommand } from './commands/runs.ts';
import { scaleCommand } from './commands/scale.ts';
import { schemaCommand } from './commands/schema.ts';
import { stopCommand } from './commands/stop.ts';
import { validateCommand } from './commands/validate.ts';

/** The `muster` command. Commands return their exit code; what they throw is told here, once. */
const program = new Command('muster')
  .description('One exact load plan over any number of agents, one exact merged histogram, and proof that both are complete.')
  .version(VERSION)
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    `\nExit codes:\n${Object.values(EXIT_CODES)
      .map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`)
      .join('\n')}`,
  );

for (const command of [
  runCommand,
  reportCommand,
  validateCommand,
  planCommand,
  coordinatorCommand,
  agentCommand,
  agentsCommand,
  runsCommand,
  scaleCommand,
  pauseCommand,
  resumeCommand,
  stopCommand,
  calibrateCommand,
  compareCommand,
  schemaCommand,
  checkCommand,
  mergeCommand,
]) {
  program.addCommand(command((code) => void (process.exitCode = code)).exitOverride());
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough (`| head`) is no mistake. A full disk is: what was asked for is not there.
  if (error.code === 'EPIPE') return;
  process.stderr.write(`muster: cannot write to standard output: ${error.message}\n`);
  process.once('exit', (code) => {
    if (code === EXIT_CODES.passed.code) process.exitCode = EXIT_CODES.invalidResult.code;
  });
});
// Nobody reads the progress any more: the run goes on, its verdict is in the exit code and the bundle.
process.stderr.on('error', () => undefined);

try {
  await program.parseAsync();
} catch (thrown) {
  process.exitCode = tell(thrown);
}

function tell(thrown: unknown): number {
  if (thrown instanceof CommanderError) {
    // Help and version are no mistakes; commander has printed everything else already.
    return thrown.exitCode === 0 ? EXIT_CODES.passed.code : EXIT_CODES.badInput.code;
  }
  if (thrown instanceof AppError) {
    process.stderr.write(`muster: ${thrown.message}\n`);
    for (const { path, line, message } of thrown.problems)
      process.stderr.write(`  ${line === undefined ? '' : `line ${line}: `}${path}: ${message}\n`);
    return thrown.exitCode;
  }
  process.stderr.write(`muster: a bug of ours: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : reasonOf(thrown)}\n`);
  return EXIT_CODES.bug.code;
}
