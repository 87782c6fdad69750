import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBundle, type Bundle, type Summary } from '../../shared/report/index.ts';
import { freePort } from '../support/free-port.ts';
import { NatsServer } from '../support/nats-server.ts';
import type { Child, Ended } from '../support/processes.ts';
import { expectBalanced, Shell, summaryOf } from '../support/shell.ts';
import { TargetProcess } from '../support/target-process.ts';
import { waitUntil } from '../support/wait-until.ts';

const AGENTS = 3;
const RATE = 150;
const DURATION_S = 30;
/** More than an agent may be silent for, and than a dead connection takes to be noticed. */
const AWAY_S = 10;
const LATE_MAX_S = 2;
/** Processes take long to start on a busy machine. */
const BUSY_MS = 60_000;

describe('a coordinator that is killed', () => {
  const shell = new Shell();
  let nats: NatsServer;
  let target: TargetProcess;
  let address: string;
  let runsDir: string;
  let coordinator: Child;
  let agents: Child;

  beforeAll(async () => {
    nats = await NatsServer.start();
    const json = { 'content-type': 'application/json' };
    target = await TargetProcess.start({ behaviours: { '/setup': { body: '{"token":"t-1"}', headers: json }, '*': {} } });
    address = `127.0.0.1:${await freePort()}`;
    runsDir = join(shell.dir, 'bundles');
    await begin();
    agents = shell.start('agent', '--coordinator', address, '--nats', nats.url, '--id', 'agent', '--workers', String(AGENTS));
    await waitUntil('all agents have joined', () => agents.stderr.split('"joined"').length - 1 === AGENTS, 60_000);
  });
  afterAll(async () => {
    await shell.close();
    await target.stop();
    await nats.stop();
  });

  /** `muster coordinator`, always the same one. */
  async function begin(): Promise<void> {
    const words = ['coordinator', '--listen', address, '--nats', nats.url, '--runs-dir', runsDir];
    coordinator = shell.start(...words);
    await coordinator.untilSaid(/"port":(\d+)/, BUSY_MS);
  }

  async function kill(): Promise<void> {
    coordinator.kill('SIGKILL');
    await coordinator.ended;
  }

  async function run(
    seconds: number,
    parts: object,
    ...more: readonly string[]
  ): Promise<{ readonly command: Child; readonly runId: string }> {
    await target.reset();
    const load = { executor: 'constant-arrival-rate', rate: RATE, duration: `${seconds}s`, flow: [{ get: '/' }] };
    const file = await shell.file({
      name: 'survivor',
      target: target.url,
      ...parts,
      scenarios: { load },
      thresholds: { http_req_failed: ['rate==0'], http_reqs: [{ threshold: 'rate>1', window: '4s' }] },
    });
    const command = shell.start('run', file, '--coordinator', address, '--agents', String(AGENTS), '--json', ...more);
    const [, runId = ''] = await command.untilSaid(/^run (\S+)$/m, BUSY_MS);
    await command.untilSaid(/p50\/95\/99 \d/, BUSY_MS);
    return { command, runId };
  }

  async function arrivalsMs(): Promise<number[]> {
    return (await target.log()).arrivals.map(({ atUs }) => atUs / 1_000).sort((a, b) => a - b);
  }

  describe('in the middle of a run, and comes back', () => {
    let ended: Ended;
    let bundle: Bundle;
    let arrivals: readonly number[];
    let killedAtMs: number;
    let backAtMs: number;
    /** Where in the stream the second coordinator began to read. */
    let fromSequence: number;

    beforeAll(async () => {
      const { command, runId } = await run(DURATION_S, {});
      // Long enough that a checkpoint is there and the stream holds more.
      await waitUntil('a checkpoint is written', async () => (await readdir(join(runsDir, runId))).includes('checkpoint.json'));
      killedAtMs = Date.now();
      await kill();
      await new Promise((resolve) => setTimeout(resolve, AWAY_S * 1_000));
      backAtMs = Date.now();
      await begin();
      const [, from = ''] = await coordinator.untilSaid(/"fromSequence":(\d+).*"run taken up"/);
      fromSequence = Number(from);
      ended = await command.ended;
      arrivals = await arrivalsMs();
      bundle = await readBundle(join(shell.dir, 'runs', runId));
    });

    test('the target sees every planned request, and no dent in the load meanwhile', () => {
      expect(arrivals).toHaveLength(RATE * DURATION_S);
      const [first = 0] = arrivals;
      // By how much each arrival came after its planned instant. Load that stopped for as long as nobody coordinated, or an agent's share that
      // went missing and was made up for later, would be late by seconds; a busy machine is late by less.
      const away = arrivals
        .map((ms, n) => ({ ms, lateMs: ms - first - (n * 1_000) / RATE }))
        .filter(({ ms }) => ms > killedAtMs && ms < backAtMs);
      expect(away.length).toBeGreaterThan((AWAY_S - LATE_MAX_S) * RATE);
      expect(Math.max(...away.map(({ lateMs }) => lateMs))).toBeLessThan(LATE_MAX_S * 1_000);
    });

    test('the command goes on watching, reports and ends with 0', () => {
      expect(ended.code, ended.stderr).toBe(passed(summaryOf(ended)));
      expect(ended.stderr).toContain('the run goes on, trying again for 5m00s');
      expect(ended.stderr).toContain('the coordinator is there again');
    });

    test('the result is that of a run that nothing happened to, and says what happened', () => {
      const summary = summaryOf(ended);
      const planned = RATE * DURATION_S;
      expectBalanced(summary);
      expect(summary.ledger).toMatchObject({ planned, started: planned, completed: planned, dropped: 0, undelivered: 0, unknown: 0 });
      expect(summary.ledger.samples).toMatchObject({ missing: 0, duplicate: 0 });
      expect(summary.run.agents).toEqual({ planned: AGENTS, reported: AGENTS, lost: 0 });
      expect(summary.metrics['http_reqs']).toMatchObject({ count: planned });
      expect(summary.metrics['http_req_response_time']).toMatchObject({ count: planned });
      expect(summary.thresholds.map(({ verdict }) => verdict)).toEqual(['pass', 'pass']);
      const codes = summary.validity.reasons.map(({ code }) => code);
      expect(codes).toContain('coordinator-restarted');
      expect(codes).not.toContain('agents-lost');
      expect(passed(summary)).toBe(summary.validity.grade === 'invalid' ? 111 : 0);
    });

    test('the second coordinator goes on from the checkpoint', () => {
      expect(fromSequence).toBeGreaterThan(0);
    });

    test('the bundle is whole: every interval of every agent once, and no checkpoint is left', async () => {
      let samples = 0;
      for await (const { metric, histogram } of bundle.intervals()) if (metric === 'http_req_response_time') samples += histogram.count; // prettier-ignore
      expect(samples).toBe(RATE * DURATION_S);
      const lines = new Map<string, number[]>();
      for await (const line of bundle.agentLines()) {
        const { agent, sequence } = line as { readonly agent: string; readonly sequence: number };
        lines.set(agent, [...(lines.get(agent) ?? []), sequence]);
      }
      expect(lines.size).toBe(AGENTS);
      for (const sequences of lines.values()) expect(sequences).toEqual(sequences.map((_, index) => index));
      expect(await readdir(bundle.dir)).not.toContain('checkpoint.json');
      expect(bundle.manifest.events.map((event) => (event as { readonly kind: string }).kind)).toContain('coordinator-restarted');
    });
  });

  test('and comes back only when all is over: its agents have finished, and it closes and reports the run from the stream', async () => {
    const around = {
      setup: [{ get: '/setup', capture: { token: 'json $.token' } }],
      teardown: [{ get: '/teardown/${setup.token}' }],
    };
    const { command, runId } = await run(4, around, '--reconnect-timeout', '1s');
    await kill();
    const ended = await command.ended;
    expect(ended.code, ended.stderr).toBe(111);
    expect(ended.stderr).toContain(`run ${runId} goes on without this command: "muster runs" shows what becomes of it`);
    const finished = (): number => agents.stderr.split('"finished"').length - 1;
    await waitUntil('all agents have finished both runs', () => finished() === 2 * AGENTS, BUSY_MS);
    expect((await target.log()).counts).toEqual({ '/setup': 1, '/': 4 * RATE });
    await begin();
    await coordinator.untilSaid(/"run taken up"/);
    await waitUntil('it is closed', async () => (await listed(runId))?.exitCode !== undefined, BUSY_MS);
    const { summary } = await readBundle(join(runsDir, runId));
    expect(await listed(runId)).toMatchObject({ state: 'finished', agents: AGENTS, exitCode: passed(summary) });
    expectBalanced(summary);
    expect(summary.ledger).toMatchObject({ planned: 4 * RATE, completed: 4 * RATE, samples: { missing: 0, duplicate: 0 } });
    expect(summary.run.agents).toEqual({ planned: AGENTS, reported: AGENTS, lost: 0 });
    // The setup was done by a coordinator that is gone, the teardown follows with what it returned.
    expect((await target.log()).counts).toEqual({ '/setup': 1, '/': 4 * RATE, '/teardown/t-1': 1 });
    await waitUntil('the agents are free', async () => (await freeAgents()) === AGENTS, BUSY_MS);
  });

  test('before the load began: the run is closed with 108, and its agents are free', async () => {
    await target.reset();
    const load = { executor: 'constant-arrival-rate', rate: RATE, duration: '2s', flow: [{ get: '/' }] };
    const file = await shell.file({ name: 'unborn', target: target.url, scenarios: { load } });
    const command = shell.start('run', file, '--coordinator', address, '--agents', String(AGENTS + 1), '--wait-agents', '600');
    await command.untilSaid(/waiting/, BUSY_MS);
    await kill();
    await begin();
    const ended = await command.ended;
    expect(ended.code, ended.stderr).toBe(108);
    expect(ended.stderr).toContain('the coordinator was restarted before the run had begun');
    await waitUntil('the agents are free', async () => (await freeAgents()) === AGENTS, BUSY_MS);
    expect((await target.log()).total).toBe(0);
  });

  /** The exit code of a run with which nothing is wrong but, at worst, that the machine was too busy to make load in time. */
  function passed({ validity }: Summary): number {
    const invalid = validity.reasons.filter(({ grade }) => grade === 'invalid').map(({ code }) => code);
    expect(invalid.filter((code) => code !== 'generator-lag')).toEqual([]);
    return invalid.length === 0 ? 0 : 111;
  }

  async function listed(runId: string): Promise<{ readonly state: string; readonly exitCode?: number } | undefined> {
    const { stdout } = await shell.muster('runs', '--coordinator', address, '--json');
    const runs = JSON.parse(stdout) as readonly { readonly runId: string; readonly state: string; readonly exitCode?: number }[];
    return runs.find((one) => one.runId === runId);
  }

  async function freeAgents(): Promise<number> {
    const { stdout } = await shell.muster('agents', '--coordinator', address, '--json');
    return (JSON.parse(stdout) as readonly { readonly state: string }[]).filter(({ state }) => state === 'READY').length;
  }
});
