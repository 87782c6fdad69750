import { describe, expect, test } from 'vitest';
import { foldRuns, type RunHistory } from '../../coordinator/run-fold.ts';
import type { RunEvent } from '../../shared/wire/index.ts';

const CLOCK = { offsetUs: 5, uncertaintyUs: 1, samples: 8 };
const AGENT = { id: 'a', incarnation: 'i', version: '0.1.0', labels: {}, capacity: 1 };
const EPOCH = { number: 0, fromUs: 0, owners: ['a'] };
const STORY: readonly RunEvent[] = [
  event('submitted', { name: 'shop', agents: 1, durationUs: 9, submissionHash: 's', workloadHash: 'w' }, 1_000),
  event('assigned', { agents: [AGENT], workloadHash: 'w', epochs: [EPOCH] }),
  event('chore-given', { kind: 'setup', agent: 'a' }),
  event('chore', { kind: 'setup', agent: 'a', failure: '' }),
  event('started', { zeroUs: 77, clocks: [{ agent: 'a', ...CLOCK }], setupHash: 'j' }),
  event('epoch', { number: 1, fromUs: 5, owners: ['a', 'a'] }),
  event('agent-lost', { agent: 'b', reason: 'gone', lastSeenUs: 4, firedUntilUs: 6 }),
  event('coordinator-restarted', { restarts: 1 }),
  event('stopping', { atUs: 8, kind: 'person', reason: 'enough' }),
  event('chore-given', { kind: 'teardown', agent: 'a' }),
  event('chore', { kind: 'teardown', agent: 'a', failure: 'it threw' }),
  event('finished', { exitCode: 105, message: 'stopped', elapsedUs: 9 }),
];

describe('the fold of a run’s events', () => {
  test('is all that a coordinator must know to take it up', () => {
    const { events, ...history } = folded(STORY);
    expect(events).toEqual(STORY);
    expect(history).toEqual({
      runId: 'run-1',
      name: 'shop',
      submittedAtMs: 1_000,
      durationUs: 9,
      submissionHash: 's',
      workloadHash: 'w',
      agents: [AGENT],
      epochs: [EPOCH, { number: 1, fromUs: 5, owners: ['a', 'a'] }],
      zeroUs: 77,
      clocks: new Map([['a', CLOCK]]),
      setupHash: 'j',
      setupAgent: 'a',
      cutUs: 8,
      stopCause: { kind: 'person', reason: 'enough' },
      lost: new Map([['b', 6]]),
      returned: new Set(),
      teardownAgent: 'a',
      teardown: 'it threw',
      restarts: 1,
      finished: { exitCode: 105, message: 'stopped', elapsedUs: 9 },
    });
  });

  test('of every beginning of the story knows what was said until then and nothing else', () => {
    const known = STORY.map((_, end) => folded(STORY.slice(0, end + 1)));
    expect(known.map(({ zeroUs }) => zeroUs !== undefined)).toEqual(STORY.map((_, i) => i >= 4));
    expect(known.map(({ cutUs }) => cutUs < Infinity)).toEqual(STORY.map((_, i) => i >= 8));
    expect(known.map(({ teardownAgent }) => teardownAgent !== undefined)).toEqual(STORY.map((_, i) => i >= 9));
    expect(known.map(({ finished }) => finished !== undefined)).toEqual(STORY.map((_, i) => i === 11));
  });

  test('does not change by an event that was stored twice, or that an unknown version wrote', () => {
    const twice = STORY.flatMap((one) => [one, { ...one, detail: { ...one.detail } }]);
    const strange = { ...event('epoch', {}), kind: 'eclipse' } as unknown as RunEvent;
    expect(folded(twice)).toEqual(folded(STORY));
    expect({ ...folded([...STORY, strange]), events: STORY }).toEqual(folded(STORY));
  });

  test('knows who came back and who joined late', () => {
    const late = { ...AGENT, id: 'c' };
    const { agents, lost, returned } = folded([
      ...STORY.slice(0, 7),
      event('agent-joined', { agent: 'b', how: 'came-back' }),
      event('agent-joined', { agent: 'c', how: 'late', joined: late }),
    ]);
    expect([agents, lost, returned]).toEqual([[AGENT, late], new Map(), new Set(['b'])]);
  });

  test('keeps runs apart, and begins none without its submission', () => {
    const other = STORY.map((one) => ({ ...one, runId: 'run-2' }));
    const mixed = STORY.flatMap((one, i) => [one, ...other.slice(i, i + 1)]);
    const orphan = { ...event('started', { zeroUs: 1 }), runId: 'run-0' };
    const runs = foldRuns([orphan, ...mixed]);
    expect([...runs.keys()]).toEqual(['run-1', 'run-2']);
    expect(runs.get('run-2')).toEqual({ ...folded(STORY), runId: 'run-2', events: other });
  });
});

function event(kind: RunEvent['kind'], detail: RunEvent['detail'], atMs = 2_000): RunEvent {
  return { runId: 'run-1', atMs, kind, detail };
}

function folded(events: readonly RunEvent[]): RunHistory {
  const run = foldRuns(events).get('run-1');
  if (run === undefined) throw new Error('the run is not known');
  return run;
}
