import { Command } from 'commander';
import { EXIT_CODES, formatDurationUs } from '../../shared/base/index.ts';
import { RunsClient } from '../rpc/runs-client.ts';
import { coordinatorOption, LOCAL_COORDINATOR, type Exit } from './command.ts';
import { renderTable } from './table.ts';

/** `muster runs`: what runs and what ran. */
export function runsCommand(exit: Exit): Command {
  return new Command('runs')
    .description('list the runs of a coordinator')
    .addOption(coordinatorOption().default(LOCAL_COORDINATOR))
    .option('--json', 'as JSON')
    .action(async ({ coordinator, json }: { readonly coordinator: string; readonly json?: boolean }) => {
      const client = await RunsClient.connect(coordinator);
      try {
        const runs = await client.runs();
        const rows = runs.map(({ runId, name, state, submittedAt, elapsedUs, durationUs, agents, exitCode }) => [
          runId,
          name,
          state,
          submittedAt,
          durationUs === 0 ? '-' : `${formatDurationUs(Math.min(elapsedUs, durationUs))}/${formatDurationUs(durationUs)}`,
          String(agents),
          exitCode === undefined ? '-' : String(exitCode),
        ]);
        const head = ['RUN', 'NAME', 'STATE', 'SUBMITTED', 'TIME', 'AGENTS', 'EXIT'];
        process.stdout.write(json === true ? `${JSON.stringify(runs, null, 2)}\n` : renderTable(head, rows, 'no runs yet'));
      } finally {
        client.close();
      }
      exit(EXIT_CODES.passed.code);
    });
}
