import { beforeEach, describe, expect, test } from 'vitest';
import { EpochLog } from '../../coordinator/epoch-log.ts';
import { Fleet, type Agent } from '../../coordinator/fleet.ts';
import { Membership, type MembershipChange } from '../../coordinator/membership.ts';
import { Participants, type Participant } from '../../coordinator/participants.ts';
import type { LossPolicy } from '../../coordinator/submission.ts';
import { createLog, VERSION } from '../../shared/base/index.ts';
import type { Epoch } from '../../shared/plan/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sealedInterval } from '../support/intervals.ts';
import { oneEpoch, openScenario } from '../support/plans.ts';

const IDS = ['a', 'b', 'c', 'd'];

describe('membership', () => {
  let arranged: ReturnType<typeof arrange>;
  beforeEach(() => {
    arranged = arrange();
  });

  test('an agent whose stream broke is lost after 2.2 s, and the others take its slots when its lease is over', async () => {
    const { run, breakStream, changes, epochs } = arranged;
    await run(5_000);
    breakStream('c');
    await run(2_100);
    expect(changes).toEqual([]);
    await run(500);
    expect(changes).toEqual([expect.objectContaining({ kind: 'agent-lost', agent: 'c', reason: 'its connection broke' })]);
    expect(epochs()).toHaveLength(2);
    expect(epochs()[1]).toMatchObject({ number: 1, owners: ['a', 'b', 'a', 'd', 'a', 'b', 'b', 'd', 'a', 'b', 'd', 'd'] });
    const { fromUs = 0 } = epochs()[1] ?? {};
    expect(fromUs).toBeGreaterThanOrEqual(7_700_000);
    expect(fromUs).toBeLessThan(8_100_000);
  });

  test('one that only falls silent is given four seconds, and may have fired until its lease was over', async () => {
    const { run, silence, changes } = arranged;
    await run(5_000);
    silence('b');
    await run(3_800);
    expect(changes).toEqual([]);
    await run(600);
    const [change] = changes;
    if (change?.kind !== 'agent-lost') throw new Error('nobody was lost');
    expect(change.firedUntilUs - change.lastSeenUs).toBe(2_500_000);
  });

  test('one that hung up is a process that ended, and had fired until then', async () => {
    const { run, hangUp, firedUntilUs } = arranged;
    await run(5_000);
    hangUp('c');
    await run(3_000);
    expect(firedUntilUs('c')).toBe(5_000_000);
  });

  test('one whose connection broke may be cut off and fire on: until its lease is over', async () => {
    const { run, breakStream, firedUntilUs } = arranged;
    await run(5_000);
    breakStream('c');
    await run(3_000);
    expect(firedUntilUs('c')).toBe(7_500_000);
  });

  test('what a process had sent before it hung up is no life after it, what was sealed later is', async () => {
    const { run, hangUp, deliver, firedUntilUs } = arranged;
    await run(5_000);
    hangUp('b');
    hangUp('c');
    await run(100);
    deliver('b', 5);
    deliver('c', 6);
    await run(3_000);
    expect([firedUntilUs('b'), firedUntilUs('c')]).toEqual([5_000_000, 7_600_000]);
  });

  test('without a lease, one that cannot be heard may fire to the end of the plan', async () => {
    arranged = arrange('continue');
    const { run, silence, hangUp, firedUntilUs } = arranged;
    await run(5_000);
    silence('b');
    hangUp('c');
    await run(5_000);
    expect([firedUntilUs('b'), firedUntilUs('c')]).toEqual([60_000_000, 5_000_000]);
  });

  test('at the end, who neither ended its load nor delivered is lost in the same way, and nobody else', async () => {
    const { run, silence, changes, loseSilent, part } = arranged;
    await run(5_000);
    silence('b');
    await run(1_000);
    // It was ready when the load was over.
    part('d').hasStarted = false;
    expect(loseSilent(['a', 'c'])).toEqual([['b', 7_500_000]]);
    expect(changes).toEqual([]);
  });

  test('nobody is lost while the results plane cannot be asked, or holds a batch that is not read yet', async () => {
    const { run, breakStream, changes, plane } = arranged;
    await run(2_000);
    breakStream('c');
    plane.isDown = true;
    await run(10_000);
    plane.isDown = false;
    plane.last = 1;
    await run(1_000);
    expect(changes).toEqual([]);
    plane.last = 0;
    await run(400);
    expect(changes.map(({ agent }) => agent)).toEqual(['c']);
  });

  test('a coordinator that was deaf itself gives everybody time', async () => {
    const { run, jump, changes } = arranged;
    await run(5_000);
    await jump(30_000);
    await run(400);
    expect(changes).toEqual([]);
  });

  test('an agent that comes back is given a share when it knows every epoch, by an epoch of its own', async () => {
    const { run, silence, speak, changes, epochs } = arranged;
    await run(5_000);
    silence('b');
    await run(5_000);
    expect(epochs()).toHaveLength(2);
    speak('b');
    await run(1_000);
    expect(changes.at(-1)).toEqual({ kind: 'agent-joined', agent: 'b', how: 'came-back' });
    expect(epochs()[2]?.owners).toEqual(['a', 'b', 'c', 'd']);
    // Whoever gives something up for it must have heard, or have ceased to fire.
    expect((epochs()[2]?.fromUs ?? 0) - arranged.nowUs()).toBeGreaterThan(1_500_000);
  });

  test('nothing is given to one that comes while another that delivers cannot be told', async () => {
    const { run, silence, speak, breakStream, deliver, changes, epochs, part } = arranged;
    await run(5_000);
    silence('b');
    await run(5_000);
    breakStream('c');
    speak('b');
    for (let second = 10; second < 14; second++) {
      deliver('c', second);
      await run(1_000);
    }
    expect([changes.at(-1), epochs().length]).toEqual([{ kind: 'agent-joined', agent: 'b', how: 'came-back' }, 2]);
    arranged.participants.onReturn(part('c').agent);
    speak('c');
    await run(1_000);
    expect(epochs()[2]?.owners).toEqual(['a', 'b', 'c', 'd']);
  });

  test('one that comes takes no part in a hand-over either, while another that delivers cannot be told', async () => {
    const { run, silence, speak, breakStream, hangUp, deliver, epochs } = arranged;
    await run(5_000);
    silence('b');
    await run(5_000);
    const before = epochs()[1]?.owners ?? [];
    speak('b');
    breakStream('c');
    hangUp('d');
    for (let second = 10; second < 15; second++) {
      deliver('c', second);
      await run(1_000);
    }
    const after = epochs()[2]?.owners ?? [];
    expect(new Set(after)).toEqual(new Set(['a', 'c']));
    expect(after.filter((_, slot) => before[slot % before.length] === 'c').every((owner) => owner === 'c')).toBe(true);
  });

  test('an agent that is silent on the control plane for 2.2 s cannot be told, though it delivers', async () => {
    const { run, silence, deliver, unreachable } = arranged;
    await run(3_000);
    silence('c');
    await run(2_000);
    deliver('c', 5);
    expect(unreachable()).toBeUndefined();
    await run(600);
    deliver('c', 5);
    expect(unreachable()).toBe('c');
  });

  test('one that broke off before the run began may fire from its beginning until its lease is over', async () => {
    arranged = arrange('rebalance', 1_000);
    const { run, breakStream, firedUntilUs } = arranged;
    breakStream('c');
    await run(5_000);
    expect(firedUntilUs('c')).toBe(2_500_000);
  });

  test.each(['continue', 'fail'] as const)('under %s nobody takes over', async (policy) => {
    arranged = arrange(policy);
    await arranged.run(2_000);
    arranged.breakStream('a');
    await arranged.run(4_000);
    expect([arranged.changes.length, arranged.epochs().length]).toEqual([1, 1]);
  });

  test('two that are lost at once are one epoch', async () => {
    const { run, breakStream, epochs } = arranged;
    await run(2_000);
    breakStream('a');
    breakStream('d');
    await run(4_000);
    expect(epochs()).toHaveLength(2);
    expect(new Set(epochs()[1]?.owners)).toEqual(new Set(['b', 'c']));
  });
});

/** Four agents that say something every half second while they are not silenced, and a membership that looks five times a second. */
function arrange(policy: LossPolicy = 'rebalance', beginsInMs = 0) {
  const clock = new FakeClock();
  const fleet = new Fleet(clock, createLog('test', 'silent'), '');
  const agents = new Map<string, Agent>();
  for (const id of IDS) {
    const hello = {
      agentId: id,
      incarnation: `${id}-1`,
      version: VERSION,
      labels: {},
      capacity: 1,
      allowList: [],
      joinToken: '',
      machineRate: undefined,
      runId: '',
      state: '',
    };
    agents.set(id, fleet.join(hello, noop, noop));
  }
  const zeroUs = clock.nowUs() + beginsInMs * 1_000;
  const participants = new Participants([...agents.values()], clock, { onChange: noop, onBack: noop, onProgress: noop });
  for (const part of participants.all) part.hasStarted = true;
  const epochs = new EpochLog(oneEpoch(...IDS), { runId: 'run', fleet, participants, tell: () => Promise.resolve() });
  const plane = { isDown: false, last: 0 };
  const changes: MembershipChange[] = [];
  const membership = new Membership({
    ...{ runId: 'run', policy, fleet, participants, epochs, clock, zeroUs, fromSequence: 0, isLeased: policy === 'rebalance' },
    plan: { name: 'p', seed: 1, intervalMs: 1_000, scenarios: [{ ...openScenario({ seconds: 60 }), gracefulStopUs: 0 }] },
    plane: { lastBatchSequence: () => (plane.isDown ? Promise.reject(new Error('down')) : Promise.resolve(plane.last)) },
    cutUs: () => Infinity,
    hasDelivered: ({ id }) => delivered.has(id),
    tell: (change) => changes.push(change),
  });
  const silent = new Set<string>();
  const delivered = new Set<string>();
  const part = (id: string): Participant => {
    const found = participants.all.find(({ agent }) => agent.id === id);
    if (found === undefined) throw new Error(`no agent ${id}`);
    return found;
  };
  const speakNow = (): void => {
    for (const [id, agent] of agents) {
      if (silent.has(id)) continue;
      const value = { runId: 'run', elapsedUs: 0, activeVus: 0, ledgers: [], samplesRecorded: 0, loadEnded: false, number: 1 };
      participants.onMessage(agent, { $case: 'progress', value: { ...value, epochs: epochs.all.length } });
    }
  };
  return {
    changes,
    participants,
    plane,
    part,
    epochs: (): readonly Epoch[] => epochs.all,
    nowUs: () => clock.nowUs() - zeroUs,
    /** So many milliseconds go by. */
    run: async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 100) {
        await clock.advance(100);
        if (Math.round((clock.nowUs() - zeroUs) / 100_000) % 5 === 0) speakNow();
        if (Math.round((clock.nowUs() - zeroUs) / 100_000) % 2 === 0) membership.look();
        await membership.close();
      }
    },
    jump: (ms: number) => clock.advance(ms),
    unreachable: () => membership.unreachable?.agent.id,
    silence: (id: string) => silent.add(id),
    speak: (id: string) => silent.delete(id),
    breakStream: (id: string) => {
      silent.add(id);
      participants.onLost(part(id).agent, { reason: 'its connection broke', isHangUp: false });
    },
    hangUp: (id: string) => {
      silent.add(id);
      participants.onLost(part(id).agent, { reason: 'it hung up', isHangUp: true });
    },
    /** A batch of its comes in that was sealed at the end of the given second. */
    deliver: (id: string, second: number) => {
      const key = { agent: id, incarnation: `${id}-1`, sequence: second };
      membership.consumed({ key, ...sealedInterval(second - 1) }, second, true);
    },
    /** Of one that is lost, since the run's zero. */
    firedUntilUs: (id: string) => (part(id).firedUntilUs ?? Infinity) - zeroUs,
    /** The run ends, and only these have delivered; who is lost, and until when it may have fired. */
    loseSilent: (ids: readonly string[]) => {
      for (const id of ids) delivered.add(id);
      membership.loseSilent();
      return participants.lost.map(({ agent, firedUntilUs = Infinity }) => [agent.id, firedUntilUs - zeroUs]);
    },
  };
}

function noop(): void {
  // Nobody listens here.
}
