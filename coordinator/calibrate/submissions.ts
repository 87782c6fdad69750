import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadScenario } from '../../shared/scenario/index.ts';
import { encodeWorkload } from '../../shared/wire/index.ts';
import type { SubmissionInput } from '../submission.ts';
import { AGENTS, PATTERNS } from './patterns.ts';
import { AT_ONCE } from './reference-server.ts';

const WAIT_AGENTS_MS = 60_000;
/** What of a tried rate is left out: at a new rate, code is compiled anew. */
const WARMUP_SECONDS = 0.5;
/** VUs of a tried rate. More would be connections that the server, not the agents, is slow to answer. */
const RATE_VUS = 400;

/** All patterns at once, each a scenario of its name. */
export function patternRun(url: string, seconds: number): Promise<SubmissionInput> {
  const scenarios = PATTERNS.map(({ name, ratePerSecond, maxVus }): [string, object] => [
    name,
    {
      executor: 'constant-arrival-rate',
      rate: ratePerSecond,
      duration: `${seconds}s`,
      preAllocatedVUs: maxVus,
      maxVUs: maxVus,
      flow: [{ get: `/${name}/\${iteration}`, name }],
    },
  ]);
  return compiled({ name: 'calibrate', target: url, scenarios: Object.fromEntries(scenarios) });
}

/** One rate, answered at once. */
export function rateRun(url: string, ratePerSecond: number, seconds: number): Promise<SubmissionInput> {
  const arrivals = {
    executor: 'constant-arrival-rate',
    rate: ratePerSecond,
    duration: `${WARMUP_SECONDS + seconds}s`,
    warmup: `${WARMUP_SECONDS}s`,
    preAllocatedVUs: RATE_VUS,
    maxVUs: RATE_VUS,
    // What could not be fired in time is no longer wanted.
    gracefulStop: '1s',
    flow: [{ get: AT_ONCE }],
  };
  return compiled({ name: 'calibrate rate', target: url, scenarios: { arrivals } });
}

/** By way of a file, as every other scenario. */
async function compiled(scenario: object): Promise<SubmissionInput> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-calibrate-'));
  try {
    const file = join(folder, 'calibrate.yaml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify(scenario));
    const { plan, workload, thresholds, source } = await loadScenario(file, { env: {} });
    return {
      plan,
      workload: encodeWorkload(workload).bytes,
      thresholds,
      source,
      target: workload.target,
      agents: AGENTS,
      onAgentLoss: 'fail',
      waitAgentsMs: WAIT_AGENTS_MS,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
