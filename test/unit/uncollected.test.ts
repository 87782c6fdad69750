import { expect, test } from 'vitest';
import { Uncollected } from '../../coordinator/rpc/uncollected.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('a coordinator that ends waits for bundles that are being fetched, and not for those who left long ago', async () => {
  const clock = new FakeClock();
  const uncollected = new Uncollected(clock);
  await uncollected.untilNone();
  uncollected.told('one', 'run-1');
  await clock.advance(11_000);
  await uncollected.untilNone();
  uncollected.told('one', 'run-2');
  uncollected.told('another', 'run-2');
  let isOver = false;
  const over = uncollected.untilNone().then(() => (isOver = true));
  uncollected.fetched('one', 'run-2');
  await clock.advance(1);
  expect(isOver).toBe(false);
  uncollected.fetched('another', 'run-2');
  await over;
});
