import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldsOf } from '../../agent/protocol/header-fields.ts';
import { ResponseReader, type ResponseLimits } from '../../agent/protocol/http1/reader.ts';

const LIMITS: ResponseLimits = { headBytesMax: 4096, bodyBytesMax: 1000 };

interface Asked {
  readonly isHead?: boolean;
  readonly keepBody?: boolean;
  readonly limits?: ResponseLimits;
}

interface Outcome {
  readonly result: string;
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string | undefined;
  readonly bodyBytes: number;
  /** Bytes that belong to the response. */
  readonly readBytes: number;
  readonly isReusable: boolean;
}

/** Feeds the pieces one after the other, each at a different place of a buffer that is overwritten in between, as the shared one is. */
function readPieces(pieces: readonly Buffer[], asked: Asked = {}, isEnded = false): Outcome {
  const reader = new ResponseReader(asked.limits ?? LIMITS);
  reader.begin(asked.isHead ?? false, true, asked.keepBody ?? true);
  const shared = Buffer.alloc(128 * 1024);
  let readBytes = 0;
  let offset = 0;
  for (const piece of pieces) {
    if (reader.isDone || reader.error !== undefined) break;
    shared.fill(0x21);
    piece.copy(shared, offset);
    readBytes += reader.read(shared, offset, offset + piece.length) - offset;
    offset = (offset + 7) % 64;
  }
  if (isEnded && !reader.isDone && reader.error === undefined) reader.end();
  const isFailed = reader.error !== undefined;
  return {
    result: reader.error ?? (reader.isDone ? 'done' : 'reading'),
    status: reader.status,
    headers: isFailed ? [] : fieldsOf(reader.head.text),
    body: isFailed ? undefined : reader.body.result()?.toString('latin1'),
    bodyBytes: isFailed ? 0 : reader.body.byteCount,
    readBytes: isFailed ? 0 : readBytes,
    isReusable: !isFailed && reader.isDone && reader.isReusable,
  };
}

function readWhole(text: string, asked: Asked = {}, isEnded = false): Outcome {
  return readPieces([Buffer.from(text, 'latin1')], asked, isEnded);
}

function bytewise(text: string): Buffer[] {
  return [...Buffer.from(text, 'latin1')].map((byte) => Buffer.from([byte]));
}

const OK = 'HTTP/1.1 200 OK\r\n';
const HI = 'content-length: 2\r\n\r\nhi';
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;

/** Legal responses: text, what is read of it, and whether the connection may be used again. */
const LEGAL: Record<string, { text: string; status?: number; body?: string; isReusable?: boolean; asked?: Asked; isEnded?: boolean }> = {
  'a plain response': { text: OK + HI },
  'no reason phrase': { text: `HTTP/1.1 200\r\n${HI}` },
  'an empty reason phrase': { text: `HTTP/1.1 200 \r\n${HI}` },
  'a reason phrase of any bytes': { text: `HTTP/1.1 200 \x01\xe9\t\x7f\r\n${HI}` },
  'empty lines before the status line': { text: `\r\n\r\n${OK}${HI}` },
  'a status beyond 599': { text: `HTTP/1.1 999 Denied\r\n${HI}`, status: 999 },
  'an empty value': { text: `${OK}a:\r\n${HI}` },
  'a value of blanks': { text: `${OK}a:  \t \r\n${HI}` },
  'blanks around a value': { text: `${OK}a: \t b c \t\r\n${HI}` },
  'a value beyond ASCII': { text: `${OK}a: b\xe9\r\n${HI}` },
  'names in any case': { text: `${OK}Content-LENGTH: 2\r\n\r\nhi` },
  'equal lengths twice': { text: `${OK}content-length: 2\r\n${HI}` },
  'zeros before a length': { text: `${OK}content-length: 002\r\n\r\nhi` },
  'a length of zero': { text: `${OK}content-length: 0\r\n\r\n`, body: '' },
  chunks: { text: `${CHUNKED}1\r\nh\r\n1\r\ni\r\n0\r\n\r\n` },
  'a chunk size in either case with zeros': {
    text: `${CHUNKED}0000a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n`,
    body: '01234567890123456789a',
  },
  'chunk extensions': { text: `${CHUNKED}2;a;b=c;d="e;\\"\t\xe9"\r\nhi\r\n0;last\r\n\r\n` },
  'trailer fields': { text: `${CHUNKED}2\r\nhi\r\n0\r\nx: y\r\ncontent-length: 9\r\nconnection: close\r\n\r\n` },
  'chunks beside a length': { text: `${OK}content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`, isReusable: false },
  'chunks before a length': { text: `${OK}Transfer-Encoding: CHUNKED\r\ncontent-length: 9\r\n\r\n2\r\nhi\r\n0\r\n\r\n`, isReusable: false },
  'chunks in HTTP/1.0': {
    text: `HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
    isReusable: false,
  },
  'a body until the end': { text: `${OK}\r\nhi`, isEnded: true, isReusable: false },
  'an empty body until the end': { text: `${OK}\r\n`, body: '', isEnded: true, isReusable: false },
  'HTTP/1.0': { text: `HTTP/1.0 200 OK\r\n${HI}`, isReusable: false },
  'HTTP/1.0 with keep-alive': { text: `HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n${HI}` },
  'connection: close': { text: `${OK}Connection: Close\r\n${HI}`, isReusable: false },
  'close among other options': { text: `${OK}connection: foo , close\r\n${HI}`, isReusable: false },
  'close in a second field': { text: `${OK}connection: keep-alive\r\nconnection: close\r\n${HI}`, isReusable: false },
  'an option that only begins like close': { text: `${OK}connection: closed\r\n${HI}` },
  '204 with a length': { text: 'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n', status: 204, body: '' },
  '304 with chunks announced': { text: 'HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n', status: 304, body: '' },
  '304 without a length': { text: 'HTTP/1.1 304 Not Modified\r\n\r\n', status: 304, body: '' },
  'a response to HEAD': { text: `${OK}content-length: 5\r\n\r\n`, body: '', asked: { isHead: true } },
  'a response to HEAD without a length': { text: `${OK}\r\n`, body: '', asked: { isHead: true } },
  '100 before the response': { text: `HTTP/1.1 100 Continue\r\n\r\n${OK}${HI}` },
  'several informational responses': { text: `HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 102 P\r\ncontent-length: 7\r\n\r\n${OK}${HI}` },
};

describe.each(Object.entries(LEGAL))('%s', (_, { text, status = 200, body = 'hi', isReusable = true, asked, isEnded }) => {
  const whole = readWhole(text, asked, isEnded);

  test('is read to its last byte', () => {
    expect(whole).toMatchObject({ result: 'done', status, body, bodyBytes: body.length, readBytes: text.length, isReusable });
  });

  test('reads the same cut at any one point, and byte by byte', () => {
    const bytes = Buffer.from(text, 'latin1');
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(readPieces([bytes.subarray(0, cut), bytes.subarray(cut)], asked, isEnded)).toEqual(whole);
    }
    expect(readPieces(bytewise(text), asked, isEnded)).toEqual(whole);
  });

  test('is not done before its last byte, and leaves what follows alone', () => {
    if (isEnded === true) return;
    expect(readWhole(text.slice(0, -1), asked).result).toBe('reading');
    expect(readWhole(text.slice(0, -1), asked, true).result).toBe('connect-reset');
    expect(readWhole(`${text}HTTP/1.1`, asked)).toEqual(whole);
  });

  test('keeps neither headers nor body when not asked to', () => {
    const reader = new ResponseReader(LIMITS);
    reader.begin(asked?.isHead ?? false, false, false);
    reader.read(Buffer.from(text, 'latin1'), 0, text.length);
    if (isEnded === true) reader.end();
    expect([reader.isDone, reader.status, reader.body.byteCount, reader.body.result()]).toEqual([true, status, body.length, undefined]);
  });
});

const ILLEGAL: Record<string, string> = {
  'another protocol': 'SSH-2.0-OpenSSH_9\r\n',
  'a lower-case version': `http/1.1 200 OK\r\n${HI}`,
  'an unknown version': `HTTP/1.2 200 OK\r\n${HI}`,
  'a blank before the status line': ` ${OK}${HI}`,
  'two blanks before the status': `HTTP/1.1  200 OK\r\n${HI}`,
  'a status of two digits': `HTTP/1.1 20 OK\r\n${HI}`,
  'a status of four digits': `HTTP/1.1 2000 OK\r\n${HI}`,
  'a status with a letter': `HTTP/1.1 20x OK\r\n${HI}`,
  'a status below 100': `HTTP/1.1 099 OK\r\n${HI}`,
  'a bare LF behind the status line': `HTTP/1.1 200 OK\n${HI}`,
  'a bare LF behind a field': `${OK}a: b\n${HI}`,
  'a bare LF as the empty line': `${OK}content-length: 2\r\n\nhi`,
  'a bare CR in the status line': `HTTP/1.1 200 O\rK\r\n${HI}`,
  'a bare CR in a value': `${OK}a: b\rc\r\n${HI}`,
  'a bare CR as the empty line': `${OK}content-length: 2\r\n\rhi`,
  'a folded value': `${OK}a: b\r\n c\r\n${HI}`,
  'a blank before a name': `${OK} a: b\r\n${HI}`,
  'a blank before the colon': `${OK}a : b\r\n${HI}`,
  'an empty name': `${OK}: b\r\n${HI}`,
  'a line without colon': `${OK}abc\r\n${HI}`,
  'a name beyond ASCII': `${OK}\xe9: b\r\n${HI}`,
  'NUL in a value': `${OK}a: b\0c\r\n${HI}`,
  'DEL in a value': `${OK}a: b\x7f\r\n${HI}`,
  'different lengths': `${OK}content-length: 3\r\n${HI}`,
  'a list of lengths': `${OK}content-length: 2, 2\r\n\r\nhi`,
  'a signed length': `${OK}content-length: +2\r\n\r\nhi`,
  'a negative length': `${OK}content-length: -2\r\n\r\nhi`,
  'an empty length': `${OK}content-length:\r\n\r\nhi`,
  'a length beyond what a number holds': `${OK}content-length: 9007199254740993\r\n\r\nhi`,
  'an unknown transfer coding': `${OK}transfer-encoding: gzip\r\n\r\nhi`,
  'a transfer coding beside chunked': `${OK}transfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
  'chunked twice': `${OK}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
  'a blank behind a chunk size': `${CHUNKED}2 \r\nhi\r\n0\r\n\r\n`,
  'a blank before a chunk size': `${CHUNKED} 2\r\nhi\r\n0\r\n\r\n`,
  'no chunk size': `${CHUNKED}\r\nhi\r\n0\r\n\r\n`,
  'a prefixed chunk size': `${CHUNKED}0x2\r\nhi\r\n0\r\n\r\n`,
  'a chunk size beyond what a number holds': `${CHUNKED}FFFFFFFFFFFFFFFF\r\nhi`,
  'a bare LF behind a chunk size': `${CHUNKED}2\nhi\r\n0\r\n\r\n`,
  'a bare LF behind a chunk': `${CHUNKED}2\r\nhi\n0\r\n\r\n`,
  'a chunk longer than its size': `${CHUNKED}2\r\nhii\r\n0\r\n\r\n`,
  'a nameless chunk extension': `${CHUNKED}2;\r\nhi\r\n0\r\n\r\n`,
  'a line break in a quoted chunk extension': `${CHUNKED}2;a="\r\n"\r\nhi\r\n0\r\n\r\n`,
  'a folded trailer field': `${CHUNKED}0\r\nx: y\r\n z\r\n\r\n`,
  'a trailer without colon': `${CHUNKED}0\r\nabc\r\n\r\n`,
  'a switch of protocols': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n',
};

describe.each(Object.entries(ILLEGAL))('%s', (_, text) => {
  test('is a protocol error, however it is cut', () => {
    expect(readWhole(text).result).toBe('protocol');
    expect(readPieces(bytewise(text)).result).toBe('protocol');
  });
});

describe('headers', () => {
  test('are kept in order, lower-cased and trimmed, with duplicates', () => {
    const { headers } = readWhole(`${OK}Set-Cookie: a=1 \r\nX:\r\nSet-Cookie:\tb=2\r\n${HI}`);
    expect(headers).toEqual(['set-cookie', 'a=1', 'x', '', 'set-cookie', 'b=2', 'content-length', '2']);
  });

  test('that set cookies are picked out, kept or not, however they are cut; not those of informational responses and of trailers', () => {
    const early = 'HTTP/1.1 103 Early\r\nset-cookie: early=1\r\n\r\n';
    const text = `${early}${OK}Set-Cookie: a=1; Path=/ \r\nkeep-alive: x\r\nSET-COOKIE:b=\xe4\r\nset-cookies: c\r\ntransfer-encoding: chunked\r\n\r\n0\r\nset-cookie: late=1\r\n\r\n`;
    for (const keepHead of [true, false]) {
      for (const pieces of [[Buffer.from(text, 'latin1')], bytewise(text)]) {
        const reader = new ResponseReader(LIMITS);
        reader.begin(false, keepHead, false);
        for (const piece of pieces) reader.read(piece, 0, piece.length);
        expect([reader.isDone, reader.head.setCookies]).toEqual([true, ['a=1; Path=/', 'b=\xe4']]);
        reader.begin(false, keepHead, false);
        expect(reader.head.setCookies).toBeUndefined();
      }
    }
  });

  test('of informational responses and of trailers are not kept', () => {
    const { headers } = readWhole(`HTTP/1.1 103 Early\r\nlink: a\r\n\r\n${CHUNKED}0\r\nx: y\r\n\r\n`);
    expect(headers).toEqual(['transfer-encoding', 'chunked']);
  });

  test.each([
    ['timeout=5', 5],
    ['max=100, Timeout = 7', 7],
    ['max=100', Infinity],
    ['xtimeout=5', Infinity],
  ])('keep-alive: %s announces %d seconds', (value, seconds) => {
    const reader = new ResponseReader(LIMITS);
    reader.begin(false, false, false);
    const text = `${OK}Keep-Alive: ${value}\r\n${HI}`;
    reader.read(Buffer.from(text, 'latin1'), 0, text.length);
    expect(reader.head.keepAliveSeconds).toBe(seconds);
  });
});

describe('limits', () => {
  const limits: ResponseLimits = { headBytesMax: 100, bodyBytesMax: 5 };

  test('a head longer than its limit is a protocol error, even while it is still coming', () => {
    expect(readPieces(bytewise(`${OK}a: ${'b'.repeat(100)}`), { limits }).result).toBe('protocol');
    expect(readWhole(`${OK}a: ${'b'.repeat(100)}\r\n${HI}`, { limits }).result).toBe('protocol');
  });

  test('a trailer longer than the limit is a protocol error', () => {
    expect(readPieces(bytewise(`${CHUNKED}0\r\na: ${'b'.repeat(100)}`), { limits }).result).toBe('protocol');
  });

  test('chunk extensions longer than 16 KiB are a protocol error', () => {
    expect(readPieces([Buffer.from(CHUNKED), Buffer.from(`2;${'a'.repeat(17_000)}`)]).result).toBe('protocol');
  });

  test('a hundred informational responses are read, one more is a protocol error', () => {
    const early = 'HTTP/1.1 103 Early\r\n\r\n';
    expect(readWhole(early.repeat(100) + OK + HI).result).toBe('done');
    expect(readWhole(early.repeat(101) + OK + HI).result).toBe('protocol');
  });

  test.each([
    ['announced', `${OK}content-length: 6\r\n\r\n`],
    ['chunked', `${CHUNKED}3\r\nabc\r\n3\r\n`],
    ['until the end', `${OK}\r\nabcdef`],
  ])('a body %s longer than the limit ends the response when kept, with its status', (_, text) => {
    expect(readWhole(text, { limits })).toMatchObject({ result: 'body-too-large', status: 200 });
    expect(readWhole(text, { limits, keepBody: false }).result).toBe('reading');
  });

  test('a body of just the limit is kept', () => {
    expect(readWhole(`${OK}content-length: 5\r\n\r\nabcde`, { limits })).toMatchObject({ result: 'done', body: 'abcde' });
  });
});

test('fields of a head: blanks around values are not theirs, other ones are, and a line that was cut off is none', () => {
  const head = '\r\nHTTP/1.1 200 a: b\r\nX:\t\r\nSet-Cookie: 1 \xa0 \t\r\nset-cookie:2\r\n';
  const fields = ['x', '', 'set-cookie', '1 \xa0', 'set-cookie', '2'];
  for (const rest of ['\r\n', '', 'cut: of', 'cut: of\r']) expect(fieldsOf(head + rest)).toEqual(fields);
  expect(fieldsOf('')).toEqual([]);
  expect(fieldsOf('HTTP/1.1 200 OK')).toEqual([]);
});

describe('any response', () => {
  const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z]{1,12}$/).map((text) => `x${text}`);
  const value = fc.stringMatching(/^[\x21-\x7e\x80-\xff]{0,20}$/);
  const body = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

  test('reads to the same headers and body, however it is framed and cut', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 200, max: 999 }).filter((status) => status !== 204 && status !== 304),
        fc.array(fc.tuple(name, value), { maxLength: 6 }),
        body,
        fc.array(fc.nat(), { maxLength: 8 }),
        fc.constantFrom('length', 'chunks', 'close'),
        fc.array(fc.nat(), { maxLength: 12 }),
        (status, fields, content, chunkCuts, framing, cuts) => {
          const framed = frame(framing, content, chunkCuts);
          const head = `HTTP/1.1 ${String(status)} X\r\n${fields.map(([n, v]) => `${n}: ${v}\r\n`).join('')}${framed.field}\r\n`;
          const message = Buffer.concat([Buffer.from(head, 'latin1'), framed.body]);
          const read = readPieces(cutAt(message, cuts), {}, framing === 'close');
          expect(read).toMatchObject({ result: 'done', status, readBytes: message.length, body: content.toString('latin1') });
          expect(read.headers.slice(0, fields.length * 2)).toEqual(fields.flatMap(([n, v]) => [n.toLowerCase(), v]));
        },
      ),
    );
  });

  test('even of random bytes ends the same way, however it is cut', () => {
    const part = fc.oneof(
      fc.constantFrom(
        OK,
        HI,
        CHUNKED,
        '\r\n',
        '\r',
        '\n',
        '2\r\n',
        'hi',
        '0\r\n\r\n',
        'a: b',
        ' ',
        ':',
        ';',
        '"',
        '=',
        'content-length: ',
        '1',
        'HTTP/1.1 ',
      ),
      fc.stringMatching(/^[\x00-\xff]{0,3}$/),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 12 }), fc.boolean(), (parts, cuts, isEnded) => {
        const text = parts.join('');
        expect(readPieces(cutAt(Buffer.from(text, 'latin1'), cuts), {}, isEnded)).toEqual(readWhole(text, {}, isEnded));
      }),
      { numRuns: 1000 },
    );
  });
});

function frame(framing: 'length' | 'chunks' | 'close', content: Buffer, cuts: readonly number[]): { field: string; body: Buffer } {
  switch (framing) {
    case 'length':
      return { field: `content-length: ${String(content.length)}\r\n`, body: content };
    case 'close':
      return { field: '', body: content };
    case 'chunks': {
      const chunks = cutAt(content, cuts).filter((chunk) => chunk.length > 0);
      const lines = chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]);
      return { field: 'transfer-encoding: chunked\r\n', body: Buffer.concat([...lines, Buffer.from('0\r\n\r\n')]) };
    }
  }
}

/** The bytes cut into pieces at any points, empty pieces left out. */
function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const points = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  const edges = [0, ...points, bytes.length];
  return edges.slice(1).flatMap((to, i) => (to > (edges[i] ?? 0) ? [bytes.subarray(edges[i], to)] : []));
}
