// Judges thresholds in k6's syntax over numbers of your own: muster/sla by itself.
//   node examples/programs/sla.mjs
import { evaluate, parseThreshold } from 'muster/sla';
import { Histogram } from 'muster/stats';

const durations = new Histogram();
for (const ms of [12, 15, 11, 240, 13]) durations.record(ms * 1000);
const seconds = 10;
/** @type {import('muster/stats').Series[]} */
const series = [
  { metric: 'http_req_duration', tags: { name: 'list' }, value: { kind: 'trend', histogram: durations } },
  { metric: 'http_req_failed', tags: { name: 'list' }, value: { kind: 'rate', passes: 0, fails: 5 } },
];

/** @type {[metric: string, expression: string][]} */
const asked = [
  ['http_req_duration{name:list}', 'p(95)<200'],
  ['http_req_failed', 'rate<0.01'],
  ['http_req_duration{name:cart}', 'max<1s'],
];
for (const [metric, expression] of asked) {
  const threshold = parseThreshold(metric, expression);
  if ('problem' in threshold) throw new Error(threshold.problem);
  const verdict = evaluate(threshold, series, seconds * 1_000_000);
  console.log(`${metric}: ${expression}: ${verdict.kind}${verdict.kind === 'no-data' ? '' : ` (${verdict.observed})`}`);
  // No data is not a pass.
  if (verdict.kind !== 'pass') process.exitCode = 99;
}
