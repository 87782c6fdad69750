import { parseDurationUs } from '../../shared/base/index.ts';

/** Milliseconds of a duration that an author wrote. Throws `TypeError` when it is none. */
export function msOf(duration: string | number, what: string): number {
  const us = parseDurationUs(duration);
  if (us === undefined) throw new TypeError(`${what}${JSON.stringify(duration)}: expected a duration such as "1s" or milliseconds`);
  return us / 1000;
}
