/** What recognising a response head costs beside reading it: nginx's head of five fields, kept as text and not, with a memo and without, in
 *  turns in one process. The ratio counts.
 *
 *    npx tsx test/bench/head-memo.ts [rounds]
 */
import { HeadMemo } from '../../agent/protocol/index.ts';
import { HeadReader } from '../../agent/protocol/http1/head-reader.ts';
import { HEAD_BYTES_MAX } from '../../shared/base/index.ts';
import { machine, median } from './machine.ts';

const READS = 300_000;
const HEAD = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n' +
    'Connection: keep-alive\r\n\r\n',
  'latin1',
);

/** Nanoseconds of CPU a head. */
function measure(reader: HeadReader, isKept: boolean, memo: HeadMemo | undefined): number {
  const before = process.cpuUsage();
  for (let i = 0; i < READS; i++) {
    reader.begin(isKept, memo);
    if (reader.read(HEAD, 0, HEAD.length) !== HEAD.length || reader.contentLength !== 14) throw new Error('not read');
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / READS;
}

const rounds = Number(process.argv[2] ?? 9);
process.stdout.write(`${machine()}\n${HEAD.length} bytes, ${READS.toLocaleString('en')} reads, ${rounds} rounds\n`);
const reader = new HeadReader(HEAD_BYTES_MAX);
for (const isKept of [false, true]) {
  const memo = new HeadMemo();
  const read: number[] = [];
  const recognised: number[] = [];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const both = [measure(reader, isKept, undefined), measure(reader, isKept, memo)] as const;
    if (round === 0) continue;
    read.push(both[0]);
    recognised.push(both[1]);
  }
  const [one, other] = [median(read), median(recognised)];
  process.stdout.write(
    `${isKept ? 'kept    ' : 'not kept'}  read ${one.toFixed(0)} ns, recognised ${other.toFixed(0)} ns: ${(other / one).toFixed(2)} of it\n`,
  );
}
