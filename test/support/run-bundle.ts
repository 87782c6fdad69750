import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_FILES, BundleWriter, renderJson, summarise, type Manifest, type Summary } from '../../shared/report/index.ts';
import { addValue, emptyValue, Histogram, seriesKey, type Health, type Series } from '../../shared/stats/index.ts';

export const STARTED_AT = '2026-01-02T03:04:05.000Z';
const SECOND_US = 1_000_000;

/** One request of a made-up run. */
export interface MadeRequest {
  readonly second: number;
  readonly name: string;
  /** Response time; service time is half of it. */
  readonly us: number;
  readonly scenario?: string;
  readonly error?: string;
  readonly phase?: string;
}

export interface MadeRun {
  readonly seconds: number;
  readonly requests: readonly MadeRequest[];
  readonly manifest?: Partial<Manifest>;
  readonly summary?: Partial<Summary>;
}

/** Writes the bundle of a run in which one agent sent these requests, each in an iteration of its own. */
export async function writeRunBundle(dir: string, { seconds, requests, manifest, summary }: MadeRun): Promise<Summary> {
  const writer = await BundleWriter.open(dir, Date.parse(STARTED_AT) * 1_000);
  const totals = new Map<string, Series>();
  const bySecond = Array.from({ length: seconds }, (): MadeRequest[] => []);
  for (const request of requests) bySecond[request.second]?.push(request);
  let started = 0;
  for (let second = 0; second < seconds; second++) {
    const own = bySecond[second] ?? [];
    const series = seriesOf(own);
    for (const one of series) addTo(totals, one);
    started += own.length;
    const ledger = { started, dropped: 0, undelivered: 0, completed: started, interrupted: 0 };
    await writer.appendBatch(
      {
        key: { agent: 'agent-1', incarnation: 'i', sequence: second },
        intervalIndex: second,
        intervalCount: 1,
        counters: series.flatMap(({ value }, number) => (value.kind === 'counter' ? [{ series: number, count: value.count }] : [])),
        rates: series.flatMap(({ value }, number) =>
          value.kind === 'rate' ? [{ series: number, passes: value.passes, fails: value.fails }] : [],
        ),
        gauges: [],
        ledgers: [{ scenario: 'browse', ledger, coveredUntilUs: (second + 1) * SECOND_US, waiting: 0, firedUntilUs: 0 }],
        samplesRecorded: 0,
        health: healthAt(second),
        isFinal: second === seconds - 1,
      },
      (number) => series[number] ?? { metric: '', tags: {} },
    );
    await writer.appendInterval({ index: second, series }, second * SECOND_US, SECOND_US);
  }
  const whole = { ...summaryOf(seconds, requests.length, [...totals.values()]), ...summary };
  const run = { id: 'run-1', name: 'storefront', startedAt: STARTED_AT };
  const base: Manifest = { schemaVersion: 1, run, intervalMs: 1_000, scenario: {}, plan: {}, agents: [], epochs: [], events: [] };
  await writer.writeRun({ ...base, ...manifest });
  await writer.writeSummary(whole);
  await writer.close();
  if (writer.failure !== undefined) throw new Error(writer.failure);
  return whole;
}

export interface TrendRun {
  /** Of March 2026. */
  readonly day: number;
  readonly medianUs: number;
  readonly name?: string;
  readonly grade?: 'valid' | 'invalid';
  readonly id?: string;
}

/** What a trend reads of a run: its summary. Folders are named so that their order is not that of the runs. */
export async function writeTrendRun(
  dir: string,
  { day, medianUs, name = 'storefront', grade = 'valid', id = `run-${day}` }: TrendRun,
): Promise<void> {
  const histogram = new Histogram();
  for (let n = 0; n < 1_000; n++) histogram.record(medianUs * (1 + (n / 1_000) ** 8));
  const summary = summaryOf(10, 1_000, [{ metric: 'http_req_response_time', tags: {}, value: { kind: 'trend', histogram } }]);
  const startedAt = `2026-03-${String(day).padStart(2, '0')}T00:00:00.000Z`;
  const folder = join(dir, `folder-${(day * 37) % 101}`);
  await mkdir(folder, { recursive: true });
  const run = { ...summary.run, id, name, startedAt };
  await writeFile(join(folder, BUNDLE_FILES.summary), renderJson({ ...summary, run, validity: { grade, reasons: [] } }));
}

/** The summary of a run that adds up and that nothing speaks against. */
export function summaryOf(seconds: number, iterations: number, totals: readonly Series[]): Summary {
  const ledger = {
    planned: iterations,
    started: iterations,
    dropped: 0,
    undelivered: 0,
    unknown: 0,
    completed: iterations,
    interrupted: 0,
  };
  return summarise({
    run: { id: 'run-1', name: 'storefront', startedAt: STARTED_AT, agents: { planned: 1, reported: 1, lost: 0 } },
    durationUs: seconds * SECOND_US,
    ledger: { ...ledger, samples: { recorded: 0, merged: 0, missing: 0, duplicate: 0 } },
    validity: { grade: 'valid', reasons: [] },
    totals,
    verdicts: [],
    health: [],
    agentsLost: [],
  });
}

export function healthAt(second: number): Health {
  const lag = { loopDelayP99Us: 100, loopDelayMaxUs: 200 + second, pacerLagP99Us: 150, pacerLagMaxUs: 300 };
  return { ...lag, cpu: 0.25, gcPauseUs: 0, rssBytes: 80e6, openSockets: 4, activeVus: 2 + second, outboxBatches: 0 };
}

function seriesOf(requests: readonly MadeRequest[]): Series[] {
  const found = new Map<string, Series>();
  for (const { name, us, scenario = 'browse', error, phase } of requests) {
    const tags = { scenario, name, ...(error === undefined ? { status: '200' } : { error }), ...(phase === undefined ? {} : { phase }) };
    record(found, 'http_req_response_time', tags, us);
    record(found, 'http_req_duration', tags, us / 2);
    const [passes, fails] = error === undefined ? [0, 1] : [1, 0];
    addTo(found, { metric: 'http_reqs', tags, value: { kind: 'counter', count: 1 } });
    addTo(found, { metric: 'http_req_failed', tags, value: { kind: 'rate', passes, fails } });
  }
  return [...found.values()];
}

function record(all: Map<string, Series>, metric: string, tags: Series['tags'], us: number): void {
  const key = seriesKey(metric, tags);
  const series = all.get(key) ?? { metric, tags, value: emptyValue('trend') };
  all.set(key, series);
  if (series.value.kind === 'trend') series.value.histogram.record(us);
}

function addTo(all: Map<string, Series>, { metric, tags, value }: Series): void {
  const key = seriesKey(metric, tags);
  const sum = all.get(key) ?? { metric, tags, value: emptyValue(value.kind) };
  all.set(key, sum);
  addValue(sum.value, value);
}
