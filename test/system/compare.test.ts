import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, HistogramLogWriter } from 'hdr-histogram-js';
import { afterAll, expect, test } from 'vitest';
import { seededDraws } from '../support/seeded-draws.ts';
import { Shell } from '../support/shell.ts';

const shell = new Shell();
afterAll(() => shell.close());

/** A log as another tool writes it, by the library's own writer: 20 seconds of latencies between 10 and 30 ms, times the factor. */
async function foreignLog(name: string, seed: number, factor = 1): Promise<string> {
  const draw = seededDraws(seed);
  let text = '';
  const writer = new HistogramLogWriter((content) => (text += content));
  writer.outputLogFormatVersion();
  writer.outputStartTime(1_700_000_000_000);
  writer.outputLegend();
  for (let second = 0; second < 20; second++) {
    const histogram = build({ numberOfSignificantValueDigits: 3 });
    for (let i = 0; i < 100; i++) histogram.recordValue(Math.round((10_000 + 20_000 * draw()) * factor));
    histogram.startTimeStampMsec = 1_700_000_000_000 + second * 1_000;
    histogram.endTimeStampMsec = histogram.startTimeStampMsec + 1_000;
    writer.outputIntervalHistogram(histogram);
  }
  await writeFile(join(shell.dir, name), text);
  return name;
}

test('muster compare judges logs of another tool, writes its formats, and says by its exit code what it found', async () => {
  const [a, b] = [await foreignLog('a.hlog', 1), await foreignLog('b.hlog', 2)];
  const slow = await foreignLog('slow.hlog', 3, 1.3);
  const equal = await shell.muster('compare', a, b, '--replicates', '300');
  expect([equal.code, equal.stdout.trimEnd().split('\n').at(-1), equal.stderr]).toEqual([0, '= no difference that matters', '']);
  const found = await shell.muster('compare', a, b, '--candidate', slow, '--format', 'html', '--out', 'r.html', '--replicates', '300');
  expect([found.code, found.stdout, found.stderr]).toEqual([114, '', 'regression: r.html\n']);
  expect(await readFile(join(shell.dir, 'r.html'), 'utf8')).toContain('✗ regression: ');
});

test.each([
  [['one.hlog'], 'expected two runs: a baseline and a candidate'],
  [['a.hlog', 'b.hlog', 'c.hlog'], '3 runs: expected --candidate before those that are to be judged'],
  [['a.hlog', './a.hlog', '--candidate', 'b.hlog'], 'is there twice'],
  [['a.hlog', './a.hlog'], 'stands on both sides'],
  [['a.hlog', 'nowhere'], 'nowhere: expected a run bundle or an HdrHistogram log'],
  [['a.hlog', 'b.hlog', '--floor', 'much'], 'Expected a percentage such as 2%'],
])('compare %j ends with 104 and says what was expected', async (words, expected) => {
  const { code, stderr } = await shell.muster('compare', ...words);
  expect([code, stderr]).toEqual([104, expect.stringContaining(expected)]);
});
