import { LOOP_TURNS_MAX, type RequestStep, type Step, type Template } from '../plan/index.ts';
import { parseDurationUs } from '../base/index.ts';
import { compileCondition } from './compile-condition.ts';
import { compileThink } from './compile-think.ts';
import { describe, expected, isMapping } from './describe.ts';
import type { Path, Report } from './problems.ts';
import { compileRequest, type RequestDefaults } from './request.ts';
import { readStep } from './schema.ts';
import { RESERVED_NAMES, type Scope } from './scope.ts';
import { kindOf, verbOf, type BlockKind } from './step-kind.ts';
import type { StepDefinition } from './step-schema.ts';
import { compileTemplate, literalOf, soleExpression } from './template.ts';

/** Where in a flow a step stands: what it may refer to grows from step to step. */
export interface Place {
  readonly scope: Omit<Scope, 'captured' | 'items'>;
  readonly defaults: RequestDefaults;
  readonly report: Report;
  /** Captured by the steps before. A name captured only in a branch counts: where it was not, the iteration ends at run time. */
  readonly captured: Set<string>;
  /** Members of the loops around. */
  readonly items: Set<string>;
  /** A request comes before, so that a condition has a response to look at. */
  hasResponse: boolean;
}

/** Every step of a list, also when others are wrong. */
export function compileSteps(written: unknown, path: Path, place: Place): Step[] {
  if (!Array.isArray(written)) return [];
  const list: readonly unknown[] = written;
  return list.flatMap((raw, i) => compileRaw(raw, [...path, i], place));
}

function compileRaw(raw: unknown, path: Path, place: Place): Step[] {
  const step = readStep(raw, path, place.report);
  const compiled = step === undefined ? [] : compileStep(step, path, place);
  // Also of a step that is wrong, so that one mistake is not told twice.
  for (const name of isMapping(raw) && isMapping(raw['capture']) ? Object.keys(raw['capture']) : []) place.captured.add(name);
  return compiled;
}

function compileStep(step: StepDefinition, path: Path, place: Place): Step[] {
  const kind = kindOf(step, path, place.report);
  if (kind === undefined) return [];
  const think = step.think === undefined ? undefined : compileThink(step.think, [...path, 'think'], place.report);
  const after = think === undefined ? [] : [think];
  switch (kind) {
    case 'think':
      return after;
    case 'poll':
      return [...compilePoll(step, path, place), ...after];
    case 'group':
    case 'transaction':
    case 'loop':
    case 'while':
    case 'foreach':
    case 'if':
    case 'choose':
    case 'parallel':
    case 'retry':
      return [...compileBlock(kind, step, path, place), ...after];
    default: {
      const request = compileOne(step, path, place);
      return [...(step.retry === undefined ? [request] : [retried(step, [request])]), ...after];
    }
  }
}

function compileBlock(kind: BlockKind, step: StepDefinition, path: Path, place: Place): Step[] {
  const inner = (): Step[] => compileSteps(step.steps, [...path, 'steps'], place);
  const pacingUs = durationUs(step.pacing);
  switch (kind) {
    case 'group':
    case 'transaction':
      return [{ kind, name: step[kind] ?? '', steps: inner() }];
    case 'loop': {
      const times = typeof step.loop === 'string' ? compileTurns(step.loop, [...path, 'loop'], place) : (step.loop ?? 0);
      return [{ kind, times, pacingUs, steps: inner() }];
    }
    case 'while': {
      const before = place.hasResponse;
      // What its own steps capture, the condition sees from the second turn on.
      const steps = inner();
      const condition = compileCondition(step.while, scopeOf(place), [...path, 'while'], place.report, before);
      return [{ kind, condition, limit: step.limit ?? WHILE_LIMIT_DEFAULT, pacingUs, steps }];
    }
    case 'foreach':
      return compileForeach(step, pacingUs, path, place);
    case 'if': {
      const condition = compileCondition(step.if, scopeOf(place), [...path, 'if'], place.report, place.hasResponse);
      const [then = [], otherwise = []] = apart(place, [
        (branch) => compileSteps(step.then, [...path, 'then'], branch),
        (branch) => compileSteps(step.else, [...path, 'else'], branch),
      ]);
      return [{ kind, condition, then, else: otherwise }];
    }
    case 'choose': {
      const choices = step.choose ?? [];
      const steps = apart(
        place,
        choices.map((choice, i) => (branch) => compileSteps(choice.steps, [...path, 'choose', i, 'steps'], branch)),
      );
      return [{ kind, branches: choices.map(({ weight }, i) => ({ weight, steps: steps[i] ?? [] })) }];
    }
    case 'parallel':
      return compileParallel(step.parallel ?? [], [...path, 'parallel'], place);
    case 'retry':
      return [retried(step, inner())];
  }
}

/** Turns of a `while` without a limit of its own. */
const WHILE_LIMIT_DEFAULT = 10_000;

function compileOne(step: StepDefinition, path: Path, place: Place): RequestStep {
  const request = compileRequest(step, verbOf(step) ?? 'get', place.defaults, scopeOf(place), path, place.report);
  place.hasResponse = true;
  return request;
}

function compilePoll(step: StepDefinition, path: Path, place: Place): Step[] {
  const { poll } = step;
  if (poll === undefined) return [];
  const request = compileOne(step, path, place);
  for (const name of Object.keys(step.capture ?? {})) place.captured.add(name);
  const until = compileCondition(poll.until, scopeOf(place), [...path, 'poll', 'until'], place.report, true);
  return [{ kind: 'poll', name: poll.name, everyUs: durationUs(poll.every), limitUs: durationUs(poll.limit), until, request }];
}

function retried({ retry }: StepDefinition, steps: readonly Step[]): Step {
  return { kind: 'retry', times: retry?.times ?? 0, waitUs: durationUs(retry?.wait), backoff: retry?.backoff ?? 1, steps };
}

function compileTurns(text: string, path: Path, place: Place): number | Template {
  const template = compileTemplate(text, 'text', scopeOf(place), (message) => {
    place.report(path, message);
  });
  const literal = literalOf(template);
  if (literal === undefined) return template;
  const turns = literal.trim() === '' ? NaN : Number(literal);
  if (Number.isInteger(turns) && turns >= 0 && turns <= LOOP_TURNS_MAX) return turns;
  // Where a reference in it is wrong, that was said.
  if (!text.includes('${')) place.report(path, expected(`a whole number of turns from 0 to ${String(LOOP_TURNS_MAX)}, or a reference such as \${count}`, text)); // prettier-ignore
  return 0;
}

function compileForeach(step: StepDefinition, pacingUs: number, path: Path, place: Place): Step[] {
  const entries = Object.entries(step.foreach ?? {});
  const [[item, list] = ['', '']] = entries;
  const say = (below: Path, message: string): void => {
    place.report([...path, 'foreach', ...below], message);
  };
  if (entries.length !== 1) say([], expected('one name and the list it stands for, such as { product: "${products}" }', step.foreach));
  else if (!/^[A-Za-z_]\w*$/.test(item) || RESERVED_NAMES.includes(item) || place.scope.rows.has(item)) {
    say(
      [item],
      `a member is named by letters, digits and _, not beginning with a digit; data sets, ${RESERVED_NAMES.join(', ')} are taken`,
    );
  }
  const name = soleExpression(list);
  if (entries.length === 1 && (name === undefined || !place.captured.has(name))) {
    const later = name !== undefined && place.scope.capturedSomewhere.has(name) ? ', which is captured only later in this flow' : '';
    say([item], `expected a list that an earlier step captures, such as "\${products}", got ${describe(list)}${later}`);
  }
  const isNew = !place.captured.has(item);
  place.captured.add(item);
  place.items.add(item);
  const steps = compileSteps(step.steps, [...path, 'steps'], place);
  place.items.delete(item);
  if (isNew) place.captured.delete(item);
  return [{ kind: 'foreach', item, list: name ?? '', pacingUs, steps }];
}

function compileParallel(written: readonly unknown[], path: Path, place: Place): Step[] {
  if (written.length > PARALLEL_MAX)
    place.report(path, `expected at most ${String(PARALLEL_MAX)} requests at once, got ${String(written.length)}`);
  // Sent at once: none can use what another captures.
  const steps = apart(
    place,
    written.map((raw, i) => (branch) => compileRaw(raw, [...path, i], branch)),
  );
  const requests: RequestStep[] = [];
  for (const [i, compiled] of steps.entries()) {
    const [only] = compiled;
    if (compiled.length === 1 && only?.kind === 'request') requests.push(only);
    else if (compiled.length > 0) place.report([...path, i], 'parallel holds plain requests only: no think, retry, poll or other steps');
  }
  return [{ kind: 'parallel', requests }];
}

/** Connections that one VU opens for requests sent at once. */
const PARALLEL_MAX = 32;

/** Each branch sees what came before all of them; what follows sees what any of them captured. */
function apart(place: Place, branches: readonly ((branch: Place) => Step[])[]): Step[][] {
  const copies = branches.map(() => ({ ...place, captured: new Set(place.captured) }));
  const compiled = branches.map((compile, i) => compile(copies[i] ?? place));
  for (const copy of copies) {
    for (const name of copy.captured) place.captured.add(name);
    place.hasResponse ||= copy.hasResponse;
  }
  return compiled;
}

function scopeOf({ scope, captured, items }: Place): Scope {
  return { ...scope, captured, items };
}

function durationUs(written: string | number | undefined): number {
  return written === undefined ? 0 : (parseDurationUs(written) ?? 0);
}
