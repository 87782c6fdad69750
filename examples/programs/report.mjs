// Merges run bundles, judges their thresholds and prints the report of the whole: muster/report by itself.
//   node examples/programs/report.mjs OUT BUNDLE BUNDLE...
import { checkThresholds, mergeBundles, openResults, renderCheckText, renderSummary, thresholdsOf } from 'muster/report';

const [out, ...paths] = process.argv.slice(2);
if (out === undefined || paths.length < 2) throw new Error('usage: report.mjs OUT BUNDLE BUNDLE...');

const bundles = [];
for (const path of paths) {
  const results = await openResults(path);
  if (results.kind !== 'bundle') throw new Error(`${path} is no run bundle`);
  bundles.push(results);
}
const summary = await mergeBundles(bundles, out);
process.stdout.write(renderSummary(summary, { color: false }));

const merged = await openResults(out);
const thresholds = thresholdsOf(merged);
if (thresholds.length > 0) {
  const result = await checkThresholds(merged, thresholds);
  process.stdout.write(renderCheckText(result, { color: false }));
  process.exitCode = result.exitCode;
}

// Every interval is there whole: what a chart of your own is drawn from.
for await (const { startUs, series } of merged.intervals()) {
  const requests = series
    .filter(({ metric }) => metric === 'http_reqs')
    .reduce((sum, { value }) => sum + (value.kind === 'counter' ? value.count : 0), 0);
  console.log(`${startUs / 1_000_000} s: ${requests} requests`);
}
