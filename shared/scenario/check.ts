import { didYouMean } from '../base/index.ts';
import { JSON_PATH, parseJsonPath, type Check, type CheckSubject, type CheckTest } from '../plan/index.ts';
import { describe, expected, isScalar, listed } from './describe.ts';
import { parseRegex } from './regex.ts';

/** One entry of a `check` mapping, or one sentence that says what is wrong with it. Strings have `env` and `vars` filled in already. */
export function parseCheck(key: string, value: unknown): Check | { readonly problem: string } {
  const subject = parseSubject(key);
  if ('problem' in subject) return subject;
  const test = parseTest(value, subject.kind);
  if ('problem' in test) return test;
  return { name: `${key.trim().replace(/\s+/g, ' ')} ${sentenceOf(test)}`, subject, test };
}

interface Problem {
  readonly problem: string;
}

const SUBJECTS = ['status', 'size', 'body', 'header', 'json'];
const SUBJECT_FORMS = 'status, body, size, "header NAME" or "json $.path"';

function parseSubject(key: string): CheckSubject | Problem {
  const [word, rest] = splitWord(key);
  switch (word) {
    case 'status':
    case 'size':
    case 'body':
      return rest === '' ? { kind: word } : { problem: `"${word}" takes nothing after it, got ${describe(key)}` };
    case 'header':
      if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(rest)) return { problem: `expected "header NAME", got ${describe(key)}` };
      return { kind: 'header', name: rest.toLowerCase() };
    case 'json': {
      const path = parseJsonPath(rest);
      return path === undefined ? { problem: `expected "json" and ${JSON_PATH}, got ${describe(key)}` } : { kind: 'json', path };
    }
    default:
      return { problem: `a check is about ${SUBJECT_FORMS}, got ${describe(key)}${didYouMean(word, SUBJECTS)}` };
  }
}

/** The first word, and the rest without the space between. */
export function splitWord(text: string): readonly [word: string, rest: string] {
  const trimmed = text.trim();
  const space = trimmed.search(/\s/);
  return space < 0 ? [trimmed, ''] : [trimmed.slice(0, space), trimmed.slice(space).trim()];
}

type Kind = CheckSubject['kind'];

/** What may be asked of each subject, for the message when it was something else. */
const FORMS: Readonly<Record<Kind, string>> = {
  status: 'a status such as 200, a list such as [200, 201], or a comparison such as "< 400"',
  size: 'a number of bytes, or a comparison such as "> 0"',
  body: 'text, "!= text", "contains text" or "/pattern/"',
  header: 'text, a list, a comparison, "contains text", "/pattern/", exists or absent',
  json: 'a value, a list, a comparison such as "> 0", "contains text", "/pattern/", exists or absent',
};

const OPERATOR = /^(===|==|!=|<=|>=|<|>)\s*(.*)$/s;

/** What is asked of a value of that kind, or one sentence that says what is wrong with it. */
export function parseTest(value: unknown, kind: CheckSubject['kind']): CheckTest | Problem {
  const no: Problem = { problem: expected(FORMS[kind], value) };
  if (Array.isArray(value)) return parseList(value, kind) ?? no;
  if (value === null) return kind === 'json' ? { op: '==', value } : no;
  if (!isScalar(value)) return no;
  if (typeof value !== 'string') return equality('==', value, kind) ?? no;
  const comparison = OPERATOR.exec(value);
  if (comparison !== null) return parseComparison(comparison[1] ?? '', comparison[2] ?? '', kind) ?? no;
  const [word, rest] = splitWord(value);
  const isText = kind === 'body' || kind === 'header' || kind === 'json';
  const regex = parseRegex(value);
  if (regex !== undefined && isText) return 'problem' in regex ? regex : { op: 'matches', ...regex };
  if (word === 'contains' && isText) return rest === '' ? { problem: 'expected text after "contains"' } : { op: 'contains', text: rest };
  if ((value === 'exists' || value === 'absent') && (kind === 'header' || kind === 'json')) {
    return { op: 'exists', wanted: value === 'exists' };
  }
  return equality('==', value, kind) ?? no;
}

function parseList(list: readonly unknown[], kind: Kind): CheckTest | undefined {
  if (list.length === 0 || kind === 'body' || kind === 'size') return undefined;
  const values: (string | number)[] = [];
  for (const item of list) {
    const value = kind === 'status' ? statusOf(item) : kind === 'header' && isScalar(item) ? String(item) : item;
    if (typeof value !== 'string' && typeof value !== 'number') return undefined;
    values.push(value);
  }
  return { op: 'in', values };
}

function parseComparison(operator: string, operand: string, kind: Kind): CheckTest | Problem | undefined {
  const op = operator === '===' ? '==' : operator;
  if (op === '==' || op === '!=') return operand === '' ? undefined : equality(op, kind === 'json' ? jsonScalar(operand) : operand, kind);
  if (op !== '<' && op !== '<=' && op !== '>' && op !== '>=') return undefined;
  const number = numberOf(operand);
  if (number === undefined) return { problem: `expected a number after "${op}", got ${describe(operand)}` };
  return kind === 'body' ? undefined : { op, value: number };
}

function equality(op: '==' | '!=', value: string | number | boolean | null, kind: Kind): CheckTest | undefined {
  switch (kind) {
    case 'status': {
      const status = statusOf(value);
      return status === undefined ? undefined : { op, value: status };
    }
    case 'size': {
      const size = numberOf(value);
      return size === undefined || size < 0 ? undefined : { op, value: size };
    }
    case 'body':
    case 'header':
      return { op, value: String(value) };
    case 'json':
      return { op, value };
  }
}

function statusOf(value: unknown): number | undefined {
  const status = numberOf(value);
  return status !== undefined && Number.isInteger(status) && status >= 100 && status <= 599 ? status : undefined;
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value.trim()) ? Number(value) : undefined;
}

/** What follows `==` or `!=` in a json check: a JSON scalar when it reads as one, else the text as it stands. */
function jsonScalar(text: string): string | number | boolean | null {
  try {
    const value: unknown = JSON.parse(text);
    if (value === null || isScalar(value)) return value;
  } catch {
    // Text without quotes is no JSON, and means itself.
  }
  return text;
}

function sentenceOf(test: CheckTest): string {
  switch (test.op) {
    case '==':
      return `is ${wordOf(test.value)}`;
    case '!=':
      return `is not ${wordOf(test.value)}`;
    case '<':
    case '<=':
    case '>':
    case '>=':
      return `${test.op} ${wordOf(test.value)}`;
    case 'in':
      return `is ${listed(test.values.map(wordOf), 'or')}`;
    case 'contains':
      return `contains ${test.text}`;
    case 'matches':
      return `matches /${test.pattern}/${test.flags}`;
    case 'exists':
      return test.wanted ? 'exists' : 'is absent';
  }
}

function wordOf(value: string | number | boolean | null): string {
  return value === '' ? 'empty' : String(value);
}
