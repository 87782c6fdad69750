import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imbalances } from '../../shared/stats/index.ts';
import { Cluster } from '../support/cluster.ts';
import { iterationsOf, zeroUs } from '../support/started-run.ts';
import { TargetProcess } from '../support/target-process.ts';

const RATE = 200;
const DURATION_S = 16;

describe('an agent that is frozen and thawed in the middle of a run', () => {
  let cluster: Awaited<ReturnType<typeof Cluster.startApart>>;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': {} } });
    cluster = await Cluster.startApart(3);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('fires nothing that was given away or passed meanwhile, is given a share again, and its own word settles the run', async () => {
    const load = { executor: 'constant-arrival-rate', rate: RATE, duration: `${DURATION_S}s`, flow: [{ get: '/i/${iteration}' }] };
    const { child, done } = await cluster.begin({ name: 'one is frozen', target: target.url, scenarios: { load } }, 3);
    await child.untilSaid(/\b3(\.\d+)?s\/16s/);
    cluster.members[1]?.kill('SIGSTOP');
    await child.untilSaid(/agent agent-2 lost/);
    // Its stripes have moved by then, and its stream is closed.
    await child.untilSaid(/\b(9|1\d)(\.\d+)?s\/16s/);
    const thawedUs = (performance.timeOrigin + performance.now()) * 1_000;
    cluster.members[1]?.kill('SIGCONT');
    const run = await done;
    const { arrivals, total } = await target.log();
    const { ledger, validity } = run.summary;

    expect(child.stderr).toContain('agent agent-2 is back');
    expect(imbalances(ledger)).toEqual([]);
    // It came back and said what it did: nothing is left to guess.
    expect(ledger).toMatchObject({ planned: RATE * DURATION_S, started: total, unknown: 0 });
    expect(validity.reasons).toContainEqual(expect.objectContaining({ code: 'agents-lost', agent: 'agent-2' }));
    const iterations = iterationsOf(arrivals);
    expect(new Set(iterations).size).toBe(iterations.length);
    // What arrives after the thaw was planned after it; a second is far more than an arrival takes.
    const soonest = ((thawedUs - zeroUs(run)) / 1_000_000 - 1) * RATE;
    const late = arrivals.filter(({ atUs }) => atUs >= thawedUs);
    expect(iterationsOf(late).filter((index) => index < soonest)).toEqual([]);
    // From the epoch of its return on nothing is missing.
    const last = run.bundle.manifest.epochs as readonly { readonly fromUs: number; readonly owners: readonly string[] }[];
    expect(last.at(-1)?.owners).toContain('agent-2');
    const first = Math.ceil(((last.at(-1)?.fromUs ?? 0) / 1_000_000) * RATE);
    expect(iterations.filter((index) => index >= first)).toHaveLength(RATE * DURATION_S - first);
  });
});
