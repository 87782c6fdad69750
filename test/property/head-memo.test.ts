import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadMemo } from '../../agent/protocol/index.ts';
import { HeadReader } from '../../agent/protocol/http1/head-reader.ts';
import { ResponseReader } from '../../agent/protocol/http1/reader.ts';

const LIMITS = { headBytesMax: 400, bodyBytesMax: 1_000 };

/** Answers of every kind that a memo may and may not remember. */
const ANSWERS = [
  'HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi',
  'HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 26 Nov 2026 10:00:01 GMT\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nhey',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n',
  'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
  'HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi',
  '\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi',
  'HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n',
  'HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Digest realm="a"\r\ncontent-length: 0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nset-cookie: a=1\r\ncontent-length: 2\r\n\r\nhi',
  'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nhi',
  'HTTP/1.1 200 OK\r\nkeep-alive: timeout=5\r\ncontent-length: 2\r\n\r\nhi',
  'HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nhi',
  `HTTP/1.1 200 OK\r\nlong: ${'x'.repeat(400)}\r\ncontent-length: 0\r\n\r\n`,
] as const;

/** Seldom, so that heads are met again. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

/** How one answer is cut, what was asked, and where a byte of it is another one. */
const circumstances = {
  cuts: seldom(fc.array(fc.nat(200), { maxLength: 2 })),
  keepHead: fc.boolean(),
  isHead: fc.boolean(),
  flaw: seldom(fc.record({ at: fc.nat(200), byte: fc.constantFrom(0x20, 0x31, 0x61, 0x0d, 0x0a, 0x3a) })),
};

/** Few kinds of answers, in any order. */
const arrivals = fc
  .subarray([...ANSWERS], { minLength: 1, maxLength: 3 })
  .chain((kinds) => fc.array(fc.record({ answer: fc.constantFrom(...kinds), ...circumstances }), { minLength: 2, maxLength: 40 }));

type Arrival = typeof arrivals extends fc.Arbitrary<(infer One)[]> ? One : never;

function bytesOf({ answer, flaw }: Arrival): Buffer {
  const bytes = Buffer.from(answer, 'latin1');
  if (flaw !== undefined && flaw.at < bytes.length) bytes[flaw.at] = flaw.byte;
  return bytes;
}

/** One buffer for all, as in an agent: behind what has come lies what came before. */
const shared = Buffer.alloc(1_024);

/** Everything that a reader says of one answer. */
function read(reader: ResponseReader, one: Arrival, memo: HeadMemo | undefined): object {
  reader.begin(one.isHead, one.keepHead, true, memo);
  const bytes = bytesOf(one);
  const cuts = [...(one.cuts ?? []).filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
  const ends: number[] = [];
  let from = 0;
  for (const to of cuts) {
    if (reader.isDone || reader.error !== undefined) break;
    bytes.copy(shared, from % 7, from, to);
    ends.push(reader.read(shared, from % 7, (from % 7) + to - from) - (from % 7));
    from = to;
  }
  const { head, body, error, status } = reader;
  const isOver = error === undefined && reader.isDone;
  return {
    ...{ error, status, ends: error === undefined ? ends : [], isReusable: isOver && reader.isReusable },
    ...{ text: head.text, body: isOver ? body.result()?.toString('latin1') : undefined, setCookies: head.setCookies },
    ...{ location: head.location, challenge: head.challenge, coding: head.contentEncoding, seconds: head.keepAliveSeconds },
  };
}

describe('a memo of heads', () => {
  test('changes nothing of what is read, whatever came before, however it is cut', () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        const memo = new HeadMemo();
        const [remembering, plain] = [new ResponseReader(LIMITS), new ResponseReader(LIMITS)];
        for (const one of all) expect(read(remembering, one, memo)).toEqual(read(plain, one, undefined));
      }),
      { numRuns: 500 },
    );
  });

  test.each(ANSWERS)('says the third time what it said the first: %j', (answer) => {
    const memo = new HeadMemo();
    const [remembering, plain] = [new ResponseReader(LIMITS), new ResponseReader(LIMITS)];
    const one: Arrival = { answer, cuts: undefined, keepHead: true, isHead: false, flaw: undefined };
    for (let time = 0; time < 3; time++) expect(read(remembering, one, memo)).toEqual(read(plain, one, undefined));
  });

  test('spares the third reading of a head, and gives its text as often as it is asked for', () => {
    const memo = new HeadMemo();
    const reader = new HeadReader(1_000);
    const bytes = Buffer.from(ANSWERS[0], 'latin1');
    for (const keepHead of [false, false, true, true]) {
      reader.begin(keepHead, memo);
      expect([reader.read(bytes, 0, bytes.length), reader.isComplete]).toEqual([bytes.length - 2, true]);
      expect(reader.text).toBe(keepHead ? ANSWERS[0].slice(0, -2) : '');
      // Nobody sends this: what says it was not read again.
      memo.status = 299;
    }
    expect(reader.status).toBe(299);
  });

  test.each([0, 1])('no byte of it may differ, wherever it stands in what has come: from %i on', (from) => {
    // Of every length, so that it ends at every place of a word.
    for (const padding of ['', 'x', 'xx', 'xxx']) {
      const head = `HTTP/1.1 200 OK\r\npadding: ${padding}\r\n\r\n`;
      const reader = new HeadReader(1_000);
      const memo = new HeadMemo();
      const buffer = Buffer.alloc(1_024);
      buffer.write(head, from, 'latin1');
      const to = from + head.length;
      for (let time = 0; time < 2; time++) {
        reader.begin(false, memo);
        reader.read(buffer, from, to);
      }
      for (let at = from; at < to; at++) {
        expect(memo.matches(buffer, from, to)).toBe(true);
        buffer[at]! ^= 1;
        expect(memo.matches(buffer, from, to)).toBe(false);
        buffer[at]! ^= 1;
      }
      expect(memo.matches(buffer, from, to - 1)).toBe(false);
    }
  });

  test('rests where every head is another one, and tries again', () => {
    const memo = new HeadMemo();
    const reader = new HeadReader(1_000);
    const readNumber = (id: number): void => {
      const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nid: ${id}\r\n\r\n`);
      reader.begin(false, memo);
      reader.read(bytes, 0, bytes.length);
    };
    for (let id = 0; id < 18; id++) readNumber(id);
    expect(memo.length).toBe(0);
    for (let id = 0; id < 1_000; id++) readNumber(1);
    expect(memo.length).toBe(0);
    readNumber(1);
    expect(memo.length).toBeGreaterThan(0);
  });
});
