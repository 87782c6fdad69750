import { afterAll, beforeAll, expect, test } from 'vitest';
import { imbalances } from '../../shared/stats/index.ts';
import { Cluster } from '../support/cluster.ts';
import { TargetProcess } from '../support/target-process.ts';
import { waitUntil } from '../support/wait-until.ts';

/** So many looks in a row at a target that is fired at every 5 ms. */
const QUIET_LOOKS = 20;

let cluster: Awaited<ReturnType<typeof Cluster.startApart>>;
let target: TargetProcess;

beforeAll(async () => {
  target = await TargetProcess.start({ behaviours: { '*': {} } });
  cluster = await Cluster.startApart(1);
});
afterAll(async () => {
  cluster.coordinator.kill('SIGCONT');
  await cluster.stop();
  await target.stop();
});

test('an agent that is told to end ceases to fire at once, whether its coordinator hears it or not, and the ledger balances', async () => {
  const load = { executor: 'constant-arrival-rate', rate: 200, duration: '20s', flow: [{ get: '/' }] };
  const { child, done } = await cluster.begin({ name: 'one leaves', target: target.url, scenarios: { load } }, 1);
  await child.untilSaid(/\b2(\.\d+)?s\/20s/);
  const [agent] = cluster.members;
  let hasEnded = false;
  void agent?.ended.then(() => (hasEnded = true));
  // Nobody answers its goodbye, so it waits for that.
  cluster.coordinator.kill('SIGSTOP');
  agent?.kill('SIGTERM');
  let last = -1;
  let quiet = 0;
  await waitUntil('the target is left alone', async () => {
    const total = await target.total();
    quiet = total === last ? quiet + 1 : 0;
    last = total;
    return quiet === QUIET_LOOKS;
  });
  expect(hasEnded).toBe(false);
  cluster.coordinator.kill('SIGCONT');
  expect((await agent?.ended)?.code).toBe(0);
  const { summary } = await done;
  expect(imbalances(summary.ledger)).toEqual([]);
  expect(await target.total()).toBe(last);
  expect(last).toBeGreaterThanOrEqual(summary.ledger.started);
  expect(last).toBeLessThanOrEqual(summary.ledger.started + summary.ledger.unknown);
});
