import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from '../../agent/engine.ts';
import type { SealedInterval } from '../../agent/outbox.ts';
import { systemClock } from '../../shared/base/index.ts';
import { loadScenario } from '../../shared/scenario/index.ts';
import type { SeriesDefinition, Tags } from '../../shared/stats/index.ts';

/** What one agent counted of a scenario file that it ran alone. */
export interface Counted {
  /** `http_reqs` by status, or by error where there is one. */
  readonly requests: Readonly<Record<string, number>>;
  readonly failed: number;
  /** By name of the check: how often it held and did not. */
  readonly checks: Readonly<Record<string, readonly [passes: number, fails: number]>>;
  readonly metrics: ReadonlySet<string>;
}

/** Runs a scenario file, given as text (YAML, or a module with `extension`), on one agent in this process. */
export async function runScenario(
  text: string,
  env: Readonly<Record<string, string>> = {},
  extension = 'yaml',
  files: Readonly<Record<string, Buffer>> = {},
): Promise<Counted> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-scenario-'));
  const file = join(folder, `file.${extension}`);
  await writeFile(file, text);
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  try {
    const { plan, workload } = await loadScenario(file, { env });
    const sealed: SealedInterval[] = [];
    const engine = await Engine.prepare({
      agentId: 'a',
      plan,
      epochs: [{ number: 0, fromUs: 0, owners: ['a'] }],
      // As it travels: plain JSON.
      workload: JSON.parse(JSON.stringify(workload)) as typeof workload,
      clock: systemClock,
      isAllowed: () => true,
      onSealed: (interval) => sealed.push(interval),
      outboxLength: () => 0,
    });
    await engine.run(systemClock.nowUs() + 1000);
    return count(sealed);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function count(sealed: readonly SealedInterval[]): Counted {
  const series = new Map<number, SeriesDefinition>(
    sealed.flatMap(({ defines }) => defines.map((definition) => [definition.number, definition])),
  );
  const tagsOf = (number: number): Tags => series.get(number)?.tags ?? {};
  const is = (number: number, metric: string): boolean => series.get(number)?.metric === metric;
  const requests: Record<string, number> = {};
  const checks: Record<string, [number, number]> = {};
  let failed = 0;
  for (const { counters, rates } of sealed) {
    for (const one of counters) {
      if (!is(one.series, 'http_reqs')) continue;
      const { status = '', error } = tagsOf(one.series);
      const key = error ?? status;
      requests[key] = (requests[key] ?? 0) + one.count;
    }
    for (const one of rates) {
      if (is(one.series, 'http_req_failed')) failed += one.passes;
      if (!is(one.series, 'checks')) continue;
      const own = (checks[tagsOf(one.series)['check'] ?? ''] ??= [0, 0]);
      own[0] += one.passes;
      own[1] += one.fails;
    }
  }
  return { requests, failed, checks, metrics: new Set([...series.values()].map(({ metric }) => metric)) };
}
