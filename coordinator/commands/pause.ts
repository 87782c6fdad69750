import { Command } from 'commander';
import { EXIT_CODES } from '../../shared/base/index.ts';
import { RunsClient } from '../rpc/runs-client.ts';
import { coordinatorOption, LOCAL_COORDINATOR, type Exit } from './command.ts';

/** `muster pause RUN`: nothing more is planned until `muster resume`; time goes on and the end stays. */
export function pauseCommand(exit: Exit): Command {
  return command('pause', 'pause the load of a run', exit, async (client, runId) => `paused from ${seconds(await client.pause(runId))} on`);
}

/** `muster resume RUN`: what the plan has from then on is planned again. */
export function resumeCommand(exit: Exit): Command {
  return command('resume', 'resume a paused run', exit, async (client, runId) => `resumed from ${seconds(await client.resume(runId))} on`);
}

function command(name: string, description: string, exit: Exit, ask: (client: RunsClient, runId: string) => Promise<string>): Command {
  return new Command(name)
    .description(description)
    .argument('<run>', 'its id, as "muster runs" shows it')
    .addOption(coordinatorOption().default(LOCAL_COORDINATOR))
    .action(async (runId: string, { coordinator }: { readonly coordinator: string }) => {
      const client = await RunsClient.connect(coordinator);
      try {
        process.stdout.write(`${await ask(client, runId)}\n`);
      } finally {
        client.close();
      }
      exit(EXIT_CODES.passed.code);
    });
}

function seconds(us: number): string {
  return `${(us / 1_000_000).toFixed(2)} s`;
}
