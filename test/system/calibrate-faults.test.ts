import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CalibrationResult } from '../../coordinator/calibrate/calibrate.ts';
import { EXIT_CODES } from '../../shared/base/index.ts';
import { plantFaults, type Planted } from '../support/planted-build.ts';
import { Processes } from '../support/processes.ts';
import { atAQuietMoment } from '../support/quiet-moment.ts';

/** What one request in a hundred may be delayed by. */
const NOISE_MAX_MS = 20;

const RECORDER = 'agent/recorder.js';
const RESPONSE = 'outcome.responseTime.record(exchange.endedUs - intendedUs);';
const DURATION = 'outcome.duration.record(endedUs - sentUs);';

interface Fault {
  readonly name: string;
  readonly planted: readonly Planted[];
  /** What the calibration says of it. */
  readonly suspicion: string;
  /** Where it must be found at least. */
  readonly pattern: string;
  readonly metric: string;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'seconds recorded for milliseconds',
    planted: [
      { file: RECORDER, from: DURATION, to: 'outcome.duration.record((endedUs - sentUs) / 1000);' },
      { file: RECORDER, from: RESPONSE, to: 'outcome.responseTime.record((exchange.endedUs - intendedUs) / 1000);' },
    ],
    suspicion: 'units-mixed',
    pattern: 'constant',
    metric: 'http_req_duration',
  },
  {
    // Samples are counted twice, too: the run balances, and only the other side's count shows it.
    name: 'every request counted twice',
    planted: [
      { file: RECORDER, from: RESPONSE, to: `${RESPONSE} ${RESPONSE} this.recorder.samples++;` },
      { file: RECORDER, from: 'outcome.requests.count++;', to: 'outcome.requests.count += 2;' },
    ],
    suspicion: 'counted-twice',
    pattern: 'heavy-tail',
    metric: 'count',
  },
  {
    name: "the agents' percentiles averaged instead of merged",
    planted: [
      {
        file: 'shared/stats/rollup.js',
        from: 'value.histogram.addTotals(slice);',
        to: `value.histogram.addTotals(slice);
             const total = incarnation.definition(slice.series).value.histogram;
             const own = (total.byAgent ??= new Map());
             if (!own.has(batch.key.agent)) own.set(batch.key.agent, new Histogram());
             addEncoded(slice.histogram, own.get(batch.key.agent));
             own.get(batch.key.agent).addTotals(slice);
             total.percentileUs = (percentile) =>
               [...own.values()].reduce((sum, histogram) => sum + histogram.percentileUs(percentile), 0) / own.size;`,
      },
    ],
    suspicion: 'percentiles-averaged',
    pattern: 'two-point',
    metric: 'http_req_duration',
  },
  {
    name: 'response times counted from the sending',
    planted: [{ file: RECORDER, from: RESPONSE, to: 'outcome.responseTime.record(exchange.endedUs - exchange.sentUs);' }],
    suspicion: 'omits-waiting',
    pattern: 'stalls',
    metric: 'http_req_response_time',
  },
];

describe('a calibration with a fault planted in the program fails, and says what the fault looks like', () => {
  const processes = new Processes();
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'muster-faults-'));
  });
  afterEach(() => processes.killAll());
  afterAll(() => rm(folder, { recursive: true }));

  test.each(FAULTS)('$name', async ({ planted, suspicion, pattern, metric }) => {
    const build = await plantFaults(planted);
    try {
      await atAQuietMoment(NOISE_MAX_MS, async () => {
        const out = join(folder, 'calibration.json');
        const words = ['calibrate', '--quick', '--seconds', '3', '--json', '--out', out];
        const { code, stdout, stderr } = await processes.runFile(build.main, words);
        const result = JSON.parse(stdout) as CalibrationResult & { readonly saved: string | null };
        return {
          noiseMs: result.pacing.seen.p99Ms,
          judge: (slackMs) => {
            expect(code, stderr).toBe(EXIT_CODES.invalidResult.code);
            expect([result.verdict, result.saved]).toEqual(['failed', null]);
            const found = result.findings.filter((finding) => finding.pattern === pattern && finding.metric === metric);
            expect(found).toHaveLength(1);
            // Delays as long as the latencies hide what a deviation looks like, not that there is one.
            if (slackMs === 0) expect(found[0]?.suspicion).toBe(suspicion);
          },
        };
      });
      // What is not true is not kept for later runs.
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await build.remove();
    }
  });
});
