import { expect, test } from 'vitest';
import type { Outcome } from '../../coordinator/outcome.ts';
import { Uncollected } from '../../coordinator/rpc/uncollected.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** As far as it matters whether there is one. */
const WITH_RESULT = { summary: {} } as Pick<Outcome, 'summary'>;

test('a coordinator that ends does not wait for those who were told that a run came to nothing', async () => {
  const uncollected = new Uncollected(new FakeClock());
  uncollected.told('one', 'run-1', { summary: undefined });
  await uncollected.untilNone();
});

test('a coordinator that ends waits for bundles that are being fetched, and not for those who left long ago', async () => {
  const clock = new FakeClock();
  const uncollected = new Uncollected(clock);
  await uncollected.untilNone();
  uncollected.told('one', 'run-1', WITH_RESULT);
  await clock.advance(11_000);
  await uncollected.untilNone();
  uncollected.told('one', 'run-2', WITH_RESULT);
  uncollected.told('another', 'run-2', WITH_RESULT);
  let isOver = false;
  const over = uncollected.untilNone().then(() => (isOver = true));
  uncollected.fetched('one', 'run-2');
  await clock.advance(1);
  expect(isOver).toBe(false);
  uncollected.fetched('another', 'run-2');
  await over;
});
