import { join } from 'node:path';
import { Command, Option } from 'commander';
import { AppError, EXIT_CODES, reasonOf, systemClock } from '../../shared/base/index.ts';
import { renderJson, renderSummary, type Summary } from '../../shared/report/index.ts';
import { encodeWorkload } from '../../shared/wire/index.ts';
import { fetchBundle, proveWritable } from '../fetch-bundle.ts';
import { followRun } from '../follow-run.ts';
import type { Outcome } from '../outcome.ts';
import type { PrivateCluster } from '../private-cluster.ts';
import { RunsClient } from '../rpc/runs-client.ts';
import { sendFiles } from '../send-files.ts';
import { LOSS_POLICIES, type LossPolicy, type SubmissionInput } from '../submission.ts';
import { coordinatorOption, drainOption, natsOption, parseCount, parseMilliseconds, untilSignal, type Exit } from './command.ts';
import { Progress } from './progress.ts';
import { readScenario, withScenarioOptions, type ScenarioFlags } from './scenario-options.ts';

interface Flags extends ScenarioFlags {
  readonly agents?: number;
  readonly coordinator?: string;
  readonly nats?: string;
  readonly out?: string;
  readonly onAgentLoss: LossPolicy;
  readonly lateJoin?: boolean;
  readonly waitAgents: number;
  /** Milliseconds; of a private cluster. */
  readonly drainTimeout: number;
  /** Milliseconds. */
  readonly reconnectTimeout: number;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** Agents of a private cluster when nobody says. */
const LOCAL_AGENTS = 1;
/** Where bundles go when nobody says. */
const RUNS_DIR = 'runs';

/** `muster run`: runs a scenario, on a private cluster of this machine or on the one that `--coordinator` names, and reports. */
export function runCommand(exit: Exit): Command {
  const command = new Command('run')
    .description('run a scenario')
    .argument('<file>', 'YAML or TypeScript')
    .addOption(
      new Option('--agents <n>', 'agents to use; on a cluster: all that are free by default')
        .env('MUSTER_AGENTS')
        .argParser(parseCount(1, 10_000)),
    )
    .addOption(coordinatorOption())
    .addOption(natsOption())
    .addOption(new Option('--out <dir>', 'folder for the run bundle; runs/<run-id> by default').env('MUSTER_OUT'))
    .addOption(
      new Option('--on-agent-loss <policy>', 'when an agent is lost in mid-run')
        .env('MUSTER_ON_AGENT_LOSS')
        .choices(LOSS_POLICIES)
        .default('rebalance'),
    )
    .option('--late-join', 'agents that join the cluster in mid-run are given a share too')
    .addOption(new Option('--wait-agents <seconds>', 'how long to wait for agents').default(15).argParser(parseCount(0, 86_400)))
    .addOption(drainOption())
    .addOption(
      new Option('--reconnect-timeout <time>', 'how long to look for a coordinator that went away in mid-run')
        .env('MUSTER_RECONNECT_TIMEOUT')
        .default(300_000, '5m')
        .argParser(parseMilliseconds),
    )
    .option('--quiet', 'no progress')
    .option('--json', 'the summary as JSON on stdout');
  return withScenarioOptions(command).action(async (file: string, flags: Flags) => {
    exit(await run(file, flags));
  });
}

async function run(file: string, flags: Flags): Promise<number> {
  // From here on a signal ends in an orderly way: before the load by not starting it, afterwards by stopping it and reporting.
  const stopping = new AbortController();
  const forget = untilSignal((signal) => {
    stopping.abort(signal);
  });
  try {
    return await startAndFollow(file, flags, stopping.signal);
  } finally {
    forget();
  }
}

async function startAndFollow(file: string, flags: Flags, stopping: AbortSignal): Promise<number> {
  const compiled = await readScenario(file, flags);
  for (const warning of compiled.warnings) process.stderr.write(`warning: ${warning}\n`);
  const submission: SubmissionInput = {
    plan: compiled.plan,
    workload: encodeWorkload(compiled.workload).bytes,
    thresholds: compiled.thresholds,
    source: compiled.source,
    target: compiled.workload.target,
    agents: flags.agents ?? (flags.coordinator === undefined ? LOCAL_AGENTS : 0),
    onAgentLoss: flags.onAgentLoss,
    lateJoin: flags.lateJoin === true,
    waitAgentsMs: flags.waitAgents * 1000,
  };
  // Better now than after the load.
  await proveWritable(flags.out ?? RUNS_DIR);
  let cluster: PrivateCluster | undefined;
  if (flags.coordinator === undefined) {
    // On somebody else's cluster neither the coordinator nor its server is loaded.
    const { startPrivateCluster } = await import('../private-cluster.ts');
    cluster = await startPrivateCluster(submission.agents, flags.nats, flags.drainTimeout, systemClock);
  }
  try {
    const client = await RunsClient.connect(flags.coordinator ?? cluster?.address ?? '');
    try {
      if (stopping.aborted) throw new AppError('STOPPED', `${String(stopping.reason)} before the start`);
      await sendFiles(client, compiled.largeFiles);
      return await follow(client, submission, flags, stopping);
    } finally {
      client.close();
    }
  } finally {
    await cluster?.close();
  }
}

async function follow(client: RunsClient, submission: SubmissionInput, flags: Flags, stopping: AbortSignal): Promise<number> {
  const runId = await client.submit(submission);
  const progress = new Progress(process.stderr, flags.quiet === true);
  progress.say(`run ${runId}`);
  const stop = (): void => {
    const signal = String(stopping.reason);
    progress.say(`${signal}: stopping; once more to leave at once`);
    client.stop(runId, `${signal} to muster run`).catch((thrown: unknown) => {
      progress.say(`cannot stop the run: ${reasonOf(thrown)}`);
    });
  };
  if (stopping.aborted) stop();
  else stopping.addEventListener('abort', stop);
  let outcome: Outcome;
  try {
    outcome = await followRun(client, runId, {
      onSnapshot: (snapshot) => {
        progress.show(snapshot);
      },
      say: (text) => {
        progress.say(text);
      },
      onBack: () => {
        if (stopping.aborted) stop();
      },
      giveUpMs: flags.reconnectTimeout,
      clock: systemClock,
    });
  } finally {
    progress.end();
    stopping.removeEventListener('abort', stop);
  }
  return report(client, runId, outcome, flags);
}

async function report(client: RunsClient, runId: string, outcome: Outcome, flags: Flags): Promise<number> {
  if (outcome.summary === undefined) {
    process.stderr.write(`muster: ${outcome.message}\n`);
    return outcome.exitCode;
  }
  let { summary, exitCode } = outcome;
  const out = flags.out ?? join(RUNS_DIR, runId);
  try {
    await fetchBundle(client, runId, out);
    process.stderr.write(`run bundle: ${out}\n`);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    // The measurement stands and is printed; what is on disk does not, and a passed run must not hide that.
    process.stderr.write(`muster: ${thrown.message}\n`);
    summary = withoutBundle(summary, thrown.message);
    if (exitCode === EXIT_CODES.passed.code) exitCode = EXIT_CODES.invalidResult.code;
  }
  const isColored = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
  process.stdout.write(flags.json === true ? renderJson(summary) : renderSummary(summary, { color: isColored }));
  if (outcome.message !== '') process.stderr.write(`muster: ${outcome.message}\n`);
  return exitCode;
}

function withoutBundle(summary: Summary, detail: string): Summary {
  const reason = { code: 'bundle-incomplete', grade: 'invalid', detail } as const;
  return { ...summary, validity: { grade: 'invalid', reasons: [reason, ...summary.validity.reasons] } };
}
