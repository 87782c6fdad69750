import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readyCapture } from '../../agent/flow/captures.ts';
import { readyCheck } from '../../agent/flow/checks.ts';
import { jsonAt } from '../../agent/flow/json-path.ts';
import { ResponseView } from '../../agent/flow/response.ts';
import { rowFor } from '../../agent/flow/rows.ts';
import { MissingValue, readyTemplate, Slots } from '../../agent/flow/template.ts';
import { newExchange } from '../../agent/protocol/index.ts';
import { parseJsonPath, type Capture, type CheckSubject, type CheckTest, type Reference, type RowSet } from '../../shared/plan/index.ts';

describe('a template', () => {
  const at = (as: Reference['as'], value: unknown): string => {
    const slots = new Slots();
    const template = readyTemplate(['<', { source: 'capture', name: 'x', field: '', as }, '>'], { slots, rows: {}, seed: 1 });
    return template.render({ vu: 0, iteration: 0, captured: [value] });
  };

  test.each([
    ['text', 'a "b"', '<a "b">'],
    ['text', 1.5, '<1.5>'],
    ['text', { a: [1] }, '<{"a":[1]}>'],
    ['text', null, '<null>'],
    ['json', 'a "b"', '<"a \\"b\\"">'],
    ['json', 12, '<12>'],
    ['json-string', 'a "b"\n', '<a \\"b\\"\\n>'],
    ['json-string', true, '<true>'],
    ['url', 'a b/c?d=é', '<a%20b%2Fc%3Fd%3D%C3%A9>'],
    ['url-text', '/a b?c=%20&d=é', '</a%20b?c=%20&d=%C3%A9>'],
    ['header', 'a\r\nb: c\0', '<a b: c >'],
  ] as const)('writes as %s %j as %s', (as, value, text) => {
    expect(at(as, value)).toBe(text);
  });

  test('without a reference is known before it is rendered', () => {
    const sources = { slots: new Slots(), rows: {}, seed: 1 };
    expect(readyTemplate(['a', 'b'], sources).constant).toBe('ab');
    expect(readyTemplate([], sources).constant).toBe('');
    expect(readyTemplate([{ source: 'vu', name: '', field: '', as: 'text' }], sources).constant).toBeUndefined();
  });

  test('asks for what was captured only when it is rendered, and throws where there is nothing', () => {
    expect(() => at('text', undefined)).toThrow(MissingValue);
  });

  test('captures of one name share a slot', () => {
    const slots = new Slots();
    expect([slots.slot('a'), slots.slot('b'), slots.slot('a'), slots.count]).toEqual([0, 1, 0, 2]);
  });

  test('json-string stays inside its quotes, whatever the value is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(JSON.parse(`"${at('json-string', value).slice(1, -1)}"`)).toBe(value);
        expect(decodeURIComponent(encodable(value) ? at('url', value).slice(1, -1) : '')).toBe(encodable(value) ? value : '');
      }),
    );
  });
});

describe('a row', () => {
  const set = (order: RowSet['order'], length: number): RowSet => ({
    order,
    columns: ['n'],
    rows: Array.from({ length }, (_, i) => [String(i)]),
  });

  test('of a unique set is used by one iteration only, until all are used', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat({ max: 1_000 }), (length, round) => {
        const used = Array.from({ length }, (_, i) => rowFor(set('unique', length), 'users', 1, round * length + i)[0]);
        expect(new Set(used).size).toBe(length);
      }),
    );
  });

  test('of a random set is the same on every agent, differs by name and seed, and is spread over all rows', () => {
    const draw = (name: string, seed: number): (string | undefined)[] =>
      Array.from({ length: 2_000 }, (_, i) => rowFor(set('random', 10), name, seed, i)[0]);
    expect(draw('users', 1)).toEqual(draw('users', 1));
    expect(draw('users', 1)).not.toEqual(draw('others', 1));
    expect(draw('users', 1)).not.toEqual(draw('users', 2));
    for (let row = 0; row < 10; row++) {
      const times = draw('users', 1).filter((drawn) => drawn === String(row)).length;
      // 200 expected; six standard deviations to either side.
      expect(Math.abs(times - 200)).toBeLessThan(6 * Math.sqrt(2_000 * 0.1 * 0.9));
    }
  });
});

describe('a JSON path', () => {
  const document = { items: [{ id: 1 }, { id: 2, 'odd key': 'x' }], text: 'abc', none: null, length: 5 };
  test.each([
    ['$', document],
    ['$.items[0].id', 1],
    ['$.items[-1].id', 2],
    ["$.items[1]['odd key']", 'x'],
    ['$.items.length', 2],
    ['$.text.length', 3],
    ['$.length', 5],
    ['$.none', null],
    ['$.none.more', undefined],
    ['$.items[2]', undefined],
    ['$.items.id', undefined],
    ['$.text[0]', undefined],
    ['$.toString', undefined],
    ['$.items.constructor', undefined],
  ])('%s', (path, value) => {
    expect(jsonAt(document, parseJsonPath(path) ?? [])).toEqual(value);
  });

  test.each(['', 'items', '$items', '$.', '$[', '$[a]', '$..a', '$.a b'])('%j is none', (text) => {
    expect(parseJsonPath(text)).toBeUndefined();
  });
});

describe('a check', () => {
  const response = {
    status: 200,
    body: '{"n":3,"s":"12","t":true,"z":null,"o":{"a":1}}',
    headers: ['content-type', 'application/json', 'age', '7'],
  };
  const json = (path: string): CheckSubject => ({ kind: 'json', path: parseJsonPath(path) ?? [] });
  test.each<[CheckSubject, CheckTest, boolean]>([
    [{ kind: 'status' }, { op: '==', value: 200 }, true],
    [{ kind: 'status' }, { op: '!=', value: 200 }, false],
    [{ kind: 'status' }, { op: 'in', values: [201, 200] }, true],
    [{ kind: 'status' }, { op: 'in', values: [500] }, false],
    [{ kind: 'size' }, { op: '<', value: 10 }, false],
    [{ kind: 'size' }, { op: '>=', value: 46 }, true],
    [{ kind: 'body' }, { op: 'contains', text: '"n":3' }, true],
    [{ kind: 'body' }, { op: 'matches', pattern: '"N":\\d', flags: 'i' }, true],
    [{ kind: 'body' }, { op: 'matches', pattern: '^n', flags: '' }, false],
    [{ kind: 'header', name: 'Content-Type' }, { op: 'contains', text: 'json' }, true],
    [{ kind: 'header', name: 'age' }, { op: '==', value: 7 }, true],
    [{ kind: 'header', name: 'age' }, { op: '<', value: 8 }, true],
    [{ kind: 'header', name: 'x-none' }, { op: 'exists', wanted: false }, true],
    [{ kind: 'header', name: 'x-none' }, { op: 'contains', text: '' }, false],
    [json('$.n'), { op: '>', value: 2 }, true],
    [json('$.s'), { op: '>', value: 11 }, true],
    [json('$.s'), { op: '==', value: 12 }, true],
    [json('$.t'), { op: '==', value: true }, true],
    [json('$.t'), { op: '==', value: 'true' }, true],
    [json('$.z'), { op: '==', value: null }, true],
    [json('$.z'), { op: 'exists', wanted: true }, true],
    [json('$.z'), { op: '<', value: 1 }, false],
    [json('$.o'), { op: '==', value: '[object Object]' }, false],
    [json('$.o'), { op: 'contains', text: '"a":1' }, true],
    [json('$.none'), { op: '!=', value: 1 }, true],
    [json('$.none'), { op: '<', value: 1 }, false],
    [json('$.none'), { op: 'exists', wanted: true }, false],
  ])('on %j: %j is %s', (subject, check, holds) => {
    expect(readyCheck({ name: 'c', subject, test: check }).holds(view(response))).toBe(holds);
  });

  test('with a global or sticky pattern finds it every time', () => {
    const check = readyCheck({ name: 'c', subject: { kind: 'body' }, test: { op: 'matches', pattern: 'n', flags: 'gy' } });
    expect([1, 2, 3].map(() => check.holds(view(response)))).toEqual([true, true, true]);
  });

  test('on JSON of a body that is none finds nothing', () => {
    const exists = readyCheck({ name: 'c', subject: json('$.n'), test: { op: 'exists', wanted: true } });
    expect(exists.holds(view({ ...response, body: '<html>' }))).toBe(false);
  });
});

describe('a capture', () => {
  const response = { status: 200, body: '{"id":7,"word":"hat"} next=/p/2', headers: ['set-cookie', 'a=1', 'set-cookie', 'b=2'] };
  test.each<[Capture['from'], unknown]>([
    [{ kind: 'header', name: 'Set-Cookie' }, 'a=1'],
    [{ kind: 'header', name: 'x-none' }, undefined],
    [{ kind: 'regex', pattern: '"word":"(\\w+)"', flags: '' }, 'hat'],
    [{ kind: 'regex', pattern: 'NEXT=\\S+', flags: 'gi' }, 'next=/p/2'],
    [{ kind: 'regex', pattern: 'nothing', flags: '' }, undefined],
    [{ kind: 'json', path: ['id'] }, undefined],
  ])('%j finds %j', (from, found) => {
    const find = readyCapture({ name: 'c', from });
    expect([find(view(response)), find(view(response))]).toEqual([found, found]);
  });
});

describe('a view of a response', () => {
  test('that is turned to the next response forgets the one before', () => {
    const one = new ResponseView();
    const first = one.of(exchange({ status: 200, body: '{"n":1}', headers: ['a', '1'] }));
    expect([first.json, first.header('a')]).toEqual([{ n: 1 }, '1']);
    const second = one.of(exchange({ status: 404, body: 'gone', headers: [] }));
    expect([second.status, second.json, second.bodyText, second.header('a')]).toEqual([404, undefined, 'gone', undefined]);
  });
});

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: readonly string[];
}

function view(answer: Answer): ResponseView {
  return new ResponseView().of(exchange(answer));
}

function exchange({ status, body, headers }: Answer) {
  const responseBody = Buffer.from(body);
  const fields = headers.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
  const responseHead = `HTTP/1.1 ${status} OK\r\n${fields}\r\n`;
  return { ...newExchange(), status, responseBody, bodyBytes: responseBody.length, responseHead };
}

/** Lone surrogates are no text that a URL could carry. */
function encodable(text: string): boolean {
  return text.isWellFormed();
}
