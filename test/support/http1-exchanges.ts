/** One response as a server sends it: bytes, the places where they are torn, and how the connection ends. */
export interface ServedExchange {
  readonly index: number;
  readonly method: 'GET' | 'HEAD';
  /** The whole message as latin1 text. */
  readonly message: string;
  /** Positions in the message, ascending: what stands between two of them is one write. */
  readonly cuts: readonly number[];
  /** `keep`: the message is legal and says itself where it ends, so that the connection may carry the next one; `end`: the server closes
   *  behind the message; `reset`: it breaks the connection, without a message. */
  readonly ending: 'keep' | 'end' | 'reset';
}

/** Exchange `index` of the endless list that `seed` stands for. Pure: server and clients make the same one independently. */
export function servedExchange(seed: number, index: number): ServedExchange {
  const random = new Random(seed, index);
  const method = random.isOneIn(10) ? 'HEAD' : 'GET';
  const { text, isSelfDelimited } = legalMessage(random, method);
  const kind = random.below(10);
  if (kind < 5) {
    const isKept = isSelfDelimited && !random.isOneIn(8);
    return { index, method, message: text, cuts: random.cuts(text.length), ending: isKept ? 'keep' : 'end' };
  }
  const message = kind < 6 ? text.slice(0, random.below(text.length)) : kind < 8 ? disturbed(random, text) : illegalMessage(random, text);
  const ending = message === '' && random.isOneIn(2) ? 'reset' : 'end';
  return { index, method, message, cuts: random.cuts(message.length), ending };
}

interface Message {
  readonly text: string;
  readonly isSelfDelimited: boolean;
}

function legalMessage(random: Random, method: string): Message {
  let text = '';
  for (let left = random.isOneIn(8) ? 1 + random.below(3) : 0; left > 0; left--) {
    const fields = Array.from({ length: random.below(3) }, () => field(random));
    text += `HTTP/1.1 ${random.pick(['100 Continue', '102 ', '103 Early Hints', '110'])}\r\n${fields.join('')}\r\n`;
  }
  const status = random.isOneIn(2)
    ? 200
    : random.isOneIn(2)
      ? random.pick([201, 204, 205, 206, 301, 304, 404, 500, 503])
      : 200 + random.below(800);
  const version = random.isOneIn(10) ? '1.0' : '1.1';
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
  const body = random.bytes(random.pick([0, 1, 2, 10, 100, 100, 1000, random.isOneIn(20) ? 80_000 : 5000]));
  const framing = random.pick(['length', 'length', 'chunked', 'chunked', 'until-close']);
  const fields = Array.from({ length: random.below(random.isOneIn(20) ? 60 : 12) }, () => field(random));
  const put = (line: string): void => void fields.splice(random.below(fields.length + 1), 0, line);
  if (framing === 'length')
    put(`${random.cased('Content-Length')}:${random.blanks()}${String(body.length)}${random.pick(['', '', ' '])}\r\n`);
  if (framing === 'chunked')
    put(`${random.cased('Transfer-Encoding')}:${random.blanks()}${random.cased('chunked')}${random.pick(['', '', ' '])}\r\n`);
  if (random.isOneIn(4))
    put(`${random.cased('Connection')}: ${random.pick(['close', 'keep-alive', 'Close', 'Keep-Alive', 'x, close', 'keep-alive,y'])}\r\n`);
  if (random.isOneIn(8)) put(`keep-alive: ${random.pick(['timeout=60', 'timeout=60, max=100', 'max=3', ''])}\r\n`);
  const reason = random.pick([' OK', ' ', '', ' Not quite: "fine"', ' \xe9t\xe9\tx', ` ${'long '.repeat(50)}`]);
  text += `HTTP/${version} ${String(status)}${reason}\r\n${fields.join('')}\r\n`;
  if (hasBody) text += framing === 'chunked' ? chunked(random, body) : body;
  return { text, isSelfDelimited: !hasBody || framing !== 'until-close' };
}

function field(random: Random): string {
  const name = random.isOneIn(3) ? random.token() : random.cased(random.pick(KNOWN_NAMES));
  return `${name}:${random.blanks()}${value(random)}${random.blanks()}\r\n`;
}

const KNOWN_NAMES = [
  'Date',
  'Server',
  'Set-Cookie',
  'Content-Type',
  'ETag',
  'Vary',
  'X-Request-Id',
  'Content-Lengths',
  'Transfer-Encodings',
];

function value(random: Random): string {
  switch (random.below(6)) {
    case 0:
      return '';
    case 1:
      return random.text(random.isOneIn(30) ? 4000 : 300, VALUE_CHARACTERS).trim();
    default:
      return random.text(30, VALUE_CHARACTERS).trim();
  }
}

const range = (from: number, to: number): string => String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, i) => from + i));
const VALUE_CHARACTERS = `${range(0x21, 0x7e)}\t   ${range(0xa1, 0xff)}`;
const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

function chunked(random: Random, body: string): string {
  let text = '';
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, 1 + random.below(random.pick([1, 20, 2000, 50_000])));
    text += `${chunkLine(random, size)}${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  const trailers = Array.from({ length: random.isOneIn(4) ? 1 + random.below(3) : 0 }, () => field(random));
  return `${text}${chunkLine(random, 0)}${trailers.join('')}\r\n`;
}

function chunkLine(random: Random, size: number): string {
  const digits = size.toString(16);
  let line = `${random.isOneIn(8) ? '0'.repeat(random.below(6)) : ''}${random.isOneIn(2) ? digits.toUpperCase() : digits}`;
  for (let left = random.isOneIn(6) ? 1 + random.below(3) : 0; left > 0; left--) line += `;${random.token()}${extensionValue(random)}`;
  return `${line}\r\n`;
}

function extensionValue(random: Random): string {
  switch (random.below(3)) {
    case 0:
      return '';
    case 1:
      return `=${random.token()}`;
    default:
      return `="${random.text(12, `${TOKEN_CHARACTERS} ;,=`)}${random.pick(['', '\\"', '\\\\', '\\a'])}"`;
  }
}

/** A few bytes replaced, taken out, put in or said twice, anywhere; in most cases where the message is framed. */
function disturbed(random: Random, text: string): string {
  let message = text;
  for (let left = 1 + random.below(3); left > 0; left--) {
    const headLength = message.indexOf('\r\n\r\n') + 4;
    const at = random.below(random.isOneIn(4) || headLength < 4 ? message.length : headLength);
    const byte = random.pick(TELLING_BYTES);
    switch (random.below(4)) {
      case 0:
        message = message.slice(0, at) + byte + message.slice(at + 1);
        break;
      case 1:
        message = message.slice(0, at) + message.slice(at + 1 + random.below(3));
        break;
      case 2:
        message = message.slice(0, at) + byte + message.slice(at);
        break;
      default:
        message = message.slice(0, at) + message.slice(Math.max(0, at - random.below(40)), at) + message.slice(at);
    }
  }
  return message;
}

const TELLING_BYTES = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  ';',
  '=',
  '"',
  '\\',
  ',',
  '0',
  '1',
  '9',
  'a',
  'F',
  'g',
  '-',
  '+',
  '\0',
  '\x0b',
  '\x7f',
  '\x80',
  '\xff',
  '(',
  '/',
];

/** The mistakes that servers and attackers make on purpose or by habit, each in an otherwise legal message. */
function illegalMessage(random: Random, text: string): string {
  const lineEnd = text.indexOf('\r\n') + 2;
  const withField = (line: string): string => text.slice(0, lineEnd) + line + text.slice(lineEnd);
  return random.pick<() => string>([
    () => withField('folded: a\r\n b\r\n'),
    () => withField('folded: a\r\n\tb\r\n'),
    () => withField('blank : a\r\n'),
    () => withField(' leading: a\r\n'),
    () => withField(': nameless\r\n'),
    () => withField('no colon\r\n'),
    () => withField('bare: lf\n'),
    () => withField('bare: cr\rx\r\n'),
    () => withField('nul: a\0b\r\n'),
    () => withField('content-length: 5\r\ncontent-length: 6\r\n'),
    () => withField('content-length: 3\r\ncontent-length: 3\r\n'),
    () => withField(`content-length: ${random.pick(['+5', '-1', '5,5', '0x5', '5 5', '', '1e1', '99999999999999999999', '5;'])}\r\n`),
    () =>
      withField(
        `transfer-encoding: ${random.pick(['gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'identity', '', 'xchunked', 'chunked;a=b'])}\r\n`,
      ),
    () => text.replace(/^((?:content-length|transfer-encoding):.*)\r$/im, `$1${random.pick(['\t', ' \t', '  '])}\r`),
    () => withField('content-length: 4\r\ntransfer-encoding: chunked\r\n'),
    () => withField('transfer-encoding: chunked\r\ncontent-length: 4\r\n'),
    () =>
      `HTTP/1.1 ${random.pick(['99 Low', '099 Low', '000 None', '20 Short', '2000 Long', '2x0 Odd', '-20 Odd', '', '200\tTab', '200  Two'])}${text.slice(lineEnd - 2)}`,
    () =>
      `${random.pick(['HTTP/2.0', 'HTTP/0.9', 'HTTP/1.2', 'HTTP/11', 'http/1.1', 'HTTPS/1.1', 'ICY', 'HTTP/1.1.1', 'HTTP/1'])} 200 OK${text.slice(lineEnd - 2)}`,
    () => `${random.pick(['\r\n', '\n', '\r\n\r\n', ' ', 'x', '\0', '\r'])}${text}`,
    () => text.replaceAll('\r\n', '\n'),
    () => `HTTP/1.1 101 Switching Protocols\r\n${random.pick(['', 'connection: upgrade\r\nupgrade: websocket\r\n'])}\r\n${text}`,
    () => `${text}${random.pick(['x', '\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', random.bytes(50)])}`,
    () => `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${badChunks(random)}`,
    () => `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(80_000)}\r\n\r\n`,
    () => `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(1900)}x: ${'z'.repeat(80_000)}\r\n\r\n`,
    () => random.bytes(random.below(200)),
    () => '',
  ])();
}

function badChunks(random: Random): string {
  return random.pick([
    '5\r\nabc\r\n0\r\n\r\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '3\r\nabc0\r\n\r\n',
    '3\nabc\n0\n\n',
    '3 \r\nabc\r\n0\r\n\r\n',
    ' 3\r\nabc\r\n0\r\n\r\n',
    '0x3\r\nabc\r\n0\r\n\r\n',
    '+3\r\nabc\r\n0\r\n\r\n',
    '-3\r\nabc\r\n0\r\n\r\n',
    'g\r\nabc\r\n0\r\n\r\n',
    '\r\nabc\r\n0\r\n\r\n',
    '3;\r\nabc\r\n0\r\n\r\n',
    '3;a=\r\nabc\r\n0\r\n\r\n',
    '3;a="\r\nabc\r\n0\r\n\r\n',
    '3;a="b"c\r\nabc\r\n0\r\n\r\n',
    '3; a=b\r\nabc\r\n0\r\n\r\n',
    '3;a = b\r\nabc\r\n0\r\n\r\n',
    '3\r\nabc\r\n0\r\nbad trailer\r\n\r\n',
    '3\r\nabc\r\n0\r\ncontent-length: 5\r\n\r\n',
    '3\r\nabc\r\n0\r\ntransfer-encoding: gzip\r\n\r\n',
    '3\r\nabc\r\n0\r\nfolded: a\r\n b\r\n\r\n',
    '3\r\nabc\r\n00000000000000000000\r\n\r\n',
    'ffffffffffffffffff\r\nabc\r\n0\r\n\r\n',
    '1fffffffffffff\r\nabc',
    '3\r\nabc\r\n\r\n0\r\n\r\n',
    `3;${'x'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`,
  ]);
}

/** A small generator with a state of one word (mulberry32): equal seeds give equal exchanges on every machine. */
class Random {
  private state: number;

  constructor(seed: number, index: number) {
    this.state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) >>> 0;
  }

  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  isOneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  text(lengthMax: number, characters: string): string {
    let text = '';
    for (let left = this.below(lengthMax + 1); left > 0; left--) text += characters[this.below(characters.length)]!;
    return text;
  }

  token(): string {
    return this.text(15, TOKEN_CHARACTERS) + 'x';
  }

  /** Long bodies repeat themselves: what is in them matters to nobody. */
  bytes(length: number): string {
    const period = Array.from({ length: Math.min(length, 61) }, () => String.fromCharCode(this.below(256))).join('');
    return period.repeat(Math.ceil(length / 61)).slice(0, length);
  }

  cased(word: string): string {
    switch (this.below(3)) {
      case 0:
        return word;
      case 1:
        return word.toLowerCase();
      default:
        return Array.from(word, (letter) => (this.isOneIn(2) ? letter.toUpperCase() : letter.toLowerCase())).join('');
    }
  }

  blanks(): string {
    return this.pick([' ', ' ', ' ', '', '  ', '\t', ' \t ']);
  }

  cuts(length: number): number[] {
    if (length < 150 && this.isOneIn(10)) return Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);
    const count = this.isOneIn(2) ? 0 : this.below(6);
    return Array.from({ length: count }, () => this.below(length + 1)).sort((a, b) => a - b);
  }
}
