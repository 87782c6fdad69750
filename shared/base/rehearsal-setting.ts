import { AppError } from './errors.ts';

const REHEARSALS = ['on', 'short', 'off'] as const;

/** How much a process rehearses before it is needed: in full, a tenth of a second of an agent's load, or not at all. */
export type Rehearsal = (typeof REHEARSALS)[number];

/** Reads `MUSTER_REHEARSAL`. Throws CONFIG_INVALID for what is no such setting. */
export function rehearsalSetting(text = process.env['MUSTER_REHEARSAL'] ?? 'on'): Rehearsal {
  const known = REHEARSALS.find((each) => each === text);
  if (known === undefined) throw new AppError('CONFIG_INVALID', `MUSTER_REHEARSAL=${text}: expected ${REHEARSALS.join(', ')}`);
  return known;
}
