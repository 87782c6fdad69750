import { describe, expect, test } from 'vitest';
import { Fleet, SILENCE_MAX_MS, type Agent, type StreamEnd } from '../../coordinator/fleet.ts';
import { createLog, VERSION } from '../../shared/base/index.ts';
import type { AgentMessage, CoordinatorMessage, Hello } from '../../shared/wire/index.ts';
import { FakeClock } from '../support/fake-clock.ts';

const HELLO: Hello = {
  agentId: 'agent-1',
  incarnation: 'i-1',
  version: VERSION,
  labels: { zone: 'a' },
  capacity: 2,
  allowList: [],
  joinToken: 'secret',
  machineRate: undefined,
  runId: '',
  state: '',
};

describe('joining', () => {
  test.each([
    ['without the join token', { joinToken: '' }, 'NOT_AUTHORISED'],
    ['with another join token', { joinToken: 'Secret' }, 'NOT_AUTHORISED'],
    ['under a name that is no subject token', { agentId: 'a.b' }, 'CONFIG_INVALID'],
    ['without a name', { agentId: '' }, 'CONFIG_INVALID'],
    ['in another major version', { version: '1.0.0' }, 'VERSION_SKEW'],
  ])('%s is refused', (_, parts, code) => {
    const { fleet, join } = arranged();
    expect(() => join(parts)).toThrow(expect.objectContaining({ code }) as Error);
    expect(fleet.agents()).toEqual([]);
  });

  test('under the name of another process that has joined is refused, and the first one stays', () => {
    const { fleet, join } = arranged();
    const { agent } = join();
    expect(() => join({ incarnation: 'i-2' })).toThrow(expect.objectContaining({ code: 'NOT_AUTHORISED' }) as Error);
    expect(fleet.agents()).toEqual([agent]);
  });

  test('a minor version apart is welcome', () => {
    expect(arranged().join({ version: '0.99.0' }).agent.state).toBe('READY');
  });

  test('welcomes the agent and pings it, and once its clock is known it is free', () => {
    const { fleet, join } = arranged();
    const joined = join();
    expect(joined.said.map(({ $case }) => $case)).toEqual(['welcome', 'clockPing']);
    expect([joined.agent.state, fleet.ready()]).toEqual(['READY', []]);
    joined.pong();
    expect(fleet.ready()).toEqual([joined.agent]);
    expect(joined.agent.clock).toEqual({ offsetUs: 5_000, uncertaintyUs: 0, samples: 1 });
  });

  test('asks to be told twice a second, and agents beyond the 200th once', () => {
    const { join } = arranged();
    const asked = Array.from({ length: 202 }, (_, i) =>
      join({ agentId: `a-${i}` }).said.flatMap((message) => (message.$case === 'welcome' ? [message.value.heartbeatMs] : [])),
    ).flat();
    expect([asked[0], asked[199], asked[200], asked[201]]).toEqual([500, 500, 1_000, 1_000]);
  });

  test('pings eight times in a row, each when the last was answered, and again when a run claims the agent', () => {
    const { fleet, join, listener } = arranged();
    const { agent, said, pong } = join();
    const pings = (): number => said.filter(({ $case }) => $case === 'clockPing').length;
    for (let i = 0; i < 20; i++) pong();
    expect([pings(), agent.clock.samples]).toEqual([8, 8]);
    fleet.claim([agent], 'run-1', listener);
    expect(pings()).toBe(9);
  });

  test('the same process dialling again takes the place of its dead stream, whose run is told', () => {
    const { fleet, join, heard, listener } = arranged();
    const first = join();
    first.pong();
    fleet.claim([first.agent], 'run-1', listener);
    const second = join();
    expect(fleet.agents()).toEqual([second.agent]);
    expect(heard).toEqual([['lost', 'agent-1', 'it dialled in again']]);
    // What the old stream still says, and its end, are nobody's business any more.
    fleet.receive(first.agent, { $case: 'ready', value: { runId: 'run-1' } });
    fleet.left(first.agent, { reason: 'closed', isHangUp: true });
    expect([heard.length, fleet.agents()]).toEqual([1, [second.agent]]);
  });

  test('an answer to a ping that was never sent is no sample', () => {
    const { fleet, join } = arranged();
    const { agent } = join();
    fleet.receive(agent, { $case: 'clockPong', value: { number: 77, receivedUs: 1, sentUs: 1 } });
    expect(agent.clock.samples).toBe(0);
  });
});

describe('an agent of a run', () => {
  test('is not free for another, and what it says goes to its run', () => {
    const { fleet, join, heard, listener } = arranged();
    const [one, two] = [join({ agentId: 'one' }), join({ agentId: 'two' })];
    one.pong();
    two.pong();
    fleet.claim([one.agent], 'run-1', listener);
    expect(fleet.ready()).toEqual([two.agent]);
    fleet.receive(one.agent, { $case: 'ready', value: { runId: 'run-1' } });
    fleet.receive(two.agent, { $case: 'ready', value: { runId: 'run-1' } });
    expect(heard).toEqual([['ready', 'one']]);
  });

  test('goes through its states with the messages of the run, and is free again when the run lets it go', () => {
    const { fleet, join, listener } = arranged();
    const { agent, said, pong } = join();
    pong();
    fleet.claim([agent], 'run-1', listener);
    const states: string[] = [];
    fleet.send(agent, { $case: 'assign', value: { runId: 'run-1', plan: undefined, workloadHash: '', epochs: [] } });
    states.push(agent.state);
    fleet.send(agent, { $case: 'start', value: { runId: 'run-1', atAgentClockUs: 1, setupJson: '' } });
    states.push(agent.state);
    fleet.receive(agent, progress({ loadEnded: false }));
    states.push(agent.state);
    fleet.receive(agent, progress({ loadEnded: true }));
    states.push(agent.state);
    fleet.receive(agent, progress({ loadEnded: true }));
    states.push(agent.state);
    fleet.release('run-1');
    states.push(agent.state);
    expect(states).toEqual(['ASSIGNED', 'RUNNING', 'RUNNING', 'DRAINING', 'DRAINING', 'READY']);
    expect([said.at(-1), agent.runId, fleet.ready()]).toEqual([{ $case: 'release', value: { runId: 'run-1' } }, '', [agent]]);
  });

  test('that refuses is free at once, and its run is told', () => {
    const { fleet, join, heard, listener } = arranged();
    const { agent, pong } = join();
    pong();
    fleet.claim([agent], 'run-1', listener);
    fleet.send(agent, { $case: 'assign', value: { runId: 'run-1', plan: undefined, workloadHash: '', epochs: [] } });
    fleet.receive(agent, { $case: 'refused', value: { runId: 'run-1', reason: 'no', scriptThrew: false } });
    expect([heard, agent.state, fleet.ready()]).toEqual([[['refused', 'agent-1']], 'READY', [agent]]);
  });
});

describe('an agent that dials in in the middle of a run', () => {
  test('that still counts on it goes on in it, in the state it says, and is not free', () => {
    const { fleet, join, heard, listener } = arranged();
    fleet.claim([], 'run-1', listener);
    const { agent, said, pong } = join({ runId: 'run-1', state: 'RUNNING' });
    pong();
    expect([agent.state, agent.runId, fleet.ready(), heard]).toEqual(['RUNNING', 'run-1', [], [['back', 'agent-1']]]);
    expect(said.map(({ $case }) => $case)).not.toContain('release');
    fleet.receive(agent, progress({ loadEnded: true }));
    expect([agent.state, heard.at(-1)]).toEqual(['DRAINING', ['progress', 'agent-1']]);
    fleet.release('run-1');
    expect([agent.state, said.at(-1)?.$case]).toEqual(['READY', 'release']);
  });

  test('after its load is draining', () => {
    const { fleet, join, listener } = arranged();
    fleet.claim([], 'run-1', listener);
    expect(join({ runId: 'run-1', state: 'DRAINING' }).agent.state).toBe('DRAINING');
  });

  test.each([
    ['that nobody knows', 'run-2', 'i-1'],
    ['that no longer counts on it', 'run-1', 'i-2'],
  ])('%s is told that it is over', (_, runId, incarnation) => {
    const { fleet, join, listener } = arranged();
    fleet.claim([], 'run-1', listener);
    const { agent, said, pong } = join({ runId, incarnation, state: 'RUNNING' });
    pong();
    expect(said).toContainEqual({ $case: 'release', value: { runId } });
    expect([agent.state, fleet.ready()]).toEqual(['READY', [agent]]);
  });

  test('takes the place of its dead stream first', () => {
    const { fleet, join, heard, listener } = arranged();
    const first = join();
    first.pong();
    fleet.claim([first.agent], 'run-1', listener);
    const second = join({ runId: 'run-1', state: 'RUNNING' });
    expect(heard).toEqual([
      ['lost', 'agent-1', 'it dialled in again'],
      ['back', 'agent-1'],
    ]);
    expect(fleet.agents()).toEqual([second.agent]);
  });
});

describe('silence', () => {
  test('for longer than five seconds loses the agent: its run is told, its stream is hung up, messages to it go nowhere', async () => {
    const { clock, fleet, join, heard, listener, pass } = arranged();
    const { agent, said, pong, hungUp } = join();
    pong();
    fleet.claim([agent], 'run-1', listener);
    await pass(SILENCE_MAX_MS);
    expect([fleet.agents(), hungUp()]).toEqual([[agent], 0]);
    await clock.advance(1);
    fleet.beat();
    expect([fleet.agents(), hungUp(), agent.state]).toEqual([[], 1, 'LOST']);
    expect(heard).toEqual([['lost', 'agent-1', 'silent for 5 s']]);
    const before = said.length;
    fleet.send(agent, { $case: 'stop', value: { runId: 'run-1', atUs: 0, reason: '' } });
    fleet.release('run-1');
    expect(said.length).toBe(before);
  });

  test('that is our own, since we stood still for a minute, loses nobody who speaks then, and whoever does not after five seconds more', async () => {
    const { clock, fleet, join, pass } = arranged();
    const { agent } = join();
    const { agent: gone } = join({ agentId: 'agent-2' });
    await clock.advance(60_000);
    fleet.beat();
    expect(fleet.agents()).toEqual([agent, gone]);
    await pass(SILENCE_MAX_MS);
    fleet.receive(agent, progress({}));
    await pass(1);
    expect(fleet.agents()).toEqual([agent]);
  });

  test('is broken by any message, also an answer to a ping', async () => {
    const { fleet, join, pass } = arranged();
    const { agent, pong } = join();
    for (const speak of [
      pong,
      () => {
        fleet.receive(agent, progress({}));
      },
      pong,
    ]) {
      await pass(SILENCE_MAX_MS);
      speak();
      expect(fleet.agents()).toEqual([agent]);
    }
    await pass(SILENCE_MAX_MS);
    expect(fleet.agents()).toEqual([agent]);
  });
});

describe('waiting for the fleet', () => {
  test('ends with true as soon as what is waited for holds', async () => {
    const { clock, fleet, join } = arranged();
    const enough = fleet.until(() => fleet.ready().length === 1, 10_000, new AbortController().signal);
    await clock.untilSleeping();
    join().pong();
    expect(await enough).toBe(true);
    expect(clock.sleeping).toBe(0);
  });

  test('ends with false after its time, and on abort', async () => {
    const { clock, fleet } = arranged();
    const late = fleet.until(() => false, 10_000, new AbortController().signal);
    await clock.untilSleeping();
    await clock.advance(10_000);
    expect(await late).toBe(false);
    const abort = new AbortController();
    const aborted = fleet.until(() => false, 10_000, abort.signal);
    await clock.untilSleeping();
    abort.abort();
    expect(await aborted).toBe(false);
  });
});

function arranged() {
  const clock = new FakeClock();
  const fleet = new Fleet(clock, createLog('test', 'silent'), 'secret');
  const heard: string[][] = [];
  const listener = {
    onMessage: (agent: Agent, message: AgentMessage) => heard.push([message.$case, agent.id]),
    onLost: (agent: Agent, { reason }: StreamEnd) => heard.push(['lost', agent.id, reason]),
    /** Of agent-1 the run still counts on the process i-1. */
    onReturn: (agent: Agent) => {
      heard.push(['back', agent.id]);
      return agent.id === 'agent-1' && agent.incarnation === 'i-1';
    },
  };
  const join = (parts: Partial<Hello> = {}) => {
    const said: CoordinatorMessage[] = [];
    let hangUps = 0;
    const agent = fleet.join({ ...HELLO, ...parts }, (message) => said.push(message), () => hangUps++); // prettier-ignore
    let answered = 0;
    /** Answers the next ping; the agent's clock is 5 ms ahead. */
    const pong = (): void => {
      const pings = said.flatMap((message) => (message.$case === 'clockPing' ? [message.value.number] : []));
      const number = pings[answered++] ?? 0;
      fleet.receive(agent, { $case: 'clockPong', value: { number, receivedUs: clock.nowUs() + 5_000, sentUs: clock.nowUs() + 5_000 } });
    };
    return { agent, said, pong, hungUp: () => hangUps };
  };
  /** A beat a second, as the coordinator makes them. */
  const pass = async (ms: number): Promise<void> => {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
      await clock.advance(Math.min(leftMs, 1_000));
      fleet.beat();
    }
  };
  return { clock, fleet, heard, listener, join, pass };
}

function progress(parts: { readonly loadEnded?: boolean }): AgentMessage {
  return {
    $case: 'progress',
    value: {
      runId: 'run-1',
      elapsedUs: 0,
      activeVus: 0,
      ledgers: [],
      samplesRecorded: 0,
      loadEnded: false,
      number: 1,
      epochs: 1,
      ...parts,
    },
  };
}
