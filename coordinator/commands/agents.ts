import { Command } from 'commander';
import { EXIT_CODES } from '../../shared/base/index.ts';
import { RunsClient } from '../rpc/runs-client.ts';
import { coordinatorOption, LOCAL_COORDINATOR, type Exit } from './command.ts';
import { renderTable } from './table.ts';

/** `muster agents`: who has joined, and how well its clock is known. */
export function agentsCommand(exit: Exit): Command {
  return new Command('agents')
    .description('list the agents of a coordinator')
    .addOption(coordinatorOption().default(LOCAL_COORDINATOR))
    .option('--json', 'as JSON')
    .action(async ({ coordinator, json }: { readonly coordinator: string; readonly json?: boolean }) => {
      const client = await RunsClient.connect(coordinator);
      try {
        const agents = (await client.agents()).sort((a, b) => a.agentId.localeCompare(b.agentId, 'en', { numeric: true }));
        const rows = agents.map(({ agentId, state, runId, version, capacity, clockOffsetUs, clockUncertaintyUs, labels }) => [
          agentId,
          state,
          runId === '' ? '-' : runId,
          version,
          String(capacity),
          `${(clockOffsetUs / 1000).toFixed(2)} ±${(clockUncertaintyUs / 1000).toFixed(2)} ms`,
          Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(' '), // prettier-ignore
        ]);
        const head = ['AGENT', 'STATE', 'RUN', 'VERSION', 'CAPACITY', 'CLOCK', 'LABELS'];
        process.stdout.write(json === true ? `${JSON.stringify(agents, null, 2)}\n` : renderTable(head, rows, 'no agents have joined'));
      } finally {
        client.close();
      }
      exit(EXIT_CODES.passed.code);
    });
}
