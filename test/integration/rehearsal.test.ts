import { expect, it } from 'vitest';
import { rehearse } from '../../agent/rehearsal.ts';
import { rehearsalSetting, systemClock } from '../../shared/base/index.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Sockets, servers and threads of this process. */
const held = (): string[] => process.getActiveResourcesInfo().filter((name) => /^(TCP|MessagePort|Worker)/.test(name));

it('a rehearsal plays every round, over TLS too, and leaves no socket, server or thread behind', async () => {
  const before = held();
  const { https, http } = await rehearse('on', systemClock);
  // The open rounds alone plan 1,800; a machine that is very busy may not answer all of them.
  expect(http).toBeGreaterThan(900);
  // 160 are counted, however busy the machine is.
  expect(https).toBeGreaterThan(140);
  await waitUntil('everything is given back', () => held().length <= before.length);
  expect(held()).toEqual(before);
});

it('a short one plays one round, and no other word is taken for a rehearsal', async () => {
  const { https, http } = await rehearse('short', systemClock);
  // It plans 400.
  expect(http).toBeGreaterThan(100);
  expect(https).toBe(0);
  expect(await rehearse('off', systemClock)).toEqual({ https: 0, http: 0 });
  expect(() => rehearsalSetting('toString')).toThrow('MUSTER_REHEARSAL=toString: expected on, short, off');
});
