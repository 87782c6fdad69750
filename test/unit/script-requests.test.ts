import { describe, expect, test } from 'vitest';
import { ScriptRequests } from '../../agent/flow/script-request.ts';
import { createHttpContext } from '../../agent/protocol/index.ts';
import { Recorder } from '../../agent/recorder.ts';
import { HTTP_DEFAULTS, type Workload } from '../../shared/plan/index.ts';
import { systemClock } from '../../shared/base/index.ts';

const workload: Workload = {
  flows: {},
  rows: {},
  script: undefined,
  env: {},
  target: 'http://127.0.0.1:1',
  http: HTTP_DEFAULTS,
  files: {},
  defaults: { timeoutMs: 5_000, headers: [['accept', 'text/html']] },
};

function requests(): ScriptRequests {
  const http = createHttpContext({ clock: systemClock, bodyBytesMax: 1, headBytesMax: 1, isAllowed: () => true, tls: {} });
  return new ScriptRequests({ scenario: 'shop', workload, http, recorder: new Recorder(), apart: undefined });
}

describe('what a function asks for', () => {
  test('is made once while it is plain, for each method', () => {
    const shop = requests();
    const first = shop.request('GET', '/a');
    expect(shop.request('GET', '/a')).toBe(first);
    const head = shop.request('HEAD', '/a');
    expect([head.isHead, head.constant?.head]).toEqual([true, 'HEAD /a HTTP/1.1\r\nhost: 127.0.0.1:1\r\naccept: text/html\r\n\r\n']);
  });

  test('is made for itself with a body or options', () => {
    const shop = requests();
    const plain = shop.request('POST', '/a');
    const posted = shop.request('POST', '/a', { n: 1 });
    const named = shop.request('POST', '/a', undefined, { name: 'a', timeout: '1s', redirects: 0, headers: { Accept: 'x' } });
    expect([
      plain.constant?.body,
      posted.constant?.body instanceof Buffer && posted.constant.body.toString(),
      named.name,
      named.timeoutMs,
      named.redirects,
    ]).toEqual([undefined, '{"n":1}', 'a', 1_000, 0]);
    expect(named.constant?.head).toContain('\r\nAccept: x\r\n');
    expect(shop.request('POST', '/a')).toBe(plain);
  });

  test('is still right when a script makes up more URLs than are remembered', () => {
    const shop = requests();
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 3_000; n++) expect(shop.request('GET', `/${n}?q`).constant?.head).toMatch(`GET /${n}?q HTTP/1.1`);
    }
  });

  test('cannot be sent to what is no URL, and is made neither from options that mean nothing', () => {
    const shop = requests();
    expect(shop.request('GET', 'ftp://a/').constant).toBeUndefined();
    expect(() => shop.request('GET', '/', undefined, { timeout: 'soon' })).toThrow(TypeError);
    expect(() => shop.request('GET', '/', undefined, { headers: { Cookie: 'a=1' }, cookies: { a: 2 } })).toThrow(TypeError);
  });
});
