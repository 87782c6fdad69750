import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BUNDLE_FILES, formatHlogHead, formatTag, renderJson, type Manifest } from '../../shared/report/index.ts';
import { Histogram, toLogText, type Series, type Tags } from '../../shared/stats/index.ts';
import { healthAt, STARTED_AT, summaryOf } from './run-bundle.ts';

/** Different histograms in the log; which one an interval has is drawn from its time and its series. */
const POOL = 96;

export interface LongBundle {
  readonly seconds: number;
  readonly series: number;
  readonly intervalMs: number;
  readonly agents: number;
}

/** Writes a bundle far longer than a test may wait for: every line is a real one, but its histogram is one of a pool, encoded once. */
export async function writeLongBundle(dir: string, { seconds, series, intervalMs, agents }: LongBundle): Promise<void> {
  const pool = Array.from({ length: POOL }, (_, i) => poolHistogram(i));
  const texts = pool.map(toLogText);
  const all = seriesList(series);
  const intervals = Math.floor((seconds * 1_000) / intervalMs);
  const pick = (interval: number, at: number): number => (Math.floor(interval / 20) * 7 + at * 5 + (interval % 20 > 18 ? 40 : 0)) % POOL;
  const totals = all.map(({ metric, tags }): Series => ({ metric, tags, value: { kind: 'trend', histogram: new Histogram() } }));
  function* hlog(): Generator<string> {
    yield formatHlogHead(Date.parse(STARTED_AT) * 1_000);
    const heads = all.map(({ metric, tags }) => `Tag=${formatTag(metric, tags)},`);
    const length = (intervalMs / 1_000).toFixed(6);
    for (let interval = 0; interval < intervals; interval++) {
      const start = ((interval * intervalMs) / 1_000).toFixed(6);
      let lines = '';
      heads.forEach((head, at) => {
        const i = pick(interval, at);
        const histogram = pool[i];
        const total = totals[at]?.value;
        if (histogram !== undefined && total?.kind === 'trend') total.histogram.add(histogram);
        lines += `${head}${start},${length},${((histogram?.maxUs ?? 0) / 1_000).toFixed(3)},${texts[i] ?? ''}\n`;
      });
      yield lines;
    }
  }
  await mkdir(dir, { recursive: true });
  await pipeline(Readable.from(hlog()), createWriteStream(join(dir, BUNDLE_FILES.intervals)));
  await pipeline(Readable.from(agentLines(intervals, agents)), createWriteStream(join(dir, BUNDLE_FILES.agents)));
  const run = { id: 'long', name: 'a day', startedAt: STARTED_AT };
  const events = [{ atMs: Date.parse(STARTED_AT) + seconds * 500, kind: 'agent-lost', detail: { agent: 'agent-3' } }];
  const manifest: Manifest = { schemaVersion: 1, run, intervalMs, scenario: {}, plan: {}, agents: [], epochs: [], events };
  await writeFile(join(dir, BUNDLE_FILES.manifest), JSON.stringify(manifest));
  await writeFile(join(dir, BUNDLE_FILES.summary), renderJson(summaryOf(seconds, intervals, totals)));
}

/** Steps with both times of a request, every fourth of them failing too, until there are enough. */
function seriesList(wanted: number): { readonly metric: string; readonly tags: Tags }[] {
  const list: { metric: string; tags: Tags }[] = [{ metric: 'schedule_lag', tags: { scenario: 'day' } }];
  for (let step = 0; list.length < wanted; step++) {
    const tags = { scenario: 'day', name: `step ${step}`, method: 'GET' };
    const outcomes = step % 4 === 3 ? [{ status: '200' }, { error: 'timeout' }] : [{ status: '200' }];
    for (const outcome of outcomes) {
      for (const metric of ['http_req_response_time', 'http_req_duration']) list.push({ metric, tags: { ...tags, ...outcome } });
    }
  }
  return list.slice(0, wanted);
}

/** A body around some milliseconds and a tail, both drawn from a fixed formula. */
function poolHistogram(i: number): Histogram {
  const histogram = new Histogram();
  for (let n = 0; n < 400; n++) {
    const share = (n + 0.5) / 400;
    histogram.record((2_000 + 300 * (i % 12)) * Math.exp(1.1 * Math.log(share / (1 - share)) * (0.5 + (i % 5) / 10)));
  }
  return histogram;
}

function* agentLines(intervals: number, agents: number): Generator<string> {
  yield `${JSON.stringify({
    series: [
      [0, 'http_reqs', 'counter', { scenario: 'day', status: '200' }],
      [1, 'http_reqs', 'counter', { scenario: 'day', error: 'timeout' }],
    ],
  })}\n`;
  for (let interval = 0; interval < intervals; interval++) {
    for (let agent = 0; agent < agents; agent++) {
      const ledger = { started: interval + 1, dropped: 0, completed: interval + 1, interrupted: 0 };
      yield `${JSON.stringify({
        agent: `agent-${agent + 1}`,
        incarnation: 'i',
        sequence: interval,
        intervalIndex: interval,
        intervalCount: 1,
        samplesRecorded: 0,
        ledgers: [{ scenario: 'day', ledger, coveredUntilUs: 0, waiting: 0, firedUntilUs: 0 }],
        health: healthAt(interval % 60),
        isFinal: interval === intervals - 1,
        counters: [
          [0, 400 + (interval % 50)],
          [1, interval % 7],
        ],
      })}\n`;
    }
  }
}
