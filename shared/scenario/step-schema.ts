import { z } from 'zod';
import { LOOP_TURNS_MAX } from '../plan/index.ts';
import { duration, leaf, name, positiveDuration, SCALAR, says, scalar, scalars, strict, text, timeout } from './schema-parts.ts';

const scalarsOrLists = z.record(
  z.string(),
  z.union([scalar, z.array(scalar)], says(`${SCALAR}, or a list of them`)),
  says('a mapping of names to text, numbers, true/false or lists of them'),
);

const credentials = strict('{ user, password }', { user: text, password: text });
/** One of its three keys is checked where it is compiled. */
export const auth = strict('a mapping with basic, digest or bearer', {
  basic: credentials.optional(),
  digest: credentials.optional(),
  bearer: text.optional(),
});
export type AuthDefinition = z.infer<typeof auth>;
const stepAuth = z.union([z.literal('none'), auth], says('none, or a mapping with basic, digest or bearer'));
export const redirects = leaf(
  z.number(),
  'a whole number of redirects from 0 to 100',
  (value) => Number.isInteger(value) && value >= 0 && value <= 100,
);

const FILE = 'the path of a file, relative to this one';
const PART = 'text, a number, true/false, { file: photo.jpg }, or a list of them';
const part = z.union(
  [
    scalar,
    strict('a file such as { file: photo.jpg, type: image/jpeg }', {
      file: leaf(z.string(), FILE, (value) => value !== ''),
      filename: text.optional(),
      type: text.optional(),
    }),
  ],
  says(PART),
);

const PAUSE = leaf(z.union([z.string(), z.number()]), 'a pause such as 1s, or a span such as 1s..3s', () => true);
const CONDITION = z.record(z.string(), z.unknown(), says('a condition such as { "${state}": ACTIVE } or { status: 200 }'));
const WEIGHT = 'a weight above zero, at most 1000000';

/** What a step may hold, with `steps` for the lists of steps inside it. Which keys go together is checked where steps are compiled. */
function stepShape<S extends z.ZodType>(steps: S) {
  return {
    get: text.optional(),
    post: text.optional(),
    put: text.optional(),
    patch: text.optional(),
    delete: text.optional(),
    head: text.optional(),
    options: text.optional(),
    name: name.optional(),
    headers: scalars.optional(),
    cookies: scalars.optional(),
    query: scalarsOrLists.optional(),
    json: z.unknown().optional(),
    form: scalarsOrLists.optional(),
    body: text.optional(),
    bodyFile: leaf(z.string(), FILE, (value) => value !== '').optional(),
    multipart: z
      .record(z.string(), z.union([part, z.array(part)], says(PART)), says('a mapping of field names to text, files or lists of them'))
      .optional(),
    timeout: timeout.optional(),
    redirects: redirects.optional(),
    auth: stepAuth.optional(),
    check: z.record(z.string(), z.unknown(), says('a mapping of what to check to what it must be, such as { status: 200 }')).optional(),
    capture: z.record(z.string(), text, says('a mapping of names to where they come from, such as { id: "json $.id" }')).optional(),
    think: PAUSE.optional(),
    group: name.optional(),
    transaction: name.optional(),
    loop: leaf(
      z.union([z.number(), z.string()]),
      `a whole number of turns from 0 to ${String(LOOP_TURNS_MAX)}, or a reference such as \${count}`,
      (value) => typeof value === 'string' || isWhole(value, 0, LOOP_TURNS_MAX),
    ).optional(),
    while: CONDITION.optional(),
    limit: leaf(z.number(), `a whole number of turns from 1 to ${String(LOOP_TURNS_MAX)}`, (value) =>
      isWhole(value, 1, LOOP_TURNS_MAX),
    ).optional(),
    foreach: z.record(z.string(), text, says('a name and the list it stands for, such as { product: "${products}" }')).optional(),
    if: CONDITION.optional(),
    then: steps.optional(),
    else: steps.optional(),
    choose: z
      .array(
        strict('a branch such as { weight: 3, steps: [...] }', {
          weight: leaf(z.number(), WEIGHT, (value) => value > 0 && value <= 1_000_000),
          steps,
        }),
        says('a list of branches such as { weight: 3, steps: [...] }'),
      )
      .min(1, says('at least one branch'))
      .optional(),
    parallel: steps.optional(),
    retry: strict('a mapping with times, wait and backoff', {
      times: leaf(z.number(), 'a whole number of further tries from 1 to 100', (value) => isWhole(value, 1, 100)),
      wait: duration.optional(),
      backoff: leaf(z.number(), 'a factor from 1 to 10', (value) => value >= 1 && value <= 10).optional(),
    }).optional(),
    poll: strict('a mapping with name, every, limit and until', {
      name,
      every: duration,
      limit: positiveDuration,
      until: CONDITION,
    }).optional(),
    pacing: duration.optional(),
    steps: steps.optional(),
  };
}

const STEP =
  'a step: a mapping with get, post, put, patch, delete, head, options, think, group, transaction, loop, while, foreach, if, choose, parallel or retry';

/** One step, of which the steps inside are not read: each is compiled, and refused, by itself. */
export const stepSchema = strict(STEP, stepShape(z.array(z.unknown(), says('a list of steps')).min(1, says('at least one step'))));
export type StepDefinition = z.infer<typeof stepSchema>;

/** One step with all that is inside it, for the JSON Schema. */
export const stepTreeSchema: z.ZodType = z.lazy(() => stepTree);
const stepTree = strict(STEP, stepShape(z.array(stepTreeSchema).min(1)));

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
