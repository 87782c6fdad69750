#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { AppError, EXIT_CODES, reasonOf, VERSION } from '../shared/base/index.ts';
import type { Exit } from './commands/command.ts';

type Load = () => Promise<(exit: Exit) => Command>;

/** In the order in which help lists them. Each is loaded when it is asked for: most need neither gRPC nor NATS nor a compiler. */
const COMMANDS: Readonly<Record<string, Load>> = {
  run: async () => (await import('./commands/run.ts')).runCommand,
  report: async () => (await import('./commands/report.ts')).reportCommand,
  validate: async () => (await import('./commands/validate.ts')).validateCommand,
  plan: async () => (await import('./commands/plan.ts')).planCommand,
  coordinator: async () => (await import('./commands/coordinator.ts')).coordinatorCommand,
  agent: async () => (await import('./commands/agent.ts')).agentCommand,
  agents: async () => (await import('./commands/agents.ts')).agentsCommand,
  runs: async () => (await import('./commands/runs.ts')).runsCommand,
  scale: async () => (await import('./commands/scale.ts')).scaleCommand,
  pause: async () => (await import('./commands/pause.ts')).pauseCommand,
  resume: async () => (await import('./commands/pause.ts')).resumeCommand,
  stop: async () => (await import('./commands/stop.ts')).stopCommand,
  calibrate: async () => (await import('./commands/calibrate.ts')).calibrateCommand,
  compare: async () => (await import('./commands/compare.ts')).compareCommand,
  schema: async () => (await import('./commands/schema.ts')).schemaCommand,
  check: async () => (await import('./commands/check.ts')).checkCommand,
  merge: async () => (await import('./commands/merge.ts')).mergeCommand,
};

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

for (const load of wanted(process.argv[2])) {
  program.addCommand((await load())((code) => void (process.exitCode = code)).exitOverride());
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

/** The command that the first word names. None for the version; all of them for help, a mistake or no word:
 *  commander then lists or suggests. */
function wanted(word: string | undefined): readonly Load[] {
  if (word === '--version' || word === '-V') return [];
  const command = Object.entries(COMMANDS).find(([name]) => name === word);
  return command === undefined ? Object.values(COMMANDS) : [command[1]];
}
