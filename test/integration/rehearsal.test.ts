import { expect, it } from 'vitest';
import { parseRehearsal, rehearse, rehearseTls } from '../../agent/rehearsal.ts';
import { systemClock } from '../../shared/base/index.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Sockets, servers and threads of this process. */
const held = (): string[] => process.getActiveResourcesInfo().filter((name) => /^(TCP|MessagePort|Worker)/.test(name));

it('a rehearsal plays every round and leaves no socket, server or thread behind', async () => {
  const before = held();
  // The open rounds alone plan 1,800; a machine that is very busy may not answer all of them.
  expect(await rehearse('on', systemClock)).toBeGreaterThan(900);
  await waitUntil('everything is given back', () => held().length <= before.length);
  expect(held()).toEqual(before);
});

it('one over TLS plays too, where the agent rehearses in full, and leaves as little behind', async () => {
  const before = held();
  // 160 are counted, however busy the machine is.
  expect(await rehearseTls('on', systemClock)).toBeGreaterThan(140);
  await waitUntil('everything is given back', () => held().length <= before.length);
  expect(held()).toEqual(before);
  expect([await rehearseTls('short', systemClock), await rehearseTls('off', systemClock)]).toEqual([0, 0]);
});

it('a short one plays one round, and no other word is taken for a rehearsal', async () => {
  // It plans 400.
  expect(await rehearse('short', systemClock)).toBeGreaterThan(100);
  expect(await rehearse('off', systemClock)).toBe(0);
  expect(() => parseRehearsal('toString')).toThrow('MUSTER_REHEARSAL=toString: expected on, short, off');
});
