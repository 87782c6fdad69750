import { describe, expect, test } from 'vitest';
import type { Agent } from '../../coordinator/fleet.ts';
import { Participants } from '../../coordinator/participants.ts';
import { FakeClock } from '../support/fake-clock.ts';

const AWAIT_MS = 10_000;

describe('the participants of a run that is taken up', () => {
  test('are away only when their time to dial in is over, and are waited for until then', async () => {
    const { participants, clock, part } = arranged();
    expect([part('a').disconnected, participants.isAway(part('a')), participants.expected]).toEqual([
      'the coordinator was restarted',
      false,
      new Set(['a', 'b']),
    ]);
    await clock.advance(AWAIT_MS);
    expect([participants.isAway(part('a')), participants.expected]).toEqual([true, new Set()]);
  });

  test('that dial in are there, under the stream that they have now, and their run is told', async () => {
    const { participants, clock, part, back } = arranged();
    const again = agent('a');
    expect(participants.onReturn(again)).toBe(true);
    await clock.advance(AWAIT_MS);
    expect([part('a').disconnected, part('a').agent === again, back, participants.expected]).toEqual([
      undefined,
      true,
      ['a'],
      new Set(['a']),
    ]);
  });

  test('that were lost before are taken back, and have no share until it is known that they know every epoch', () => {
    const { participants, part, back } = arranged();
    participants.markLost('a', 77);
    expect([participants.lost.length, participants.expected]).toEqual([1, new Set(['b'])]);
    expect(participants.onReturn(agent('a'))).toBe(true);
    expect([back, participants.lost, part('a').mayReturn, participants.everLost.length]).toEqual([['a'], [], true, 1]);
  });

  test('that are another process, or nobody, are not taken back', () => {
    const { participants, back } = arranged();
    expect(participants.onReturn({ ...agent('b'), incarnation: 'another' })).toBe(false);
    expect(participants.onReturn(agent('c'))).toBe(false);
    expect([back, participants.expected]).toEqual([[], new Set(['a', 'b'])]);
  });
});

function arranged() {
  const clock = new FakeClock();
  const back: string[] = [];
  const participants = new Participants([agent('a'), agent('b')], clock, {
    onChange: () => {},
    onBack: (one) => back.push(one.agent.id),
    onProgress: () => {},
  });
  participants.await(clock.nowUs() + AWAIT_MS * 1_000, 'the coordinator was restarted');
  const part = (id: string) => {
    const found = participants.all.find((one) => one.agent.id === id);
    if (found === undefined) throw new Error(`no participant ${id}`);
    return found;
  };
  return { participants, clock, part, back };
}

function agent(id: string): Agent {
  return {
    id,
    incarnation: 'i',
    version: '0.1.0',
    labels: {},
    capacity: 1,
    machineRate: undefined,
    clock: { offsetUs: 0, uncertaintyUs: 0, samples: 1 },
    state: 'LOST',
    runId: 'run-1',
    lastSeenUs: 0,
  };
}
