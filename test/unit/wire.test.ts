import { describe, expect, test } from 'vitest';
import { AppError, ID_PATTERN } from '../../shared/base/index.ts';
import { HTTP_DEFAULTS, type Workload } from '../../shared/plan/index.ts';
import {
  batchFilter,
  batchMessageId,
  batchSubject,
  decodeBatch,
  decodeWorkload,
  encodeWorkload,
  eventSubject,
  nextAgentState,
  planFromWire,
  planToWire,
  STREAM_SUBJECTS,
  type AgentEvent,
  type AgentState,
} from '../../shared/wire/index.ts';
import { closedScenario, openScenario } from '../support/plans.ts';

describe('the states of an agent', () => {
  const allowed: readonly (readonly [AgentState, AgentEvent, AgentState])[] = [
    ['JOINING', 'welcomed', 'READY'],
    ['JOINING', 'taken-up', 'RUNNING'],
    ['JOINING', 'lost', 'LOST'],
    ['READY', 'assigned', 'ASSIGNED'],
    ['READY', 'released', 'READY'],
    ['READY', 'lost', 'LOST'],
    ['ASSIGNED', 'refused', 'READY'],
    ['ASSIGNED', 'started', 'RUNNING'],
    ['ASSIGNED', 'released', 'READY'],
    ['ASSIGNED', 'lost', 'LOST'],
    ['RUNNING', 'load-ended', 'DRAINING'],
    ['RUNNING', 'released', 'READY'],
    ['RUNNING', 'lost', 'LOST'],
    ['DRAINING', 'released', 'READY'],
    ['DRAINING', 'lost', 'LOST'],
    ['LOST', 'lost', 'LOST'],
  ];
  const states: readonly AgentState[] = ['JOINING', 'READY', 'ASSIGNED', 'RUNNING', 'DRAINING', 'LOST'];
  const events: readonly AgentEvent[] = ['welcomed', 'taken-up', 'assigned', 'refused', 'started', 'load-ended', 'released', 'lost'];

  test.each(allowed)('%s goes on %s to %s', (from, event, to) => {
    expect(nextAgentState(from, event)).toBe(to);
  });

  const refused = states.flatMap((state) =>
    events.filter((event) => !allowed.some(([from, on]) => from === state && on === event)).map((event) => [state, event] as const),
  );
  test.each(refused)('%s does not know %s', (state, event) => {
    expect(nextAgentState(state, event)).toBeUndefined();
  });
});

describe('a workload', () => {
  const workload: Workload = {
    flows: { browse: { kind: 'script', scenario: 'browse' } },
    rows: { users: { order: 'unique', columns: ['näme'], rows: [['ann'], ['日本']] } },
    script: 'export default {}',
    env: { A: 'b' },
    target: 'http://127.0.0.1:1',
    defaults: { timeoutMs: 1, headers: [['a', 'b']] },
    http: HTTP_DEFAULTS,
    files: {},
  };

  test('comes back as it was, and equal workloads have one hash', () => {
    const { bytes, hash } = encodeWorkload(workload);
    expect(decodeWorkload(bytes, hash)).toEqual(workload);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(encodeWorkload(structuredClone(workload)).hash).toBe(hash);
    expect(encodeWorkload({ ...workload, env: {} }).hash).not.toBe(hash);
  });

  test('bytes that do not have the hash they were asked by are refused, whichever bit it is', () => {
    const { bytes, hash } = encodeWorkload(workload);
    for (const at of [0, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const broken = Uint8Array.from(bytes);
      broken[at]! ^= 1;
      expect(() => decodeWorkload(broken, hash)).toThrow(AppError);
    }
  });
});

describe('subjects', () => {
  test('of every run and agent fall under what the stream keeps, and a run’s filter takes its batches only', () => {
    expect(matches(STREAM_SUBJECTS[0] ?? '', batchSubject('run-1', 'agent_1'))).toBe(true);
    expect(matches(STREAM_SUBJECTS[1] ?? '', eventSubject('run-1'))).toBe(true);
    expect(matches(batchFilter('run-1'), batchSubject('run-1', 'a'))).toBe(true);
    expect(matches(batchFilter('run-1'), batchSubject('run-2', 'a'))).toBe(false);
    expect(matches(batchFilter('run-1'), eventSubject('run-1'))).toBe(false);
  });

  test('a message id differs in each of its parts', () => {
    const ids = [batchMessageId('r', 'a', 'i', 0), batchMessageId('s', 'a', 'i', 0), batchMessageId('r', 'b', 'i', 0), batchMessageId('r', 'a', 'j', 0), batchMessageId('r', 'a', 'i', 1)]; // prettier-ignore
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each(['a.b', 'a b', 'a*', '>', '', 'x'.repeat(65), 'ä'])('%j is no id', (id) => {
    expect(ID_PATTERN.test(id)).toBe(false);
  });
});

describe('what another build sends', () => {
  test('a load model this one does not know is refused by name', () => {
    const wire = planToWire({ name: 'p', seed: 1, intervalMs: 1_000, scenarios: [closedScenario(), openScenario()] });
    const [closed, open] = wire.scenarios;
    if (closed?.load?.$case !== 'closed' || open?.load?.$case !== 'open') throw new Error('one of each');
    const unknown = [
      { ...closed, load: { $case: 'closed' as const, value: { ...closed.load.value, executor: 'chaotic-vus' } } },
      { ...open, load: { $case: 'open' as const, value: { ...open.load.value, executor: 'x' } } },
      { ...open, load: { $case: 'open' as const, value: { ...open.load.value, arrivals: 'bursty' } } },
      { ...open, load: undefined },
    ];
    for (const scenario of unknown) {
      expect(() => planFromWire({ ...wire, scenarios: [scenario] })).toThrow(
        `scenario ${scenario.name}: a load model this version does not know`,
      );
    }
  });

  test.each([
    ['no bytes at all', new Uint8Array()],
    ['text', new TextEncoder().encode('hello')],
    ['a cut message', new Uint8Array([10, 200])],
  ])('%s is no batch', (_, bytes) => {
    expect(() => decodeBatch(bytes)).toThrow();
  });
});

/** NATS' own rule for `*`, which stands for one token. */
function matches(filter: string, subject: string): boolean {
  const tokens = subject.split('.');
  const wanted = filter.split('.');
  return tokens.length === wanted.length && wanted.every((token, i) => token === '*' || token === tokens[i]);
}
