import { describe, expect, test } from 'vitest';
import { buildHead, type Origin } from '../../agent/protocol/index.ts';

const ORIGIN: Origin = { isTls: false, host: 'a.example', port: 8080, authority: 'a.example:8080' };

describe('a request head', () => {
  test('holds the request line, the host, the headers in order, and ends with an empty line', () => {
    expect(buildHead('GET', '/x?y', ORIGIN, [['Accept', 'a/b'], ['X-Empty', '']], undefined)).toBe(
      'GET /x?y HTTP/1.1\r\nhost: a.example:8080\r\nAccept: a/b\r\nX-Empty: \r\n\r\n',
    ); // prettier-ignore
  });

  test('announces the length of a body, and an empty one where servers ask for it', () => {
    const lengthOf = (method: string, bodyBytes?: number): string | undefined =>
      /content-length: (\d+)\r\n/.exec(buildHead(method, '/', ORIGIN, [], bodyBytes) ?? '')?.[1];
    expect(lengthOf('POST', 12)).toBe('12');
    expect(lengthOf('GET', 12)).toBe('12');
    expect(lengthOf('GET', 0)).toBe('0');
    expect(['POST', 'PUT', 'PATCH'].map((method) => lengthOf(method))).toEqual(['0', '0', '0']);
    expect(['GET', 'HEAD', 'DELETE', 'OPTIONS'].map((method) => lengthOf(method))).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('leaves host and length to the user who gives them', () => {
    expect(buildHead('POST', '/', ORIGIN, [['Host', 'b'], ['Content-Length', '7']], 3)).toBe(
      'POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 7\r\n\r\n',
    ); // prettier-ignore
  });

  test.each([
    ['a line break in a value', 'GET', '/', 'a', 'b\r\nc: d'],
    ['a bare LF in a value', 'GET', '/', 'a', 'b\nc'],
    ['NUL in a value', 'GET', '/', 'a', '\0'],
    ['a letter in a value whose low byte would be a line break', 'GET', '/', 'a', 'č\u010a'],
    ['a colon in a name', 'GET', '/', 'a:', 'b'],
    ['an empty name', 'GET', '/', '', 'b'],
    ['a blank in the path', 'GET', '/a b', 'a', 'b'],
    ['a line break in the path', 'GET', '/\r\nx: y', 'a', 'b'],
    ['a letter beyond ASCII in the path', 'GET', '/\u010a', 'a', 'b'],
    ['an empty path', 'GET', '', 'a', 'b'],
    ['a blank in the method', 'GET /', '/', 'a', 'b'],
  ])('is refused for %s', (_, method, path, name, value) => {
    expect(buildHead(method, path, ORIGIN, [[name, value]], undefined)).toBeUndefined();
  });
});
