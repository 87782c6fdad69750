import { METHODS, type Method } from '../plan/index.ts';
import { describe, listed } from './describe.ts';
import type { Path, Report } from './problems.ts';
import type { StepDefinition } from './step-schema.ts';

export type Verb = Lowercase<Method>;
export type BlockKind = 'group' | 'transaction' | 'loop' | 'while' | 'foreach' | 'if' | 'choose' | 'parallel' | 'retry';
export type StepKind = Verb | 'think' | 'poll' | BlockKind;

const VERBS = METHODS.map((method) => method.toLowerCase() as Verb);
const BLOCKS = ['group', 'transaction', 'loop', 'while', 'foreach', 'if', 'choose', 'parallel'] as const;
const KINDS = [...VERBS, 'think', ...BLOCKS, 'retry'] as const;

/** Keys beside the one that says what a step is. `think` may end every step. */
const KEYS: Readonly<Record<Exclude<StepKind, Verb | 'poll'>, readonly (keyof StepDefinition)[]>> = {
  think: ['think'],
  group: ['group', 'steps', 'think'],
  transaction: ['transaction', 'steps', 'think'],
  loop: ['loop', 'steps', 'pacing', 'think'],
  while: ['while', 'limit', 'steps', 'pacing', 'think'],
  foreach: ['foreach', 'steps', 'pacing', 'think'],
  if: ['if', 'then', 'else', 'think'],
  choose: ['choose', 'think'],
  parallel: ['parallel', 'think'],
  retry: ['retry', 'steps', 'think'],
};
const BLOCK_KEYS: readonly (keyof StepDefinition)[] = ['steps', 'then', 'else', 'limit', 'pacing'];

/** What a step is, after saying what does not go with it; `undefined` when it is nothing, or more than one thing. */
export function kindOf(step: StepDefinition, path: Path, report: Report): StepKind | undefined {
  const kinds = [...VERBS, ...BLOCKS].filter((kind) => step[kind] !== undefined);
  const [kind = restOf(step)] = kinds;
  if (kind === undefined || kinds.length > 1) {
    const got = kinds.length > 1 ? kinds.join(' and ') : 'none of them';
    const hint = step.poll === undefined ? '' : '; a poll needs the request it sends, such as get';
    report(path, `a step is exactly one of ${listed(KINDS, 'or')}, got ${got}${hint}`);
    return undefined;
  }
  if (isVerb(kind)) {
    for (const key of BLOCK_KEYS) if (step[key] !== undefined) report([...path, key], `a request has no ${key}`);
    if (step.poll === undefined) return kind;
    if (step.retry !== undefined) report([...path, 'retry'], 'a poll tries again by itself: it has no retry');
    return 'poll';
  }
  const allowed: readonly string[] = KEYS[kind];
  for (const key of Object.keys(step)) {
    if (!allowed.includes(key)) report([...path, key], `a ${kind} step has nothing but ${listed(allowed)}, got ${describe(key)}`);
  }
  const needed = kind === 'if' ? 'then' : 'steps';
  if (allowed.includes(needed) && step[needed] === undefined) report([...path, needed], 'missing: expected a list of steps');
  return kind;
}

/** The verb of a request step or poll. */
export function verbOf(step: StepDefinition): Verb | undefined {
  return VERBS.find((verb) => step[verb] !== undefined);
}

function isVerb(kind: string): kind is Verb {
  return (VERBS as readonly string[]).includes(kind);
}

function restOf(step: StepDefinition): 'retry' | 'think' | undefined {
  if (step.poll !== undefined) return undefined;
  if (step.retry !== undefined) return 'retry';
  return step.think === undefined ? undefined : 'think';
}
