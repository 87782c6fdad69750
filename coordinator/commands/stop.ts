import { Command } from 'commander';
import { EXIT_CODES } from '../../shared/base/index.ts';
import { RunsClient } from '../rpc/runs-client.ts';
import { coordinatorOption, LOCAL_COORDINATOR, type Exit } from './command.ts';

/** `muster stop RUN`: ends a run gracefully; it is still merged, judged and reported. */
export function stopCommand(exit: Exit): Command {
  return new Command('stop')
    .description('stop a run')
    .argument('<run>', 'its id, as "muster runs" shows it')
    .addOption(coordinatorOption().default(LOCAL_COORDINATOR))
    .action(async (runId: string, { coordinator }: { readonly coordinator: string }) => {
      const client = await RunsClient.connect(coordinator);
      try {
        await client.stop(runId, 'muster stop');
        process.stdout.write(`stopping ${runId}\n`);
      } finally {
        client.close();
      }
      exit(EXIT_CODES.passed.code);
    });
}
