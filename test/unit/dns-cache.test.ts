import type { LookupAddress } from 'node:dns';
import { describe, expect, test } from 'vitest';
import { DnsCache, type Resolve } from '../../agent/protocol/http1/dns-cache.ts';
import type { DnsSettings } from '../../shared/plan/index.ts';
import { FakeClock } from '../support/fake-clock.ts';

const ADDRESSES: readonly LookupAddress[] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => ({ address, family: 4 }));

/** A resolver whose questions are counted and answered when the test says so. */
class Names {
  readonly asked: string[] = [];
  failure: NodeJS.ErrnoException | null = null;

  readonly resolve: Resolve = (host, done) => {
    this.asked.push(host);
    setImmediate(() => {
      done(this.failure, this.failure === null ? ADDRESSES : []);
    });
  };
}

function cacheOf(names: Names, settings: DnsSettings, clock = new FakeClock()): (host: string) => Promise<string> {
  const { lookup } = new DnsCache(settings, clock, names.resolve);
  return (host) =>
    new Promise((resolve, reject) => {
      lookup(host, { all: false }, (error, address) => {
        if (error === null && typeof address === 'string') resolve(address);
        else reject(error ?? new Error('several addresses'));
      });
    });
}

describe('a name', () => {
  test('is asked for once per lifetime, and its addresses are used in turn, across lifetimes too', async () => {
    const names = new Names();
    const clock = new FakeClock();
    const find = cacheOf(names, { ttlMs: 1000, pick: 'round-robin' }, clock);
    const found = [await find('a'), await find('a'), await find('a'), await find('a')];
    expect(names.asked).toEqual(['a']);
    await clock.advance(1_000_001);
    found.push(await find('a'));
    expect(names.asked).toEqual(['a', 'a']);
    expect(found).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.1', '10.0.0.2']);
  });

  test('wanted by many at once is asked for once', async () => {
    const names = new Names();
    const find = cacheOf(names, { ttlMs: 0, pick: 'first' });
    expect(await Promise.all([find('a'), find('a'), find('b')])).toEqual(['10.0.0.1', '10.0.0.1', '10.0.0.1']);
    expect(names.asked).toEqual(['a', 'b']);
    await find('a');
    expect(names.asked).toEqual(['a', 'b', 'a']);
  });

  test('that does not resolve fails for all who wait, and is asked for again', async () => {
    const names = new Names();
    const find = cacheOf(names, { ttlMs: 1000, pick: 'first' });
    names.failure = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    const both = await Promise.allSettled([find('a'), find('a')]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    names.failure = null;
    expect(await find('a')).toBe('10.0.0.1');
    expect(names.asked).toEqual(['a', 'a']);
  });
});
