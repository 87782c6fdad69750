import { Command, Option } from 'commander';
import { AppError, EXIT_CODES, formatDurationUs } from '../../shared/base/index.ts';
import {
  createSchedule,
  loadDurationUs,
  isOpen,
  maxVusOf,
  ownedIterations,
  ownedVus,
  plannedIterations,
  spreadOwners,
  Stripe,
  type ClosedLoad,
  type Epoch,
  type Plan,
  type PlannedScenario,
} from '../../shared/plan/index.ts';
import { parseCount, type Exit } from './command.ts';
import { readScenario, withScenarioOptions, type ScenarioFlags } from './scenario-options.ts';
import { renderTable } from './table.ts';

/** Indices that the proof walks one by one; the counts of longer schedules are compared in closed form only. */
const PROVED_MAX = 2_000_000;

/** One agent's share of one scenario. */
interface Share {
  readonly agent: string;
  readonly iterations: number;
  readonly vus: number;
  /** The first indices it fires, each with its instant. */
  readonly first: readonly { readonly index: number; readonly atMs: number }[];
}

interface PlanHead {
  readonly scenario: string;
  readonly executor: string;
  readonly durationMs: number;
}

interface ScenarioPlan extends PlanHead {
  /** `null` for a closed model, which plans VUs. */
  readonly iterations: number | null;
  readonly shares: readonly Share[];
  readonly proof: string;
  readonly isExact: boolean;
}

/** `muster plan`: who fires what when, and the proof that it sums. */
export function planCommand(exit: Exit): Command {
  const command = new Command('plan')
    .description('show how a scenario is split over agents')
    .argument('<file>', 'YAML or TypeScript')
    .addOption(new Option('--agents <n>', 'number of agents').default(1).argParser(parseCount(1, 10_000)))
    .option('--json', 'as JSON');
  return withScenarioOptions(command).action(
    async (file: string, flags: ScenarioFlags & { readonly agents: number; readonly json?: boolean }) => {
      const { plan } = await readScenario(file, flags);
      const agents = Array.from({ length: flags.agents }, (_, i) => `agent-${i + 1}`);
      const epoch = { number: 0, fromUs: 0, owners: spreadOwners(agents.map((id) => ({ id, weight: 1 }))) };
      const scenarios = plan.scenarios.map((scenario) => planScenario(plan, scenario, agents, epoch));
      process.stdout.write(
        flags.json === true ? `${JSON.stringify({ name: plan.name, scenarios }, null, 2)}\n` : scenarios.map(renderPlan).join('\n'),
      );
      const broken = scenarios.find(({ isExact }) => !isExact);
      if (broken !== undefined) throw new Error(`the split of ${broken.scenario} does not add up: ${broken.proof}`);
      exit(EXIT_CODES.passed.code);
    },
  );
}

function planScenario(plan: Plan, scenario: PlannedScenario, agents: readonly string[], epoch: Epoch): ScenarioPlan {
  const { name, load } = scenario;
  const base = { scenario: name, executor: load.kind, durationMs: loadDurationUs(load) / 1000 };
  if (!isOpen(load)) return planClosed(base, load, agents, epoch);
  const schedule = createSchedule(scenario, plan.seed);
  if (schedule.count > Number.MAX_SAFE_INTEGER)
    throw new AppError('SCENARIO_INVALID', `scenario ${name}: too many iterations to index exactly`);
  const isWalked = schedule.count <= PROVED_MAX;
  const firedBy = new Uint8Array(isWalked ? schedule.count : 0);
  const shares = agents.map((agent) => {
    const stripe = new Stripe(scenario, schedule, [epoch], agent);
    const iterations = stripe.countBefore(Infinity);
    const first: { index: number; atMs: number }[] = [];
    for (let left = isWalked ? Infinity : 3; stripe.index >= 0 && left > 0; left--) {
      if (isWalked) firedBy[stripe.index] = (firedBy[stripe.index] ?? 0) + 1;
      if (first.length < 3) first.push({ index: stripe.index, atMs: stripe.instantUs / 1000 });
      stripe.advance();
    }
    return { agent, iterations, vus: ownedVus(epoch, load, agent).length, first };
  });
  const sum = shares.reduce((total, { iterations }) => total + iterations, 0);
  const isOnce = firedBy.every((times) => times === 1);
  const walked = isWalked ? `; walked one by one: every index ${isOnce ? 'exactly once' : 'NOT exactly once'}` : '';
  const terms = shares.length <= 12 ? `${shares.map(({ iterations }) => iterations).join(' + ')} = ` : '';
  return {
    ...base,
    iterations: schedule.count,
    shares,
    isExact: sum === schedule.count && isOnce,
    proof: `${terms}${sum} of ${schedule.count} iterations${walked}`,
  };
}

/** A closed model plans VUs, and some of its executors iterations too. */
function planClosed(base: PlanHead, load: ClosedLoad, agents: readonly string[], epoch: Epoch): ScenarioPlan {
  const iterations = plannedIterations(load) ?? null;
  const shares = agents.map((agent) => ({
    agent,
    iterations: ownedIterations(epoch, load, agent) ?? 0,
    vus: ownedVus(epoch, load, agent).length,
    first: [],
  }));
  const vus = shares.reduce((total, share) => total + share.vus, 0);
  const quota = shares.reduce((total, share) => total + share.iterations, 0);
  const counted = iterations === null ? '' : `, ${quota} of ${iterations} iterations`;
  return {
    ...base,
    iterations,
    shares,
    isExact: vus === maxVusOf(load) && quota === (iterations ?? 0),
    proof: `${shares.length <= 12 ? `${shares.map((share) => share.vus).join(' + ')} = ` : ''}${vus} of ${maxVusOf(load)} VUs${counted}`,
  };
}

function renderPlan({ scenario, executor, durationMs, iterations, shares, proof, isExact }: ScenarioPlan): string {
  const head = `${scenario}: ${executor} for ${formatDurationUs(durationMs * 1000)}${iterations === null ? '' : `, ${iterations} iterations`}\n`;
  const rows = shares.map(({ agent, iterations: own, vus, first }) => [
    agent,
    iterations === null ? '-' : String(own),
    String(vus),
    first.map(({ index, atMs }) => `#${index} at ${atMs.toFixed(3)} ms`).join(', '),
  ]);
  return `${head}${renderTable(['AGENT', 'ITERATIONS', 'VUS', 'FIRST'], rows, '')}${isExact ? '✓' : '✗'} ${proof}\n`;
}
