import { describe, expect, test } from 'vitest';
import { newCookieJar, type CookieJar } from '../../agent/flow/cookie-jar.ts';
import { buildHead, newExchange, type Origin } from '../../agent/protocol/index.ts';
import { Origins } from '../../agent/protocol/http1/origin.ts';
import { FakeClock } from '../support/fake-clock.ts';

const START_US = Date.parse('2026-11-25T12:00:00Z') * 1000;
const origins = new Origins();

function jarOf(clock = new FakeClock(START_US)): CookieJar {
  const jar = newCookieJar('per-vu', clock);
  if (jar === undefined) throw new Error('expected a jar');
  return jar;
}

function place(url: string): { readonly origin: Origin; readonly path: string } {
  const target = origins.parse(url);
  if (target === undefined) throw new Error(`no URL: ${url}`);
  return target;
}

/** The answer of `url` sets these. */
function answer(jar: CookieJar, url: string, ...setCookies: string[]): void {
  const { origin, path } = place(url);
  jar.takeFrom({ ...newExchange(), origin, head: `GET ${path} HTTP/1.1\r\n\r\n`, setCookies });
}

/** What a request of `url` sends. */
function sent(jar: CookieJar, url: string, headers: readonly (readonly [string, string])[] = []): string {
  const { origin, path } = place(url);
  const head = jar.addTo({ head: buildHead('GET', path, origin, headers, undefined) ?? '', origin });
  expect(head.endsWith('\r\n\r\n')).toBe(true);
  expect(head.match(/^cookie:/gim) ?? []).toHaveLength(/^cookie:/im.test(head) ? 1 : 0);
  return /^cookie: (.*)$/im.exec(head)?.[1]?.trimEnd() ?? '';
}

/** One answer, one later request, and what that sends. */
const RULES: readonly (readonly [rule: string, from: string, set: string, to: string, sends: string])[] = [
  // Where it came from and goes to.
  ['a cookie without attributes goes to its host', 'http://shop.test/login', 'a=1', 'http://shop.test/cart', 'a=1'],
  ['and to any port and scheme of it', 'http://shop.test:81/login', 'a=1', 'https://shop.test/cart', 'a=1'],
  ['but not below its host', 'http://shop.test/', 'a=1', 'http://www.shop.test/', ''],
  ['nor above', 'http://www.shop.test/', 'a=1', 'http://shop.test/', ''],
  ['with a domain it goes below too', 'http://shop.test/', 'a=1; Domain=shop.test', 'http://www.shop.test/', 'a=1'],
  ['to the domain itself', 'http://www.shop.test/', 'a=1; Domain=.Shop.Test', 'http://shop.test/', 'a=1'],
  ['to a sibling', 'http://www.shop.test/', 'a=1; domain=shop.test', 'http://api.shop.test/', 'a=1'],
  ['but not to who only ends alike', 'http://shop.test/', 'a=1; Domain=shop.test', 'http://myshop.test/', ''],
  ['nobody sets for others', 'http://shop.test/', 'a=1; Domain=bank.test', 'http://bank.test/', ''],
  ['nor for a host below', 'http://shop.test/', 'a=1; Domain=www.shop.test', 'http://www.shop.test/', ''],
  ['an empty domain is none', 'http://shop.test/', 'a=1; Domain=', 'http://www.shop.test/', ''],
  ['nobody sets for a public suffix', 'http://shop.co.uk/', 'a=1; Domain=co.uk', 'http://shop.co.uk/', ''],
  ['nor for one of the private part of the list', 'http://ann.github.io/', 'a=1; Domain=github.io', 'http://ann.github.io/', ''],
  ['but below one', 'http://www.shop.co.uk/', 'a=1; Domain=shop.co.uk', 'http://shop.co.uk/', 'a=1'],
  ['a suffix may set for itself, which is for itself alone', 'http://github.io/', 'a=1; Domain=github.io', 'http://github.io/', 'a=1'],
  ['not for its customers', 'http://github.io/', 'a=1; Domain=github.io', 'http://ann.github.io/', ''],
  ['localhost has no registry', 'http://localhost:8080/', 'a=1; Domain=localhost', 'http://localhost:8080/', 'a=1'],
  ['nor has a name of one label', 'http://cart/', 'a=1; Domain=cart', 'http://cart/', 'a=1'],
  ['an address is a host', 'http://127.0.0.1:8080/', 'a=1', 'http://127.0.0.1:9090/', 'a=1'],
  ['and a domain that is this address', 'http://127.0.0.1/', 'a=1; Domain=127.0.0.1', 'http://127.0.0.1/', 'a=1'],
  ['an address has nothing above it', 'http://127.0.0.1/', 'a=1; Domain=0.0.1', 'http://127.0.0.1/', ''],
  ['an IPv6 address is a host too', 'http://[::1]/', 'a=1', 'http://[::1]/', 'a=1'],
  // Paths.
  ['the default path is up to the last slash', 'http://a.test/shop/login?x=/y/z', 'a=1', 'http://a.test/shop/cart?q', 'a=1'],
  ['and nothing beside it', 'http://a.test/shop/login', 'a=1', 'http://a.test/other', ''],
  ['nor what only begins alike', 'http://a.test/shop/login', 'a=1', 'http://a.test/shopping', ''],
  ['of a path with one slash it is the root', 'http://a.test/login', 'a=1', 'http://a.test/', 'a=1'],
  ['a path covers itself', 'http://a.test/', 'a=1; Path=/shop', 'http://a.test/shop', 'a=1'],
  ['itself with a query', 'http://a.test/', 'a=1; Path=/shop', 'http://a.test/shop?x=1', 'a=1'],
  ['what is below it', 'http://a.test/', 'a=1; Path=/shop', 'http://a.test/shop/cart', 'a=1'],
  ['below with a slash at its end', 'http://a.test/', 'a=1; Path=/shop/', 'http://a.test/shop/cart', 'a=1'],
  ['but then not itself without', 'http://a.test/', 'a=1; Path=/shop/', 'http://a.test/shop', ''],
  ['a path that is none is the default', 'http://a.test/x/y', 'a=1; Path=shop', 'http://a.test/x/z', 'a=1'],
  ['paths have a case', 'http://a.test/', 'a=1; Path=/Shop', 'http://a.test/shop', ''],
  // Secure, times.
  ['Secure goes over TLS', 'https://a.test/', 'a=1; Secure', 'https://a.test/', 'a=1'],
  ['and not without', 'https://a.test/', 'a=1; Secure', 'http://a.test/', ''],
  ['not even on loopback', 'http://127.0.0.1/', 'a=1; secure', 'http://127.0.0.1/', ''],
  ['HttpOnly and SameSite change nothing here', 'http://a.test/', 'a=1; HttpOnly; SameSite=Strict', 'http://a.test/', 'a=1'],
  ['a date in the future keeps it', 'http://a.test/', 'a=1; Expires=Wed, 25 Nov 2026 12:00:01 GMT', 'http://a.test/', 'a=1'],
  ['a date in the past does not', 'http://a.test/', 'a=1; Expires=Wed, 25 Nov 2026 11:59:59 GMT', 'http://a.test/', ''],
  ['dates are written in many ways', 'http://a.test/', 'a=1; expires=Thursday, 01-Jan-70 00:00:00 GMT', 'http://a.test/', ''],
  ['a date that is none is left out', 'http://a.test/', 'a=1; Expires=soon', 'http://a.test/', 'a=1'],
  ['Max-Age counts before Expires', 'http://a.test/', 'a=1; Max-Age=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'http://a.test/', 'a=1'],
  ['in either direction', 'http://a.test/', 'a=1; Max-Age=0; Expires=Fri, 01 Jan 2100 00:00:00 GMT', 'http://a.test/', ''],
  ['a negative Max-Age is over', 'http://a.test/', 'a=1; Max-Age=-1', 'http://a.test/', ''],
  ['a Max-Age that is no number is left out', 'http://a.test/', 'a=1; Max-Age=long', 'http://a.test/', 'a=1'],
  // What is a cookie at all.
  ['blanks around are no part of it', 'http://a.test/', '  a  =  1  ; x', 'http://a.test/', 'a=1'],
  ['an empty value is one', 'http://a.test/', 'a=', 'http://a.test/', 'a='],
  ['quotes and equal signs are part of the value', 'http://a.test/', 'a="x=y=="', 'http://a.test/', 'a="x=y=="'],
  ['a line without a name is none', 'http://a.test/', '=1', 'http://a.test/', ''],
  ['nor is one without an equal sign', 'http://a.test/', 'a', 'http://a.test/', ''],
  ['nor an empty one', 'http://a.test/', '', 'http://a.test/', ''],
  ['the longest that is kept', 'http://a.test/', `a=${'1'.repeat(4095)}`, 'http://a.test/', `a=${'1'.repeat(4095)}`],
  ['a longer one is not', 'http://a.test/', `a=${'1'.repeat(4096)}`, 'http://a.test/', ''],
];

describe('a jar', () => {
  test.each(RULES)('%s', (_, from, set, to, sends) => {
    const jar = jarOf();
    answer(jar, from, set);
    expect(sent(jar, to)).toBe(sends);
  });

  test('sends longer paths first, then what was set earlier, also when it was set again', () => {
    const jar = jarOf();
    answer(jar, 'http://a.test/', 'one=1; Path=/', 'two=2; Path=/shop', 'three=3; Path=/', 'four=4; Path=/shop');
    answer(jar, 'http://a.test/', 'one=new; Path=/');
    expect(sent(jar, 'http://a.test/shop/cart')).toBe('two=2; four=4; one=new; three=3');
  });

  test('keeps cookies of one name apart by path and by domain', () => {
    const jar = jarOf();
    answer(jar, 'http://www.a.test/x/y', 'n=path', 'n=root; Path=/', 'n=domain; Domain=a.test; Path=/');
    expect(sent(jar, 'http://www.a.test/x/z')).toBe('n=path; n=root; n=domain');
    expect(sent(jar, 'http://api.a.test/')).toBe('n=domain');
  });

  test('removes a cookie that is set with an end in the past, and only that one', () => {
    const jar = jarOf();
    answer(jar, 'http://a.test/', 'a=1', 'b=2', 'a=other; Path=/x');
    answer(jar, 'http://a.test/', 'a=; Max-Age=0');
    expect([sent(jar, 'http://a.test/'), sent(jar, 'http://a.test/x')]).toEqual(['b=2', 'a=other; b=2']);
    answer(jar, 'http://a.test/', 'b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'a=; Path=/x; Max-Age=-3');
    expect(jar.isEmpty).toBe(true);
  });

  test('forgets a cookie when its time is over', async () => {
    const clock = new FakeClock(START_US);
    const jar = jarOf(clock);
    answer(jar, 'http://a.test/', 'short=1; Max-Age=10', 'long=2; Max-Age=100', 'forever=3');
    await clock.advance(9_999);
    expect(sent(jar, 'http://a.test/')).toBe('short=1; long=2; forever=3');
    await clock.advance(1);
    expect(sent(jar, 'http://a.test/')).toBe('long=2; forever=3');
  });

  test('leaves to a request what the request names itself, in one header', () => {
    const jar = jarOf();
    answer(jar, 'http://a.test/', 'sid=jar', 'theme=jar');
    expect(sent(jar, 'http://a.test/', [['Cookie', 'sid=own;x=y']])).toBe('sid=own;x=y; theme=jar');
    expect(sent(jar, 'http://a.test/', [['cookie', 'theme=own; sid=own']])).toBe('theme=own; sid=own');
    expect(sent(jar, 'http://a.test/', [['cookie', '']])).toBe('sid=jar; theme=jar');
    expect(sent(jar, 'http://b.test/', [['cookie', 'sid=own']])).toBe('sid=own');
  });

  test('keeps 3000 cookies, and past them forgets the oldest', () => {
    const jar = jarOf();
    answer(jar, 'http://a.test/', ...Array.from({ length: 3_001 }, (_, i) => `c${String(i)}=1`));
    const kept = sent(jar, 'http://a.test/').split('; ');
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([3_000, 'c1=1', 'c3000=1']);
  });

  test.each([
    ['per-iteration', ''],
    ['per-vu', 'a=1'],
  ] as const)('that is kept %s sends "%s" in the next iteration', (policy, sends) => {
    const jar = newCookieJar(policy, new FakeClock(START_US))!;
    answer(jar, 'http://a.test/', 'a=1');
    jar.beginIteration();
    expect(sent(jar, 'http://a.test/')).toBe(sends);
  });

  test('is none where cookies are off', () => {
    expect(newCookieJar('off', new FakeClock(START_US))).toBeUndefined();
  });
});
