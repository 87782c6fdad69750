// Measures in two places, merges without loss, and reads percentiles of the whole: muster/stats by itself.
//   node examples/programs/stats.mjs
import { encodeHistogram, Histogram } from 'muster/stats';

const [left, right, whole] = [new Histogram(), new Histogram(), new Histogram()];
for (let n = 0; n < 100_000; n++) {
  const durationUs = 800 + (n % 977) ** 2; // Microseconds; yours come from a clock.
  (n % 3 === 0 ? left : right).record(durationUs);
  whole.record(durationUs);
}

const merged = new Histogram();
merged.add(left);
merged.add(right);

for (const percentile of [50, 90, 99, 99.9])
  console.log(`p(${percentile}) ${((merged.percentileUs(percentile) ?? 0) / 1000).toFixed(3)} ms`);
console.log(`mean  ${((merged.meanUs ?? 0) / 1000).toFixed(3)} ms of ${merged.count} samples`);
console.log(Buffer.compare(encodeHistogram(merged), encodeHistogram(whole)) === 0 ? 'merged = whole' : 'merged differs from the whole');
