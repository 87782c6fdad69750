import { describe, expect, test } from 'vitest';
import { Origins } from '../../agent/protocol/http1/origin.ts';

describe('a URL', () => {
  test.each([
    ['http://a', { isTls: false, host: 'a', port: 80, authority: 'a' }, '/'],
    ['http://a/', { isTls: false, host: 'a', port: 80, authority: 'a' }, '/'],
    ['https://A.example/x/y?z=1', { isTls: true, host: 'a.example', port: 443, authority: 'a.example' }, '/x/y?z=1'],
    ['http://a:8080?q', { isTls: false, host: 'a', port: 8080, authority: 'a:8080' }, '/?q'],
    ['http://a:443/', { isTls: false, host: 'a', port: 443, authority: 'a:443' }, '/'],
    ['https://a:443/', { isTls: true, host: 'a', port: 443, authority: 'a' }, '/'],
    ['http://[::1]:81/x', { isTls: false, host: '::1', port: 81, authority: '[::1]:81' }, '/x'],
    ['http://[::1]', { isTls: false, host: '::1', port: 80, authority: '[::1]' }, '/'],
    ['http://127.0.0.1:9/a#part', { isTls: false, host: '127.0.0.1', port: 9, authority: '127.0.0.1:9' }, '/a'],
    ['http://a#part?no', { isTls: false, host: 'a', port: 80, authority: 'a' }, '/'],
    ['http://a/b c/é?d=ü e', { isTls: false, host: 'a', port: 80, authority: 'a' }, '/b%20c/%C3%A9?d=%C3%BC%20e'],
    ['http://a/%20%zz/../b|"', { isTls: false, host: 'a', port: 80, authority: 'a' }, '/%20%zz/../b|"'],
    ['http://a/?next=http://b/', { isTls: false, host: 'a', port: 80, authority: 'a' }, '/?next=http://b/'],
  ])('%s has an origin and a path', (url, origin, path) => {
    expect(new Origins().parse(url)).toEqual({ origin, path });
  });

  test.each([
    '',
    '/path',
    'a.example',
    'ftp://a/',
    'file:///etc/passwd',
    'http://',
    'http:///x',
    'http://a:99999/',
    'http://a:x/',
    'http://user@a/',
    'http://user:password@a/',
    'http://a b/',
    'http://a\r\nb/',
    'http://a/x\r\ny: z',
    'http://a/\0',
    'http://a\\b/',
    'http://[::1/',
    ' http://a/',
  ])('%j cannot be requested', (url) => {
    expect(new Origins().parse(url)).toBeUndefined();
  });

  test('of the same origin gives the same object, however it is written', () => {
    const origins = new Origins();
    const origin = origins.parse('http://a.example/x')?.origin;
    for (const url of ['http://a.example', 'HTTP://A.example:80/y', 'http://a.example:80?z'])
      expect(origins.parse(url)?.origin).toBe(origin);
    expect(origins.parse('https://a.example/')?.origin).not.toBe(origin);
  });

  test('of one of very many origins is still answered rightly', () => {
    const origins = new Origins();
    for (let port = 1; port < 5000; port++) expect(origins.parse(`http://a:${String(port)}/`)?.origin.port).toBe(port);
  });
});
