import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSchedule, Stripe, type Epoch, type Plan, type PlannedScenario } from '../../shared/plan/index.ts';
import { readBundle, type Bundle, type Summary } from '../../shared/report/index.ts';
import { withNoise } from '../support/machine-noise.ts';
import { NatsServer } from '../support/nats-server.ts';
import { atAQuietMoment } from '../support/quiet-moment.ts';
import { Shell, summaryOf } from '../support/shell.ts';
import { TargetProcess } from '../support/target-process.ts';
import type { TargetLog } from '../support/target.ts';
import { waitUntil } from '../support/wait-until.ts';

const MINUTES_3_MS = 180_000;
const SECONDS = 5;
const RATE = 500;
/** Of two agents, between what the target saw of each. */
const START_SPREAD_MAX_MS = 5;
/** Threads that wait for a core between an agent's zero and the target's log, each of which may be late by the machine's noise. */
const WAITS = 4;

/** Linux's libfaketime, which stands between a process and the kernel's clocks; from the package `faketime`. */
const FAKETIME = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/local/lib']
  .map((dir) => join(dir, 'faketime', 'libfaketimeMT.so.1'))
  .find(existsSync);

const SKEWED = { NODE_OPTIONS: `--require=${join(import.meta.dirname, '..', 'support', 'skewed-clock.cjs')}` };

/** By agent: what its process is given in its environment. */
type Clocks = Readonly<Record<string, Readonly<Record<string, string>>>>;

const files = new Shell();
const target = await TargetProcess.start({ behaviours: { '*': {} } });
let nats: NatsServer;

beforeAll(async () => {
  nats = await NatsServer.start();
});
afterAll(async () => {
  await nats.stop();
  await target.stop();
  await files.close();
});

/** A coordinator with one agent for each clock; `run` conducts one run on all of them. */
async function clusterOf(clocks: Clocks) {
  const shell = new Shell();
  const { address } = await shell.coordinator(nats.url);
  const agents = Object.entries(clocks).map(([agentId, env]) => {
    const options = JSON.stringify({ agentId, coordinator: address, natsUrl: nats.url });
    return shell.processes.start('agent/main.js', [], { env: { ...env, MUSTER_AGENT_OPTIONS: options } });
  });
  await Promise.all(agents.map((agent) => agent.untilSaid(/"joined"/, 60_000)));
  let runs = 0;
  const run = async (seconds: number): Promise<Ran> => {
    await target.reset();
    const load = { executor: 'constant-arrival-rate', rate: RATE, duration: `${seconds}s`, maxVUs: 200, flow: [{ get: '/${iteration}' }] };
    const file = await shell.file({ name: 'clocks', target: target.url, scenarios: { load } });
    const out = join(shell.dir, `out-${++runs}`);
    const words = ['run', file, '--coordinator', address, '--agents', String(agents.length), '--out', out, '--json', '--quiet'];
    const summary = summaryOf(await shell.muster(...words));
    return { summary, bundle: await readBundle(out), log: await target.log() };
  };
  return { shell, run };
}

interface Ran {
  readonly summary: Summary;
  readonly bundle: Bundle;
  readonly log: TargetLog;
}

/** How late each agent's first request was, against the instant that the plan gives it, by the target's clock, milliseconds. */
function firstOffMs({ bundle, log }: Ran): Map<string, number> {
  const { scenario, epochs, zeroUs } = planOf(bundle);
  const schedule = createSchedule(scenario, (bundle.manifest.plan as Plan).seed);
  const owners = epochs[0]?.owners ?? [];
  const first = new Map<string, number>();
  for (const { path, atUs } of log.arrivals) {
    const index = Number(path.slice(1));
    const owner = owners[index % owners.length] ?? '';
    if (index < owners.length) first.set(owner, (atUs - zeroUs - schedule.instantUs(index)) / 1_000);
  }
  return first;
}

function planOf({ manifest }: Bundle): { readonly scenario: PlannedScenario; readonly epochs: readonly Epoch[]; readonly zeroUs: number } {
  const [scenario] = (manifest.plan as Plan).scenarios;
  if (scenario === undefined) throw new Error('a plan has a scenario');
  const started = manifest.events.find((event) => (event as { kind: string }).kind === 'started') as { detail: { zeroUs: number } };
  return { scenario, epochs: manifest.epochs as readonly Epoch[], zeroUs: started.detail.zeroUs };
}

/** Sealed lines of each agent: the interval, and how much of its share had been started by its end. */
async function sealedBy(bundle: Bundle): Promise<Map<string, { readonly index: number; readonly started: number }[]>> {
  const sealed = new Map<string, { index: number; started: number }[]>();
  for await (const line of bundle.agentLines()) {
    const { agent, intervalIndex, ledgers } = line as {
      agent: string;
      intervalIndex: number;
      ledgers: readonly { readonly ledger: { readonly started: number } }[];
    };
    const own = sealed.get(agent) ?? [];
    sealed.set(agent, [...own, { index: intervalIndex, started: ledgers[0]?.ledger.started ?? 0 }]);
  }
  return sealed;
}

/** Everybody began together, and every interval of everybody holds what the plan has in that second. `midway` is called in mid-run. */
async function expectAligned(clocks: Clocks, midway: () => Promise<void>): Promise<void> {
  const { shell, run } = await clusterOf(clocks);
  try {
    // Code is compiled, connections and clocks have settled.
    await run(1);
    await atAQuietMoment(WAITS * 0.5, async () => {
      const { result: ran, noise } = await withNoise(async () => {
        const running = run(SECONDS);
        await Promise.race([
          running,
          waitUntil('half the load is done', async () => (await target.total()) > (RATE * SECONDS) / 2, 60_000),
        ]);
        await midway();
        return running;
      });
      const first = firstOffMs(ran);
      const sealed = await sealedBy(ran.bundle);
      expect([...first.keys()].sort()).toEqual(Object.keys(clocks).sort());
      expect(ran.summary.ledger).toMatchObject({ planned: RATE * SECONDS, started: RATE * SECONDS, completed: RATE * SECONDS });
      expect(ran.log.total).toBe(RATE * SECONDS);
      expect(ran.summary.validity.reasons.filter(({ code }) => code === 'clock-uncertain')).toEqual([]);
      const { scenario, epochs } = planOf(ran.bundle);
      return {
        noiseMs: WAITS * noise.p99Ms,
        allowanceMs: noise.sumP99Ms(WAITS),
        judge: (slackMs: number): void => {
          const offsMs = [...first.values()];
          expect(Math.max(...offsMs) - Math.min(...offsMs), `starts, ms: ${JSON.stringify([...first])}`).toBeLessThanOrEqual(
            START_SPREAD_MAX_MS + slackMs,
          );
          for (const [agent, lines] of sealed) {
            const stripe = new Stripe(scenario, createSchedule(scenario, (ran.bundle.manifest.plan as Plan).seed), epochs, agent);
            // The last second may end with the load and not with the second.
            const whole = lines.filter(({ index }) => index < SECONDS - 1);
            expect(
              whole.map(({ index }) => index),
              agent,
            ).toEqual(Array.from({ length: SECONDS - 1 }, (_, index) => index));
            for (const { index, started } of whole) {
              // What was due in the last instants of a second is fired in it or just after it.
              const planned = stripe.countBefore((index + 1) * 1_000_000);
              const lateMax = 1 + Math.ceil(((START_SPREAD_MAX_MS + slackMs) * RATE) / 1_000 / Object.keys(clocks).length);
              expect(planned - started, `${agent}, second ${index}`).toBeLessThanOrEqual(lateMax);
              expect(planned - started, `${agent}, second ${index}`).toBeGreaterThanOrEqual(-1);
            }
          }
        },
      };
    });
  } finally {
    await shell.close();
  }
}

describe('agents whose clocks are minutes wrong, or are set while the load is on, start with the others, and their series are aligned', () => {
  test('as Node tells them the time', async () => {
    const step = join(files.dir, 'step');
    const clocks = {
      right: {},
      ahead: { ...SKEWED, SKEW_MS: String(MINUTES_3_MS) },
      behind: { ...SKEWED, SKEW_MS: String(-MINUTES_3_MS) },
      set: { ...SKEWED, SKEW_STEP_FILE: step },
    };
    await expectAligned(clocks, () => writeFile(step, ''));
  });

  test.runIf(FAKETIME !== undefined)('as the kernel does, by libfaketime', async () => {
    const step = join(files.dir, 'faketime');
    await writeFile(step, '+60');
    const faked = { LD_PRELOAD: FAKETIME ?? '', DONT_FAKE_MONOTONIC: '1' };
    const clocks = {
      right: {},
      ahead: { ...faked, FAKETIME: '+180' },
      behind: { ...faked, FAKETIME: '-180' },
      set: { ...faked, FAKETIME_TIMESTAMP_FILE: step, FAKETIME_NO_CACHE: '1' },
    };
    await expectAligned(clocks, () => writeFile(step, '+200'));
  });
});
