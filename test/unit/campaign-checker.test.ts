import { describe, expect, test } from 'vitest';
import type { Summary, SummaryReason } from '../../shared/report/index.ts';
import type { Ledger } from '../../shared/stats/index.ts';
import { check, type AgentFate, type Evidence } from '../campaign/checker.ts';

const LEDGER: Ledger = {
  planned: 6,
  started: 6,
  dropped: 0,
  undelivered: 0,
  unknown: 0,
  completed: 6,
  interrupted: 0,
  samples: { recorded: 60, merged: 60, missing: 0, duplicate: 0 },
};
const FIRED = Array.from({ length: 6 }, (_, index) => ({ scenario: 'open', index, pid: 101 + (index % 2) }));
const LIVING: AgentFate = { id: 'a', pid: 101, isKilled: false, mayBeLost: false };
const AGENTS: readonly AgentFate[] = [LIVING, { id: 'b', pid: 102, isKilled: false, mayBeLost: false }];
const SEALED = [
  { agent: 'a', incarnation: 'i', samplesRecorded: 30, isFinal: true },
  { agent: 'b', incarnation: 'j', samplesRecorded: 30, isFinal: true },
];

/** A run of two agents to which nothing happened, but for `parts`. */
function evidence(parts: Partial<Evidence> = {}, ledger: Partial<Ledger> = {}, reasons: readonly SummaryReason[] = [], lost = 0): Evidence {
  const whole = { ...LEDGER, ...ledger };
  const summary = {
    run: { agents: { planned: 2, reported: 2 - lost, lost } },
    ledger: whole,
    validity: { grade: reasons.length > 0 ? 'degraded' : 'valid', reasons },
    metrics: { iterations: { type: 'counter', count: whole.completed, rate: 1 } },
  } as unknown as Summary;
  return {
    summary,
    exitCode: 0,
    openScenarios: new Set(['open']),
    loopingScenarios: new Set(),
    plannedOpen: { open: 6 },
    sealed: SEALED,
    samplesInLog: 60,
    fired: FIRED,
    agents: AGENTS,
    coordinatorKills: 0,
    left: [],
    ...parts,
  };
}

const LOST: SummaryReason = { code: 'agents-lost', detail: '', agent: 'b' };
const NOT_DELIVERED: SummaryReason = { code: 'load-not-delivered', detail: '' };
/** Agent b was killed with its last index under way; a fired that again. */
const KILLED = evidence(
  {
    agents: [LIVING, { id: 'b', pid: 102, isKilled: true, mayBeLost: false }],
    fired: [...FIRED, { scenario: 'open', index: 5, pid: 101 }],
  },
  { started: 5, completed: 5, unknown: 1 },
  [LOST, NOT_DELIVERED],
  1,
);

describe('the checker of the fault campaign', () => {
  test('finds nothing in a run that kept every law', () => {
    expect(check(evidence())).toEqual({ violations: [], refired: [] });
  });

  test('lists what a killed process had in flight and another fired again, and has nothing against it', () => {
    const { refired, violations } = check(KILLED);
    expect(refired).toEqual(['open/5 was fired by process 102 and process 101']);
    // Seven requests, five started and one unknown: that one is too many all the same.
    expect(violations).toEqual(['the target saw 7 requests, more than the 5 started, 1 unknown and 0 of looping VUs that fell silent']);
  });

  test('has nothing against what the looping VUs of a process that fell silent sent unheard, and only against that', () => {
    const looping = (pid: number): Evidence => ({
      ...KILLED,
      loopingScenarios: new Set(['loop']),
      fired: [...FIRED, { scenario: 'loop', index: 0, pid }],
    });
    expect(check(looping(102)).violations).toEqual([]);
    expect(check(looping(101)).violations).toEqual([
      'the target saw 7 requests, more than the 5 started, 1 unknown and 0 of looping VUs that fell silent',
    ]);
  });

  test.each<readonly [string, Evidence, string]>([
    ['a ledger that does not balance', evidence({}, { planned: 7 }), 'the ledger does not balance: planned 7'],
    [
      'an index fired twice by agents that lived',
      evidence({ fired: [...FIRED.slice(0, 5), { scenario: 'open', index: 0, pid: 102 }] }),
      'an index was fired twice: open/0 was fired by process 101 and process 102',
    ],
    [
      'an index fired twice by one process that lived, although another was killed',
      { ...KILLED, fired: [...FIRED.slice(0, 5), { scenario: 'open', index: 0, pid: 101 }] },
      'an index was fired twice: open/0 was fired by process 101 and process 101',
    ],
    [
      'an index fired twice by flows that do not say who they are, when nobody was killed',
      evidence({ fired: [...FIRED.slice(0, 4), ...[0, 0].map((pid) => ({ scenario: 'open', index: 4, pid }))] }),
      'an index was fired twice: open/4 was fired by somebody and somebody',
    ],
    ['samples that never arrived', evidence({}, { samples: { ...LEDGER.samples, recorded: 61, missing: 1 } }), '1 recorded samples never'],
    [
      'samples that were merged twice',
      evidence({}, { samples: { ...LEDGER.samples, recorded: 70, merged: 70 } }),
      'agents sealed 60 samples and 70',
    ],
    ['an interval that is twice in the log', evidence({ samplesInLog: 70 }), 'the interval log holds 70 samples and 60 were merged'],
    [
      'requests that nobody accounts for',
      evidence({ fired: [...FIRED, { scenario: 'closed', index: 0, pid: 101 }] }),
      'the target saw 7 requests, more than',
    ],
    [
      'iterations that completed and the target never saw',
      evidence({ fired: FIRED.slice(1) }),
      'the target saw 5 requests and 6 iterations completed',
    ],
    [
      'an index that the plan does not have',
      evidence({ fired: [...FIRED.slice(1), { scenario: 'open', index: 6, pid: 101 }] }),
      'open fired 6, which its plan of 6 does not have',
    ],
    [
      'a killed agent that validity does not name',
      evidence({ agents: KILLED.agents, sealed: SEALED.map((one) => ({ ...one, isFinal: false })) }),
      'agent b was killed and validity does not say so',
    ],
    [
      'an agent said to be lost to which nothing was done',
      evidence({}, {}, [LOST], 1),
      'agent b is said to be lost, and nothing was done to it',
    ],
    ['agents lost that are not named', evidence({}, {}, [], 1), '1 agents are lost and 0 are named'],
    ['a coordinator that was killed, unsaid', evidence({ coordinatorKills: 1 }), 'the coordinator was killed and validity does not say so'],
    [
      'a coordinator that was not killed and is said to have been',
      evidence({}, {}, [{ code: 'coordinator-restarted', detail: '' }]),
      'the coordinator is said to have been restarted',
    ],
    [
      'load that was not delivered, unsaid',
      evidence({ fired: FIRED.slice(1) }, { started: 5, completed: 5, undelivered: 1 }),
      'load was not delivered and',
    ],
    ['a wrong exit code', evidence({ exitCode: 1 }), 'a run that is valid ended with 1 instead of 0'],
    ['a process that was left behind', evidence({ left: [4711] }), 'process 4711 was left behind'],
  ])('catches %s', (_, broken, said) => {
    expect(check(broken).violations.join('\n')).toContain(said);
  });

  test('misses nobody who was killed with nothing left to do', () => {
    expect(check(evidence({ agents: KILLED.agents })).violations).toEqual([]);
  });

  test('catches a metric that counts something else', () => {
    const broken = evidence();
    const summary = { ...broken.summary, metrics: { iterations: { type: 'counter', count: 5, rate: 1 } } } as const;
    expect(check({ ...broken, summary }).violations).toEqual(['the metric counts 5 iterations and the ledger 6 that completed']);
  });

  test('holds the indices that nobody fired against the ledger, from both sides', () => {
    const three = FIRED.slice(3);
    const not = [NOT_DELIVERED];
    const of = (ledger: Partial<Ledger>): string[] => [
      ...check(evidence({ fired: three }, { started: 3, completed: 3, ...ledger }, not)).violations,
    ];
    expect(of({ undelivered: 3 })).toEqual([]);
    expect(of({ undelivered: 1, unknown: 2 })).toEqual([]);
    expect(of({ undelivered: 1, unknown: 1, planned: 6, dropped: 0 }).join()).toContain('more than the ledger accounts for');
    expect(of({ undelivered: 4, planned: 6 }).join()).toContain('3 indices were not fired, fewer than 0 dropped and 4 undelivered');
  });
});
