import { z } from 'zod';
import { didYouMean, parseDurationUs } from '../base/index.ts';
import { expected, listed } from './describe.ts';
import { PROBLEMS_MAX } from './problems.ts';

/** Load that runs longer than this is a mistake in a unit, not a test. */
export const DURATION_MAX_US = 31 * 86_400_000_000;
/** The longest latency that the histograms can tell. */
const TIMEOUT_MAX_US = 3_600_000_000;

const DURATION = 'a duration such as 30s, 1m30s or 250ms (at most 31d)';
export const SCALAR = 'text, a number or true/false';
const VALUES = 'a mapping of names to text, numbers or true/false';

export const duration = leaf(z.union([z.string(), z.number()]), DURATION, (value) => isWithin(parseDurationUs(value), 0, DURATION_MAX_US));
export const positiveDuration = leaf(
  z.union([z.string(), z.number()]),
  'a duration above zero such as 30s, 1m30s or 250ms (at most 31d)',
  (value) => isWithin(parseDurationUs(value), 1, DURATION_MAX_US),
);
export const timeout = leaf(z.union([z.string(), z.number()]), 'a duration from 1ms to 1h', (value) =>
  isWithin(parseDurationUs(value), 1_000, TIMEOUT_MAX_US),
);
export const text = leaf(z.string(), 'text', () => true);
export const name = leaf(z.string(), 'a name of 1 to 200 characters on one line', (value) => /^[^\p{Cc}]{1,200}$/u.test(value));
export const flag = leaf(z.boolean(), 'true or false', () => true);
export const scalar = leaf(z.union([z.string(), z.number(), z.boolean()]), SCALAR, () => true);
export const scalars = z.record(z.string(), scalar, says(VALUES));

/** A mapping with these keys and no others. The sentences for unknown keys stand one per line, in the order of the keys. */
export function strict<S extends z.core.$ZodLooseShape>(what: string, shape: S): z.ZodObject<S, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys
            .slice(0, PROBLEMS_MAX)
            .map((key) => unknownKey(key, known))
            .join('\n')
        : expected(what, issue.input),
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  const shown = JSON.stringify(key.slice(0, 60));
  return `unknown key ${shown}${didYouMean(key, known) || `; the keys here are ${listed(known)}`}`;
}

export function leaf<T extends z.ZodType<string | number | boolean>>(type: T, what: string, holds: (value: z.infer<T>) => boolean): T {
  return withMessage(type, what).refine(holds, says(what));
}

/** The same type, saying our sentence when the value is of another type. */
function withMessage<T extends z.ZodType>(type: T, what: string): T {
  return type.clone({ ...type.def, error: (issue: { readonly input?: unknown }) => expected(what, issue.input) });
}

export function says(what: string): { readonly error: (issue: { readonly input?: unknown }) => string } {
  return { error: (issue) => expected(what, issue.input) };
}

export function isWithin(value: number | undefined, least: number, most: number): boolean {
  return value !== undefined && value >= least && value <= most;
}
