/** What merging costs: interval histograms of 500 samples each, from the bytes that arrive to totals, per second of CPU.
 *
 *  Every batch is decoded, checked, added to its interval, and every interval, when all agents have delivered it, to the totals of the
 *  run, as the coordinator does it. Beside it, on the same bytes: reading the message alone, and a bare loop that adds the counts of a
 *  histogram and checks nothing, which is what the work cannot do without. */
import { parseArgs } from 'node:util';
import { Rollup } from '../../shared/stats/index.ts';
import { decodeBatch, encodeBatch } from '../../shared/wire/index.ts';
import { AgentBatches, TRENDS, type Shape } from './agent-batches.ts';
import { machine, median } from './machine.ts';

const PER_SECOND_MIN = 150_000;
const SAMPLES = 500;

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '200' },
    intervals: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '9' },
  },
});
process.stdout.write(
  `${machine()}\n${values.agents} agents, ${values.intervals} intervals of ${TRENDS} histograms of ${SAMPLES} samples\n\n`,
);
process.stdout.write(
  '| histograms | payload | bare add | read | bytes to totals | × bare add | a core-second |\n|---|---|---|---|---|---|---|\n',
);
const perSecond = (['agent', 'wide'] as const).map((shape) =>
  bench(shape, Number(values.agents), Number(values.intervals), Number(values.rounds)),
);
const worst = Math.min(...perSecond);
process.stdout.write(`\n${worst >= PER_SECOND_MIN ? 'holds' : 'FAILS'}: at least ${PER_SECOND_MIN.toLocaleString('en')} a core-second\n`);

/** Returns histograms a core-second. */
function bench(shape: Shape, agents: number, intervals: number, rounds: number): number {
  // By interval, then agent: the order in which they arrive.
  const fleet = Array.from({ length: agents }, (_, agent) => new AgentBatches(agent, shape));
  const batches = Array.from({ length: intervals }, (_, interval) =>
    fleet.map((agent, number) => {
      const key = { agent: `agent-${number}`, incarnation: 'c0ffee00', sequence: interval };
      return encodeBatch({ key, ...agent.next(SAMPLES, interval === intervals - 1) });
    }),
  );
  const payloads = batches.flat().flatMap((bytes) => decodeBatch(bytes).trends.map(({ histogram }) => histogram));
  const bareUs: number[] = [];
  const readUs: number[] = [];
  const wholeUs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    bareUs.push(cpuUs(() => addBarely(payloads)) / payloads.length);
    readUs.push(cpuUs(() => batches.flat().forEach((bytes) => decodeBatch(bytes))) / payloads.length);
    wholeUs.push(cpuUs(() => merge(batches, payloads.length * SAMPLES)) / payloads.length);
  }
  const payloadBytes = payloads.reduce((sum, { length }) => sum + length, 0) / payloads.length;
  const [bare, read, whole] = [median(bareUs), median(readUs), median(wholeUs)];
  const cells = [bare, read, whole].map((us) => `${us.toFixed(2)} µs`);
  process.stdout.write(
    `| ${shape} | ${payloadBytes.toFixed(0)} bytes | ${cells.join(' | ')} | ${(whole / bare).toFixed(2)} | ${Math.round(1e6 / whole).toLocaleString('en')} |\n`,
  );
  return 1e6 / whole;
}

/** What a run's coordinator does with every message, but for the files. */
function merge(batches: readonly (readonly Uint8Array[])[], samples: number): void {
  const rollup = new Rollup();
  batches.forEach((interval, index) => {
    for (const bytes of interval) rollup.add(decodeBatch(bytes));
    rollup.close(index + 1);
  });
  const merged = rollup.series().reduce((sum, { value }) => sum + (value.kind === 'trend' ? value.histogram.count : 0), 0);
  if (merged !== samples || rollup.merged !== samples) throw new Error(`merged ${merged} of ${samples} samples`);
}

/** The least that a merge must do, without a check. */
function addBarely(payloads: readonly Uint8Array[]): void {
  const totals = Array.from({ length: TRENDS }, () => new Float64Array(23_552));
  payloads.forEach((payload, number) => {
    const counts = totals[number % TRENDS]!;
    let at = 40;
    let index = 0;
    while (at < payload.length) {
      let value = payload[at++]!;
      if (value >= 0x80) {
        value &= 0x7f;
        for (let shift = 7, byte = 0x80; byte >= 0x80; shift += 7) {
          byte = payload[at++]!;
          value |= (byte & 0x7f) << shift;
        }
      }
      if ((value & 1) === 1) index += (value + 1) >> 1;
      else counts[index++]! += value >> 1;
    }
  });
}

function cpuUs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
