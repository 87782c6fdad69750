/** `expected a number, got "abc"`, or that it is missing. The one sentence shape of every mistake. */
export function expected(what: string, got: unknown): string {
  return got === undefined ? `missing: expected ${what}` : `expected ${what}, got ${describe(got)}`;
}

/** What stands there, for people. Long text is cut, so a message stays one readable line. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object') return 'another kind of value';
  return Object.keys(value).length === 0 ? 'an empty mapping' : 'a mapping';
}

const SHOWN_CHARACTERS = 60;

/** `a, b and c`. */
export function listed(words: readonly string[], last: 'and' | 'or' = 'and'): string {
  if (words.length < 2) return words[0] ?? 'none';
  return `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;
}

/** A mapping that is not a list and not nothing. */
export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export type Scalar = string | number | boolean;

export function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
}
