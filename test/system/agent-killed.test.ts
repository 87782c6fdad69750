import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imbalances } from '../../shared/stats/index.ts';
import type { RunEvent } from '../../shared/wire/index.ts';
import { Cluster, type ClusterRun } from '../support/cluster.ts';
import { iterationsOf, perWindow, zeroUs } from '../support/started-run.ts';
import { TargetProcess } from '../support/target-process.ts';

const RATE = 400;
const DURATION_S = 20;
const SHARE = RATE / 4;
const SECOND_US = 1_000_000;
/** How much of a killed agent's share may be unknown, seconds: what it had not delivered, and how long it took until its end was noticed. */
const UNHEARD_S = 1.5;
/** About one kill in forty, the kernel resets a connection on which something was still unread, which a cut network does too: then the
 *  agent's lease counts, after an interval that was not delivered. */
const UNHEARD_WITH_LEASE_S = 1 + 2.5;

describe('an agent that is killed in the middle of a run', () => {
  let cluster: Awaited<ReturnType<typeof Cluster.startApart>>;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': {} } });
    cluster = await Cluster.startApart(4);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('leaves a gap that the ledger knows and the others close within five seconds, and nothing is fired twice', async () => {
    const load = { executor: 'constant-arrival-rate', rate: RATE, duration: `${DURATION_S}s`, flow: [{ get: '/i/${iteration}' }] };
    const { child, done } = await cluster.begin({ name: 'one is killed', target: target.url, scenarios: { load } }, 4);
    await child.untilSaid(/\b1\d(\.\d+)?s\/20s/);
    cluster.members[2]?.kill('SIGKILL');
    const killedUs = (performance.timeOrigin + performance.now()) * 1_000;
    const run = await done;
    const { arrivals, total } = await target.log();
    const { ledger, validity } = run.summary;

    expect(imbalances(ledger)).toEqual([]);
    expect(ledger.planned).toBe(RATE * DURATION_S);
    const deficit = ledger.planned - total;
    expect(deficit).toBeGreaterThanOrEqual(ledger.undelivered);
    expect(deficit).toBeLessThanOrEqual(ledger.undelivered + ledger.unknown);
    expect(ledger.undelivered).toBeGreaterThan(0);
    expect(ledger.unknown).toBeLessThanOrEqual(unheardS(run) * SHARE);
    expect(validity.grade).toBe('degraded');
    expect(validity.reasons).toContainEqual(expect.objectContaining({ code: 'agents-lost', agent: 'agent-3' }));

    const iterations = iterationsOf(arrivals);
    expect(new Set(iterations).size).toBe(iterations.length);
    // Every arrival planned from five seconds after the kill on was made, by the target's own log.
    const fromUs = zeroUs(run);
    const first = Math.ceil(((killedUs + 5 * SECOND_US - fromUs) / SECOND_US) * RATE);
    const late = iterations.filter((index) => index >= first);
    expect(late).toHaveLength(RATE * DURATION_S - first);
    expect(perWindow(arrivals, fromUs, SECOND_US).slice(0, DURATION_S)).toHaveLength(DURATION_S);
  });
});

function unheardS({ bundle }: ClusterRun): number {
  const events = bundle.manifest.events as readonly RunEvent[];
  const lost = events.find(({ kind }) => kind === 'agent-lost');
  expect(lost?.detail['reason']).toMatch(/^it hung up$|^its connection broke$/);
  return lost?.detail['reason'] === 'it hung up' ? UNHEARD_S : UNHEARD_WITH_LEASE_S;
}
