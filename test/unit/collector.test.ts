import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SealedInterval } from '../../agent/outbox.ts';
import { Collector } from '../../coordinator/collector.ts';
import { Live } from '../../coordinator/live.ts';
import { Participants } from '../../coordinator/participants.ts';
import type { Agent } from '../../coordinator/fleet.ts';
import { createLog } from '../../shared/base/index.ts';
import type { Plan } from '../../shared/plan/index.ts';
import { BundleWriter } from '../../shared/report/index.ts';
import { parseThreshold, type Threshold } from '../../shared/sla/index.ts';
import { selectValue, type Batch } from '../../shared/stats/index.ts';
import { ledgerToWire } from '../../shared/wire/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { DEFINITIONS, scenarioLedger, sealedInterval, trendSlice } from '../support/intervals.ts';
import { closedScenario, openScenario } from '../support/plans.ts';

const PLAN: Plan = { name: 'collected', seed: 1, intervalMs: 1_000, scenarios: [openScenario({ ratePerSecond: 10, seconds: 10 })] };

let dir: string;
let bundle: BundleWriter;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'muster-collector-'));
  bundle = await BundleWriter.open(dir, 0);
});
afterEach(async () => {
  await bundle.close();
  await rm(dir, { recursive: true, force: true });
});

describe('a collector', () => {
  test('closes an interval when every agent it waits for has delivered it, and not before', async () => {
    const collector = collecting('a', 'b');
    collector.add(batch('a', 0, [1_000]));
    collector.add(batch('a', 1, [1_000]));
    collector.add(batch('b', 0, [3_000]));
    expect(await closedIntervals()).toEqual([0]);
    collector.add(batch('b', 1, [3_000]));
    expect(await closedIntervals()).toEqual([0, 1]);
    expect(collector.liveResponse.count).toBe(4);
  });

  test('does not wait for an agent that has delivered its last batch, or that is no longer waited for', async () => {
    const collector = collecting('a', 'b', 'c');
    collector.add(batch('a', 0, [1_000], { isFinal: true }));
    for (const index of [0, 1, 2]) collector.add(batch('b', index, [1_000]));
    expect(await closedIntervals()).toEqual([]);
    collector.expect(new Set(['a', 'b']));
    expect(await closedIntervals()).toEqual([0, 1, 2]);
  });

  test('counts a batch that comes twice once, and says how many samples came again', async () => {
    const collector = collecting('a');
    const once = batch('a', 0, [1_000, 2_000]);
    collector.add(once);
    collector.add(once);
    expect(collector.samples).toEqual({ merged: 2, duplicate: 2 });
    expect(responses(collector)).toBe(2);
    expect((await agentLines()).length).toBe(1);
  });

  test('refuses a batch that contradicts itself, in words, and is as it was before', async () => {
    const collector = collecting('a');
    collector.add(batch('a', 0, [1_000]));
    collector.add(batch('a', 1, [1_000], { trends: [{ ...trendSlice(0, [1_000]), count: 7 }] }));
    collector.add(batch('a', 1, [], { trends: [trendSlice(99, [1_000])] }));
    expect(collector.refused).toEqual(['a histogram of 1 samples says it holds 7', 'agent a sent series 99, which it never defined']);
    expect([collector.samples.merged, (await agentLines()).length]).toEqual([1, 1]);
    // The sequence is still free: whoever sends it right is heard.
    collector.add(batch('a', 1, [5_000]));
    expect(collector.samples).toEqual({ merged: 2, duplicate: 0 });
  });

  test('keeps at most a hundred refusals', () => {
    const collector = collecting('a');
    for (let i = 0; i < 150; i++) collector.refuse(`garbage ${i}`);
    expect(collector.refused).toHaveLength(100);
  });

  test('closes in the end what no agent completed', async () => {
    const collector = collecting('a', 'b');
    collector.add(batch('a', 0, [1_000]));
    collector.add(batch('a', 1, [1_000]));
    collector.finish();
    expect(await closedIntervals()).toEqual([0, 1]);
  });

  test('writes an interval whose batch came after the agent’s last one', async () => {
    const collector = collecting('a');
    collector.add(batch('a', 0, [1_000]));
    collector.add(batch('a', 2, [1_000], { isFinal: true }));
    collector.add(batch('a', 1, [1_000]));
    collector.finish();
    expect(await closedIntervals()).toEqual([0, 2, 1]);
    expect(collector.samples.merged).toBe(3);
  });

  test('has an agent’s part complete when its last batch and all before it are in, in whatever order they came', () => {
    const collector = collecting('a', 'b');
    collector.add(batch('a', 0, [1_000]));
    collector.add(batch('a', 2, [1_000], { isFinal: true }));
    collector.add(batch('b', 0, [1_000], { isFinal: true }));
    const complete = (): string[] => ['a', 'b'].filter((id) => collector.isComplete({ id, incarnation: 'i' }));
    expect(complete()).toEqual(['b']);
    collector.add(batch('a', 1, [1_000]));
    expect(complete()).toEqual(['a', 'b']);
  });

  test('judges thresholds after every interval, and a failed one with abortOnFail asks for the end', () => {
    const collector = collecting('a');
    collector.add(batch('a', 0, [1_000]));
    expect([collector.verdicts.map(({ kind }) => kind), collector.abort]).toEqual([['pass'], undefined]);
    collector.add(batch('a', 1, [9_000_000]));
    expect(collector.verdicts).toMatchObject([{ kind: 'fail', observed: 9_000 }]);
    expect(collector.abort?.expression).toBe('max<1000');
  });
});

describe('a live look', () => {
  test('says how a run is doing, in rates over the time since the last look', () => {
    const collector = collecting('a', 'b');
    const { participants, hear } = participating('a', 'b');
    const live = new Live('run-1', PLAN);
    live.look('running', 0, 2, participants, collector);
    hear('a', 6);
    hear('b', 4);
    collector.add(batch('a', 0, [1_000, 3_000]));
    collector.add(batch('b', 0, [2_000]));
    live.note('agent c lost');
    const look = live.look('running', 2_000_000, 2, participants, collector);
    expect(look).toMatchObject({
      runId: 'run-1',
      name: 'collected',
      state: 'running',
      elapsedUs: 2_000_000,
      durationUs: 10_000_000,
      plannedPerSecond: 10,
      deliveredPerSecond: 5,
      responseMs: { p50: 2, p99: 3 },
      totalRequests: 3,
      totalErrors: 0,
      errorRate: 0,
      activeVus: 2,
      agents: { planned: 2, ready: 2, running: 2, lost: 0 },
      verdicts: [{ metric: 'http_req_response_time', expression: 'max<1000', verdict: 'pass' }],
      events: ['agent c lost'],
    });
    expect(live.look('running', 3_000_000, 2, participants, collector)).toMatchObject({ deliveredPerSecond: 0, events: [] });
  });

  test('before there is anything to look at claims nothing', () => {
    expect(new Live('run-1', PLAN).look('waiting', 0, 3)).toMatchObject({
      elapsedUs: 0,
      deliveredPerSecond: 0,
      responseMs: undefined,
      errorRate: 0,
      agents: { planned: 3, ready: 0, running: 0, lost: 0 },
      verdicts: [],
    });
  });

  test('a closed model has no planned rate, and after its end neither has an open one', () => {
    expect(new Live('r', { ...PLAN, scenarios: [closedScenario()] }).look('running', 500_000, 1).plannedPerSecond).toBe(0);
    expect(new Live('r', PLAN).look('draining', 12_000_000, 1).plannedPerSecond).toBe(0);
  });
});

function collecting(...agents: string[]): Collector {
  const parsed = parseThreshold('http_req_response_time', 'max<1000');
  if ('problem' in parsed) throw new Error(parsed.problem);
  const threshold: Threshold = { ...parsed, abortOnFail: true, delayAbortEvalUs: 0, windowUs: undefined };
  const collector = new Collector(PLAN, [threshold], bundle, createLog('test', 'silent'));
  collector.expect(new Set(agents));
  return collector;
}

/** Batch number `index` of an agent, for the interval of that number: one request for every duration. */
function batch(agent: string, index: number, durationsUs: readonly number[], parts: Partial<SealedInterval> = {}): Batch {
  return {
    key: { agent, incarnation: 'i', sequence: index },
    ...sealedInterval(index, {
      defines: index === 0 ? DEFINITIONS : [],
      trends: durationsUs.length === 0 ? [] : [trendSlice(0, durationsUs)],
      counters: [{ series: 1, count: durationsUs.length }],
      ...parts,
    }),
  };
}

function participating(...ids: string[]) {
  const clock = new FakeClock();
  const agents = ids.map((id): Agent => ({
    id,
    incarnation: 'i',
    version: '0.1.0',
    labels: {},
    capacity: 1,
    machineRate: undefined,
    clock: { offsetUs: 0, uncertaintyUs: 0, samples: 1 },
    state: 'RUNNING',
    runId: 'run-1',
    lastSeenUs: 0,
  }));
  const participants = new Participants(agents, clock, { onChange: () => {}, onBack: () => {}, onProgress: () => {} });
  for (const agent of agents) participants.onMessage(agent, { $case: 'ready', value: { runId: 'run-1' } });
  const hear = (id: string, started: number): void => {
    const agent = agents.find((one) => one.id === id);
    if (agent === undefined) throw new Error(`no agent ${id}`);
    const ledgers = [ledgerToWire(scenarioLedger('browse', { started }))];
    participants.onMessage(agent, {
      $case: 'progress',
      value: { runId: 'run-1', elapsedUs: 0, activeVus: 1, ledgers, samplesRecorded: 0, loadEnded: false, number: 1, epochs: 1 },
    });
  };
  return { participants, hear };
}

function responses(collector: Collector): number {
  const value = selectValue(collector.totals, 'http_req_response_time');
  return value?.kind === 'trend' ? value.histogram.count : 0;
}

/** Intervals in the order in which they were written. */
async function closedIntervals(): Promise<number[]> {
  await bundle.writeWhole('done', '');
  const log = await readFile(join(dir, 'intervals.hlog'), 'utf8');
  return [...log.matchAll(/^Tag=[^,]*,(\d+)\./gm)].map(([, second]) => Number(second));
}

async function agentLines(): Promise<string[]> {
  // Writes are serial: when this one is done, so are those before.
  await bundle.writeWhole('done', '');
  return (await readFile(join(dir, 'intervals.ndjson'), 'utf8')).split('\n').filter((line) => line.startsWith('{"agent"'));
}
